//! Makes a kernel's configuration, and makes sure that it is the one asked for.

use crate::kernel::Plan;
use crate::kernel::make::Make;
use crate::kernel::options;
use crate::kernel::options::Wanted;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Asked for before everything else, against what a kernel takes from its surroundings: the second would put the state of a git tree around
/// the source into the version, the third depends on whether the compiler came with the headers for plugins.
pub(super) const ALWAYS: &str =
    "CONFIG_LOCALVERSION=\"\"\nCONFIG_LOCALVERSION_AUTO=n\nCONFIG_GCC_PLUGINS=n\n";

/// The bases with everything off. What a fragment leaves open stays off then, where `olddefconfig` would take each option's default.
const EMPTY: [&str; 2] = ["allnoconfig", "tinyconfig"];

/// Leaves `.config` in the build folder: the base, the fragments over it, `KERNEL_CONFIG` over both. How many options were asked for, all of
/// which it has.
pub(super) fn configure(plan: &Plan<'_>, make: &Make<'_>) -> Result<usize> {
    let config = make.build.join(".config");
    let read = || {
        std::fs::read_to_string(&config).with_context(|| format!("reading {}", config.display()))
    };
    let write = |path: &PathBuf, text| {
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
    };

    make.make(plan.base, &[], "configuring")?;
    let merged = options::merge(&read()?, &before_words(plan)?);
    if EMPTY.contains(&plan.base) {
        let given = make.build.join("given.config");
        write(&given, merged)?;
        make.make(
            "allnoconfig",
            &[format!("KCONFIG_ALLCONFIG={}", given.display())],
            "configuring",
        )?;
    } else {
        write(&config, merged)?;
        make.make("olddefconfig", &[], "configuring")?;
    }
    if !plan.words.is_empty() {
        let mut arguments = vec!["--file".to_owned(), config.display().to_string()];
        arguments.extend_from_slice(plan.words);
        make.script("scripts/config", &arguments)?;
        make.make("olddefconfig", &[], "configuring")?;
    }
    check(plan, &read()?)
}

/// What is asked for before `KERNEL_CONFIG` is.
fn before_words(plan: &Plan<'_>) -> Result<Vec<Wanted>> {
    let mut wanted = options::parse_fragment("xtask", ALWAYS)?;
    wanted.extend_from_slice(&plan.fragments);
    Ok(wanted)
}

/// How many options `plan` asks for, all of which this configuration has. The kernel drops, without a word, an option that it does not know or
/// whose dependencies are off.
pub(super) fn check(plan: &Plan<'_>, config: &str) -> Result<usize> {
    let mut wanted = before_words(plan)?;
    wanted.extend_from_slice(&plan.word_options);
    let lost = options::lost(&wanted, config);
    if !lost.is_empty() {
        bail!(
            "the kernel's configuration is not as asked:\n{}\nhint: look up in the kernel's Kconfig files what each depends on, and ask for that too",
            lost.join("\n")
        );
    }
    let names: BTreeSet<&str> = wanted.iter().map(|option| option.name.as_str()).collect();
    Ok(names.len())
}
