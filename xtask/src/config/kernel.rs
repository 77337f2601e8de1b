//! `kernel/kernel.toml` as text in, a checked [`KernelConfig`] out.

use super::KERNEL_FILE;
use super::Project;
use super::checks;
use super::faults::Faults;
use super::profile::Profile;
use crate::arch::Arch;
use crate::sources::Pin;
use anyhow::Context as _;
use anyhow::Result;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where the kernel comes from and how each profile configures it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KernelConfig {
    pub upstream: Pin,
    /// The Debian package that holds the source instead.
    pub debian_package: String,
    /// Holds every [`Profile`].
    pub profiles: BTreeMap<Profile, KernelProfile>,
}

/// One configuration of the kernel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KernelProfile {
    /// The kernel's make target that gives the configuration to start from: `defconfig`.
    pub base: String,
    /// Files laid over it, in order; relative to the project; for each architecture its own.
    fragments: BTreeMap<Arch, Vec<PathBuf>>,
}

impl KernelProfile {
    /// The files laid over the base, in order; relative to the project.
    pub fn fragments(&self, arch: Arch) -> &[PathBuf] {
        self.fragments.get(&arch).map_or(&[], Vec::as_slice)
    }
}

#[derive(Deserialize)]
struct Raw {
    upstream: Option<RawUpstream>,
    debian: Option<RawDebian>,
    #[serde(default)]
    profile: BTreeMap<String, RawProfile>,
    #[serde(flatten)]
    unknown: BTreeMap<String, toml::Value>,
}

#[derive(Default, Deserialize)]
struct RawUpstream {
    version: Option<String>,
    url: Option<String>,
    sha256: Option<String>,
    #[serde(flatten)]
    unknown: BTreeMap<String, toml::Value>,
}

#[derive(Default, Deserialize)]
struct RawDebian {
    package: Option<String>,
    #[serde(flatten)]
    unknown: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
struct RawProfile {
    base: Option<String>,
    #[serde(default)]
    fragments: Vec<String>,
    #[serde(flatten)]
    unknown: BTreeMap<String, toml::Value>,
}

impl KernelConfig {
    /// Checks `text`, whose fragments must be files of `project`.
    pub fn parse(text: &str, project: Project<'_>) -> Result<Self> {
        let raw: Raw = toml::from_str(text).with_context(|| format!("parsing {KERNEL_FILE}"))?;
        let mut faults = Faults::new(KERNEL_FILE);
        faults.unknown_keys("", &raw.unknown, &["upstream", "debian", "profile"]);
        let upstream = check_upstream(raw.upstream.unwrap_or_default(), &mut faults);
        let debian_package = check_debian(raw.debian.unwrap_or_default(), &mut faults);
        let mut profiles = BTreeMap::new();
        for (name, raw) in raw.profile {
            match Profile::ALL.into_iter().find(|profile| profile.name() == name) {
                Some(profile) => drop(
                    profiles.insert(profile, check_profile(profile, raw, project, &mut faults)),
                ),
                None => faults.unknown("profile", &name, &Profile::ALL.map(Profile::name)),
            }
        }
        for profile in Profile::ALL.iter().filter(|profile| !profiles.contains_key(profile)) {
            faults.add(format_args!("profile.{profile}"), "is missing");
        }
        faults.finish()?;
        Ok(Self { upstream, debian_package, profiles })
    }
}

fn check_upstream(raw: RawUpstream, faults: &mut Faults) -> Pin {
    faults.unknown_keys("upstream.", &raw.unknown, &["version", "url", "sha256"]);
    let version = faults.required("upstream.version", raw.version);
    let url = faults.required("upstream.url", raw.url);
    let sha256 = faults.required("upstream.sha256", raw.sha256);
    Pin {
        name: "linux".to_owned(),
        url: faults.keep_or_default("upstream.url", checks::expand(&url, &[("version", &version)])),
        sha256: if sha256.is_empty() {
            sha256
        } else {
            faults.keep_or_default("upstream.sha256", checks::digest(&sha256))
        },
        version,
    }
}

fn check_debian(raw: RawDebian, faults: &mut Faults) -> String {
    faults.unknown_keys("debian.", &raw.unknown, &["package"]);
    faults.required("debian.package", raw.package)
}

fn check_profile(
    profile: Profile,
    raw: RawProfile,
    project: Project<'_>,
    faults: &mut Faults,
) -> KernelProfile {
    faults.unknown_keys(&format!("profile.{profile}."), &raw.unknown, &["base", "fragments"]);
    let key = format!("profile.{profile}.base");
    let base = faults.required(&key, raw.base);
    let is_target = base.ends_with("config")
        && base.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !base.is_empty() && !is_target {
        faults.add(
            &key,
            format_args!("'{base}' is no configuration target of the kernel, as 'defconfig' is"),
        );
    }
    let mut fragments = BTreeMap::<Arch, Vec<PathBuf>>::new();
    for (index, fragment) in raw.fragments.iter().enumerate() {
        let key = format!("profile.{profile}.fragments[{index}]");
        for arch in Arch::ALL {
            let file = checks::expand(fragment, &[("oci", arch.oci())])
                .and_then(|file| checks::project_path(&file));
            let Some(file) = faults.keep(&key, file) else { continue };
            if !(project.is_file)(&file) {
                faults.add(&key, format_args!("'{file}' is no file of the project"));
            }
            fragments.entry(arch).or_default().push(PathBuf::from(file));
        }
    }
    KernelProfile { base, fragments }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        [upstream]
        version = "6.12.1"
        url = "https://example.org/linux-{version}.tar.xz"
        sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
        [debian]
        package = "linux-source-6.12"
        [profile.default]
        base = "defconfig"
        [profile.hw]
        base = "defconfig"
        [profile.test]
        base = "tinyconfig"
        fragments = ["kernel/test.config", "kernel/test-{oci}.config"]
    "#;

    fn parse(text: &str) -> Result<KernelConfig> {
        KernelConfig::parse(
            text,
            Project {
                packages: &[],
                is_file: &|path| {
                    ["kernel/test.config", "kernel/test-amd64.config", "kernel/test-arm64.config"]
                        .contains(&path)
                },
            },
        )
    }

    #[test]
    fn reads_the_projects_own_file() {
        let config = super::super::read_kernel_config().unwrap();
        for arch in Arch::ALL {
            assert!(config.profiles[&Profile::Default].fragments(arch).is_empty());
            assert!(!config.profiles[&Profile::Hw].fragments(arch).is_empty());
        }
        assert!(config.upstream.url.contains(&config.upstream.version));
    }

    #[test]
    fn fills_in_version_and_architecture() {
        let config = parse(GOOD).unwrap();
        assert_eq!(config.upstream.url, "https://example.org/linux-6.12.1.tar.xz");
        for arch in Arch::ALL {
            let own = format!("kernel/test-{}.config", arch.oci());
            assert_eq!(
                config.profiles[&Profile::Test].fragments(arch),
                [PathBuf::from("kernel/test.config"), PathBuf::from(own)]
            );
        }
    }

    #[test]
    fn tells_every_fault_with_its_key() {
        for (good, bad, facts) in [
            (
                "sha256 =",
                "sha265 =",
                &[
                    "sha265 is an unknown key (did you mean 'sha256'?)",
                    "upstream.sha256 is missing",
                ][..],
            ),
            ("0123456789abcdef0123", "12", &["upstream.sha256 '12456789"]),
            ("{version}", "{verson}", &["upstream.url", "did you mean 'version'"]),
            (
                "\"defconfig\"",
                "\"rm -rf\"",
                &["profile.default.base 'rm -rf' is no configuration target"],
            ),
            (
                "[profile.test]",
                "[profile.tset]",
                &["profile 'tset' is unknown (did you mean 'test'?)", "profile.test is missing"],
            ),
            (
                "kernel/test.config",
                "kernel/tets.config",
                &["profile.test.fragments[0] 'kernel/tets.config' is no file"],
            ),
            (
                "{oci}",
                "{cpu}",
                &["profile.test.fragments[1] 'kernel/test-{cpu}.config': placeholder 'cpu'"],
            ),
            (
                "test-{oci}",
                "text-{oci}",
                &["'kernel/text-amd64.config' is no file", "'kernel/text-arm64.config' is no file"],
            ),
            (
                "kernel/test.config",
                "../test.config",
                &["profile.test.fragments[0] '../test.config' escapes"],
            ),
            (
                "package",
                "packages",
                &["debian.packages is an unknown key", "debian.package is missing"],
            ),
        ] {
            let text = format!("{:#}", parse(&GOOD.replace(good, bad)).unwrap_err());
            for fact in facts {
                assert!(text.contains(fact), "{bad}: {text}");
            }
        }
    }

    #[test]
    fn names_the_line_of_a_syntax_error() {
        let text = format!("{:#}", parse("[upstream]\nversion = = 1").unwrap_err());
        assert!(text.contains("kernel.toml") && text.contains("line 2"), "{text}");
    }
}
