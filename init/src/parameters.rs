//! Parameters for init, from the kernel command line and the site file.

use std::{ffi::OsString, path::Path};

use anyhow::Context as _;
use params::{Options, cmdline, parse_init_parameters, site};

use crate::{log::report, or_default};

const CMDLINE: &str = "/proc/cmdline";

/// Parameters of the kernel command line, in order.
pub(crate) fn read_cmdline() -> anyhow::Result<Vec<OsString>> {
    let line = std::fs::read(CMDLINE).with_context(|| format!("reading {CMDLINE}"))?;
    Ok(cmdline::split(&line))
}

/// Reads the site file and parses what init handles. Invalid parameters have no effect.
pub(crate) fn parse(kernel_parameters: &[OsString]) -> Options {
    let site = site::read_site_file_lossy(Path::new(site::SITE_FILE));
    let mut parameters = or_default(site.with_context(|| format!("reading {}", site::SITE_FILE)));
    parameters.extend(kernel_parameters.iter().map(|text| text.to_string_lossy().into_owned()));
    let (options, errors) = parse_init_parameters(&parameters);
    errors.iter().for_each(report::warn);
    options
}
