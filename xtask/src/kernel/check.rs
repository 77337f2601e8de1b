//! Checks that every profile can be configured for every architecture as its fragments ask, without building anything. The kernel drops, without
//! a word, what it does not know and what lacks something; a build would only tell of the profile that it builds.

use crate::arch::Arch;
use crate::cache::Cache;
use crate::config;
use crate::config::Profile;
use crate::env::Settings;
use crate::kernel;
use crate::kernel::KernelRequest;
use crate::kernel::Plan;
use crate::kernel::configure;
use crate::kernel::key::Key;
use crate::kernel::make::Make;
use crate::kernel::make::Place;
use crate::kernel::make::Surroundings;
use crate::kernel::unpack;
use crate::output;
use crate::project;
use crate::report;
use crate::setup;
use crate::setup::Need;
use crate::sources::Source;
use crate::sources::SourceOptions;
use crate::sources::Sources;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use std::path::Path;
use std::path::PathBuf;
use tempfile::TempDir;

/// Configures all of them that were not yet, out of one unpacked source, and fails where the kernel dropped an option of any, naming every one.
pub fn check_configurations(options: &SourceOptions) -> Result<()> {
    let config = config::read_kernel_config()?;
    let settings = Settings::read()?;
    let compilers = Arch::ALL.map(Need::Compiler);
    setup::require(&[&[Need::Kernel][..], &compilers].concat())?;
    let sources = Sources::open(options)?;
    let mut faults = Vec::new();
    let mut bench = None;
    for arch in Arch::ALL {
        for profile in Profile::ALL {
            let request = KernelRequest {
                arch,
                profile,
                sources: &sources,
                settings: &settings,
                config: &config,
            };
            match check(&request, &mut bench) {
                Ok(count) => report::result(format_args!(
                    "test kernel::config::{arch}_{profile} ... ok ({count} options)"
                )),
                Err(fault) => {
                    report::result(format_args!(
                        "test kernel::config::{arch}_{profile} ... FAILED"
                    ));
                    faults.push(format!("{fault:#}"));
                }
            }
        }
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(())
}

/// Configures one kernel as its build would, or takes what the last check made of the same inputs. How many options were asked for, all of which it has.
fn check(request: &KernelRequest<'_>, bench: &mut Option<Workbench>) -> Result<usize> {
    let KernelRequest { arch, profile, .. } = request;
    let configuring = || format!("configuring the kernel for {arch}, profile {profile}");
    let plan = kernel::plan(request).with_context(configuring)?;
    let cache = request.sources.cache();
    let memory = cache.folder("configs")?.join(format!("{arch}-{profile}"));
    let key = Key::of(&plan).digest;
    if let Some(config) = remembered(&memory, &key)
        && let Ok(count) = configure::check(&plan, &config)
    {
        return Ok(count);
    }
    // All of them have the same source.
    let bench = match bench {
        Some(bench) => bench,
        None => bench.insert(Workbench::unpack(&plan.source, cache)?),
    };
    let place = bench.place(&plan)?;
    let count = configure::configure(&plan, &place).with_context(configuring)?;
    let config = place.build.join(".config");
    let config = std::fs::read_to_string(&config)
        .with_context(|| format!("reading {}", config.display()))?;
    output::write(&memory, format!("{key}\n{config}").as_bytes())?;
    Ok(count)
}

/// The configuration that the kernel made of the inputs with this key, where the last check was of them.
fn remembered(memory: &Path, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(memory).ok()?;
    Some(text.strip_prefix(key)?.strip_prefix('\n')?.to_owned())
}

/// A kernel's source, unpacked for configuring only. A temporary folder of the cache, removed when dropped.
#[derive(Debug)]
struct Workbench {
    folder: TempDir,
}

impl Workbench {
    fn unpack(source: &Source, cache: &Cache) -> Result<Self> {
        let bench = Self { folder: cache.temporary_folder()? };
        report::step(format_args!("unpacking the source of linux {}", source.version));
        unpack::unpack(source, &bench.make_folder("source")?)?;
        Ok(bench)
    }

    /// A place to configure in. One after the other: all of them share the tools that the kernel builds for it, which costs the most time.
    fn place<'a>(&self, plan: &'a Plan<'a>) -> Result<Make<'a>> {
        let log = project::logs().join(format!("kernel-config-{}-{}.log", plan.arch, plan.profile));
        let (source, objects) = (self.make_folder("source")?, self.make_folder("objects")?);
        for name in [".config", ".config.old", "given.config", "defconfig"] {
            let path = objects.join(name);
            if path.exists() {
                std::fs::remove_file(&path)
                    .with_context(|| format!("removing {}", path.display()))?;
            }
        }
        let surroundings = Surroundings::default();
        Make::new(plan, Place { source, objects, log, compiler_cache: None, surroundings })
    }

    fn make_folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.path().join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_configuration_of_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let memory = folder.path().join("arm64-hw");
        assert_eq!(remembered(&memory, "ab"), None);
        std::fs::write(&memory, "ab\nCONFIG_A=y\n").unwrap();
        assert_eq!(remembered(&memory, "ab").as_deref(), Some("CONFIG_A=y\n"));
        for other in ["a", "abc", "cd"] {
            assert_eq!(remembered(&memory, other), None, "{other}");
        }
    }
}
