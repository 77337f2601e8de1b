//! Configures a kernel and verifies that every requested option is set.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};

use crate::{
    host::{output, report::hinted},
    kernel::{make::Make, options, options::Requested, plan::Plan},
};

/// Requested first, because these options depend on the host: the second appends the state of a git
/// tree around the source to the version, the third needs the compiler's plugin headers.
pub const ALWAYS: &str =
    "CONFIG_LOCALVERSION=\"\"\nCONFIG_LOCALVERSION_AUTO=n\nCONFIG_GCC_PLUGINS=n\n";

/// Bases without options. Unrequested options stay off; `olddefconfig` would enable defaults.
const EMPTY: [&str; 2] = ["allnoconfig", "tinyconfig"];

/// Writes `.config` to the build directory: the base, then the fragments, then `KERNEL_CONFIG`.
/// Returns the number of requested options, all of which are set.
pub fn configure(plan: &Plan<'_>, make: &Make<'_>) -> Result<usize> {
    let config = make.place.objects.join(".config");
    let read = || {
        std::fs::read_to_string(&config).with_context(|| format!("reading {}", config.display()))
    };

    make.make(plan.base, &[], "configuring")?;
    let merged = options::merge(&read()?, &before_arguments(plan)?);
    if EMPTY.contains(&plan.base) {
        let given = make.place.objects.join("given.config");
        output::write(&given, merged.as_bytes())?;
        make.make(
            "allnoconfig",
            &[format!("KCONFIG_ALLCONFIG={}", given.display())],
            "configuring",
        )?;
    } else {
        output::write(&config, merged.as_bytes())?;
        make.make("olddefconfig", &[], "configuring")?;
    }
    if !plan.arguments.is_empty() {
        let mut arguments = vec!["--file".to_owned(), config.display().to_string()];
        arguments.extend_from_slice(plan.arguments);
        make.script("scripts/config", &arguments)?;
        make.make("olddefconfig", &[], "configuring")?;
    }
    check(plan, &read()?)
}

/// The options requested by xtask and the fragments.
fn before_arguments(plan: &Plan<'_>) -> Result<Vec<Requested>> {
    let mut requested = options::parse_fragment("xtask", ALWAYS)?;
    requested.extend_from_slice(&plan.fragments);
    Ok(requested)
}

/// Verifies that `config` has all options of `plan` and returns their number. The kernel silently
/// drops unknown options and options whose dependencies are off.
pub fn check(plan: &Plan<'_>, config: &str) -> Result<usize> {
    let mut requested = before_arguments(plan)?;
    requested.extend_from_slice(&plan.argument_options);
    let lost = options::lost(&requested, config);
    if !lost.is_empty() {
        return Err(hinted(
            format!("the kernel dropped or changed requested options:\n{}", lost.join("\n")),
            "find their dependencies in the kernel's Kconfig files and request those too",
        ));
    }
    let names: BTreeSet<&str> = requested.iter().map(|option| option.name.as_str()).collect();
    Ok(names.len())
}
