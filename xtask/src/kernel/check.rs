//! Checks that every profile can be configured for every architecture, without building a kernel.
//! The kernel silently drops unknown options and options with missing dependencies.

use std::path::Path;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::{
    config,
    config::{Profile, env::Settings},
    host::{arch::Arch, output, project, report, setup, setup::Need},
    kernel::{
        compile, configure,
        key::Key,
        make::{Make, Place, Surroundings},
        plan,
        plan::KernelRequest,
    },
    sources::{SourceOptions, Sources},
};

/// Configures every profile that changed since its last check, in one unpacked source. Reports all
/// options that the kernel dropped.
pub fn check_configurations(options: &SourceOptions) -> Result<()> {
    let config = &config::read_kernel_config()?;
    let settings = &Settings::read()?;
    setup::require_for(&Arch::ALL, &[Need::Kernel])?;
    let sources = &Sources::open(options)?;
    let mut outcomes = Vec::new();
    let mut bench = None;
    for arch in Arch::ALL {
        for profile in Profile::ALL {
            let request = KernelRequest { arch, profile, sources, settings, config };
            let outcome = check(&request, &mut bench);
            let text = outcome
                .as_ref()
                .map_or("FAILED".to_owned(), |count| format!("ok ({count} options)"));
            report::result(format_args!("test kernel::config::{arch}_{profile} ... {text}"));
            outcomes.push(outcome.map(drop));
        }
    }
    report::join_outcomes(outcomes)
}

/// Configures one kernel, unless the last check had the same inputs. Returns the number of
/// requested options, all of which are set.
fn check(request: &KernelRequest<'_>, bench: &mut Option<TempDir>) -> Result<usize> {
    let KernelRequest { arch, profile, .. } = request;
    let configuring = || format!("configuring the kernel for {arch}, profile {profile}");
    let plan = plan::plan(request)?;
    let cache = &request.sources.cache;
    let memory = cache.folder("configs")?.join(format!("{arch}-{profile}"));
    let key = Key::of(&plan).digest;
    if let Some(config) = remembered(&memory, &key)
        && let Ok(count) = configure::check(&plan, &config)
    {
        return Ok(count);
    }
    if bench.is_none() {
        report::step(format_args!("unpacking the source of linux {}", plan.source.version));
        let folder = cache.temporary_folder()?;
        for name in ["source", "objects"] {
            cache.folder(folder.path().join(name))?;
        }
        compile::unpack(&plan.source, &folder.path().join("source"))?;
        *bench = Some(folder);
    }
    let bench = bench.as_ref().context("the source is not unpacked")?;
    // All configurations share the source, and the tools that the kernel builds for it, which takes
    // most of the time.
    let (source, objects) = (bench.path().join("source"), bench.path().join("objects"));
    for name in [".config", ".config.old", "given.config", "defconfig"] {
        output::remove(&objects.join(name))?;
    }
    let log = project::logs().join(format!("kernel-config-{arch}-{profile}.log"));
    let surroundings = Surroundings::default();
    let place = Place { source, objects, log, compiler_cache: None, surroundings };
    let make = Make::new(&plan, place)?;
    let count = configure::configure(&plan, &make).with_context(configuring)?;
    let config = make.place.objects.join(".config");
    let config = std::fs::read_to_string(&config)
        .with_context(|| format!("reading {}", config.display()))?;
    output::write(&memory, format!("{key}\n{config}").as_bytes())?;
    Ok(count)
}

/// The configuration of the last check, if it had the inputs of this key.
fn remembered(memory: &Path, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(memory).ok()?;
    Some(text.strip_prefix(key)?.strip_prefix('\n')?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_only_the_configuration_of_the_same_key() {
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
