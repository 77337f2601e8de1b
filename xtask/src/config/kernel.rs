//! `kernel/kernel.toml` as a checked [`KernelConfig`].

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use serde::Deserialize;

use super::{
    KERNEL_FILE, Pin,
    problems::Problems,
    values,
    values::{RawUpstream, Sha256},
};
use crate::host::arch::Arch;

/// Which kernel to build.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// The kernel's own default configuration
    #[default]
    Default,
    /// The default with built-in drivers for the disks and network cards of servers
    Hw,
    /// A small kernel for boot tests, built in minutes
    Test,
}

impl Profile {
    pub const ALL: [Self; 3] = [Self::Default, Self::Hw, Self::Test];

    /// The suffix of output names: empty for the default profile.
    pub fn suffix(self) -> String {
        if self == Self::Default { String::new() } else { format!("-{self}") }
    }
}

impl std::fmt::Display for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Hw => "hw",
            Self::Test => "test",
        })
    }
}

/// The source of the kernel, and the configuration of each profile.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KernelConfig {
    pub upstream: Pin,
    /// The Debian package that contains the source as well.
    pub debian_package: String,
    /// Contains every [`Profile`].
    pub profiles: BTreeMap<Profile, KernelProfile>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KernelProfile {
    /// The kernel's make target for the base configuration: `defconfig`.
    pub base: String,
    /// Files merged into it, in order, relative to the project.
    fragments: BTreeMap<Arch, Vec<PathBuf>>,
}

impl KernelProfile {
    /// The files merged into the base, in order, relative to the project.
    pub fn fragments(&self, arch: Arch) -> &[PathBuf] {
        self.fragments.get(&arch).map_or(&[], Vec::as_slice)
    }
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    upstream: RawUpstream<Sha256>,
    debian: RawDebian,
    #[serde(default)]
    profile: BTreeMap<Profile, RawProfile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDebian {
    #[serde(deserialize_with = "values::non_empty")]
    package: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProfile {
    base: String,
    #[serde(default)]
    fragments: Vec<String>,
}

impl KernelConfig {
    /// Parses `text`. Its fragments must be files of the project at `root`.
    pub fn parse(text: &str, root: &Path) -> Result<Self> {
        let raw: Raw = toml::from_str(text).with_context(|| format!("parsing {KERNEL_FILE}"))?;
        let mut problems = Problems::new(KERNEL_FILE);
        let RawUpstream { version, url, sha256 } = raw.upstream;
        let url = problems.keep("upstream.url", values::expand(&url, &[("version", &version)]));
        let mut profiles = BTreeMap::new();
        for (profile, raw) in raw.profile {
            profiles.insert(profile, check_profile(profile, raw, root, &mut problems));
        }
        for profile in Profile::ALL.iter().filter(|profile| !profiles.contains_key(profile)) {
            problems.add(format_args!("profile.{profile}"), "missing");
        }
        problems.finish()?;
        let (name, url) = ("linux".to_owned(), url.unwrap_or_default());
        let upstream = Pin { name, version, url, sha256: sha256.0 };
        Ok(Self { upstream, debian_package: raw.debian.package, profiles })
    }
}

fn check_profile(
    profile: Profile,
    raw: RawProfile,
    root: &Path,
    problems: &mut Problems,
) -> KernelProfile {
    let base = raw.base;
    let is_target = base.ends_with("config")
        && base.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_target {
        problems.add(
            format_args!("profile.{profile}.base"),
            format_args!("invalid configuration target '{base}': expected one like 'defconfig'"),
        );
    }
    let mut fragments = BTreeMap::<Arch, Vec<PathBuf>>::new();
    for (index, fragment) in raw.fragments.iter().enumerate() {
        let key = format!("profile.{profile}.fragments[{index}]");
        for arch in Arch::ALL {
            let file = values::expand(fragment, &[("oci", arch.oci())])
                .and_then(|file| values::project_file(&file, root));
            let Some(file) = problems.keep(&key, file) else { continue };
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
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("kernel")).unwrap();
        for name in ["test", "test-amd64", "test-arm64"] {
            std::fs::write(root.path().join(format!("kernel/{name}.config")), "").unwrap();
        }
        KernelConfig::parse(text, root.path())
    }

    #[test]
    fn reads_the_project_file() {
        let config = super::super::read_kernel_config().unwrap();
        for arch in Arch::ALL {
            assert!(config.profiles[&Profile::Default].fragments(arch).is_empty());
            assert!(!config.profiles[&Profile::Hw].fragments(arch).is_empty());
        }
        assert!(config.upstream.url.contains(&config.upstream.version));
    }

    #[test]
    fn expands_version_and_architecture() {
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
    fn reports_problems_with_their_key() {
        for (good, bad, facts) in [
            (
                "sha256 =",
                "sha265 =",
                &["line 5", "unknown field `sha265`, expected one of `version`, `url`, `sha256`"][..],
            ),
            ("0123456789abcdef0123", "12", &["line 5", "invalid SHA-256 '12456789"]),
            ("{version}", "{verson}", &["upstream.url", "did you mean 'version'"]),
            (
                "\"defconfig\"",
                "\"rm -rf\"",
                &["profile.default.base: invalid configuration target 'rm -rf'"],
            ),
            (
                "[profile.test]",
                "[profile.tset]",
                &["line 12", "unknown variant `tset`, expected one of `default`, `hw`, `test`"],
            ),
            (
                "kernel/test.config",
                "kernel/tets.config",
                &["profile.test.fragments[0]: file 'kernel/tets.config' not found"],
            ),
            (
                "{oci}",
                "{cpu}",
                &["profile.test.fragments[1]: placeholder in 'kernel/test-{cpu}.config': \
                     unknown 'cpu'"],
            ),
            (
                "test-{oci}",
                "text-{oci}",
                &["'kernel/text-amd64.config' not found", "'kernel/text-arm64.config' not found"],
            ),
            (
                "kernel/test.config",
                "../test.config",
                &["profile.test.fragments[0]: '../test.config' contains '..'"],
            ),
            ("package", "packages", &["line 7", "unknown field `packages`, expected `package`"]),
        ] {
            let text = format!("{:#}", parse(&GOOD.replace(good, bad)).unwrap_err());
            for fact in facts {
                assert!(text.contains(fact), "{bad}: {text}");
            }
        }
    }

    #[test]
    fn reports_the_line_of_a_syntax_error() {
        let text = format!("{:#}", parse("[upstream]\nversion = = 1").unwrap_err());
        assert!(text.contains("kernel.toml") && text.contains("line 2"), "{text}");
    }
}
