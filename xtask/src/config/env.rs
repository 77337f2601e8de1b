//! Build settings from the environment or `.env`: the times in the outputs, and kernel options.
//! Times default to `SOURCE_DATE_EPOCH`, then to commits; never to the time of day.

mod dotenv;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use xshell::cmd;

use crate::{
    config::{Problems, unknown_name},
    host::{project, report::hinted},
};

pub const FS_MTIME: &str = "FS_MTIME";
pub const KERNEL_BUILD_TIMESTAMP: &str = "KERNEL_BUILD_TIMESTAMP";
pub const KERNEL_CONFIG: &str = "KERNEL_CONFIG";
pub const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// All variables of a build.
pub const VARIABLES: [&str; 4] =
    [FS_MTIME, KERNEL_BUILD_TIMESTAMP, KERNEL_CONFIG, SOURCE_DATE_EPOCH];
/// Variables of `compose.yaml` alone, which `.env` may contain as well.
const COMPOSE_VARIABLES: [&str; 3] = ["INITRAMFS_ARGS", "REGISTRY_LISTEN", "VMLINUZ_ARGS"];

/// The arguments of `git log` for the commits whose times are defaults: HEAD, and the last one that
/// changed `kernel/`, documents excepted. With the time of HEAD, every commit would need its own
/// kernel, which takes half an hour.
const HEAD: &[&str] = &[];
const LAST_OF_KERNEL: &[&str] = &["--", "kernel", ":!kernel/*.md"];

/// Options of `scripts/config` that change a configuration.
const KERNEL_FLAGS: [&str; 7] =
    ["--enable", "--disable", "--module", "--set-str", "--set-val", "--undefine", "--keep-case"];

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Modification time of all files in the initramfs, in seconds since 1970. newc has 32 bits.
    pub fs_mtime: u32,
    /// The build time that the kernel reports.
    pub kernel_timestamp: Timestamp,
    /// Checked arguments for the kernel's `scripts/config`.
    pub kernel_config: Vec<String>,
}

impl Settings {
    /// Reads the environment, `.env`, and git for missing times.
    pub fn read() -> Result<Self> {
        let mut problems = Problems::new("environment or .env");
        let variables = read_variables(&mut problems)?;
        Self::resolve(&variables, problems, commit_time)
    }

    /// The settings for these values of [`VARIABLES`]. An empty value counts as not set.
    fn resolve(
        values: &BTreeMap<String, String>,
        mut problems: Problems,
        commit_time: impl Fn(&[&str]) -> Result<Timestamp>,
    ) -> Result<Self> {
        let value = |name: &str| {
            values.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
        };
        let mut time = |name: &str, parse: fn(&str) -> Result<Timestamp, String>| {
            value(name).and_then(|text| problems.keep(name, parse(text)))
        };
        let epoch = time(SOURCE_DATE_EPOCH, parse_seconds);
        let fs_mtime = time(FS_MTIME, parse_time).or(epoch);
        let kernel_timestamp = time(KERNEL_BUILD_TIMESTAMP, parse_time).or(epoch);
        let kernel_config = parse_kernel_config(value(KERNEL_CONFIG).unwrap_or_default());
        let kernel_config = problems.keep(KERNEL_CONFIG, kernel_config).unwrap_or_default();
        problems.finish()?;
        let fs_mtime = fs_mtime.map_or_else(|| commit_time(HEAD), Ok)?;
        Ok(Self {
            fs_mtime: u32::try_from(fs_mtime.as_second())
                .with_context(|| format!("converting {fs_mtime} to the 32 bits of a newc time"))?,
            kernel_timestamp: kernel_timestamp.map_or_else(|| commit_time(LAST_OF_KERNEL), Ok)?,
            kernel_config,
        })
    }
}

/// The variables in `.env`, replaced by those of the environment.
fn read_variables(problems: &mut Problems) -> Result<BTreeMap<String, String>> {
    let mut variables = match std::fs::read_to_string(project::root().join(".env")) {
        Ok(text) => dotenv::parse(&text, problems),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(error).context("reading .env"),
    };
    for (name, value) in VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))) {
        let Some(text) = value.to_str() else {
            bail!("{name} in the environment is not UTF-8: {}", value.display());
        };
        // Compose files and CI systems set variables to an empty value for "not set".
        if !text.trim().is_empty() {
            variables.insert((*name).to_owned(), text.to_owned());
        }
    }
    Ok(variables)
}

/// Splits `KERNEL_CONFIG` like a shell into arguments for the kernel's `scripts/config`.
fn parse_kernel_config(text: &str) -> Result<Vec<String>, String> {
    let arguments = shlex::split(text).ok_or_else(|| format!("unclosed quote in '{text}'"))?;
    parse_kernel_options(&arguments).map(|_| arguments)
}

/// Parses arguments of `scripts/config` into names with `CONFIG_` and values as in a `.config`;
/// `None` is the default. Rejects what it would misread, and its flags that set no option.
pub fn parse_kernel_options(arguments: &[String]) -> Result<Vec<(String, Option<String>)>, String> {
    let (mut options, mut keep_case) = (Vec::new(), false);
    let mut rest = arguments.iter();
    while let Some(flag) = rest.next() {
        let fixed = match flag.as_str() {
            "--keep-case" | "-k" => {
                keep_case = true;
                continue;
            }
            "--enable" | "-e" => Some("y".to_owned()),
            "--disable" | "-d" => Some("n".to_owned()),
            "--module" | "-m" => Some("m".to_owned()),
            "--set-str" | "--set-val" | "--undefine" | "-u" => None,
            _ => return Err(unknown_name(flag, &KERNEL_FLAGS)),
        };
        let option =
            rest.next().ok_or_else(|| format!("missing name of an option after '{flag}'"))?;
        if option.is_empty()
            || !option.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return Err(format!(
                "invalid kernel option in '{flag} {option}': expected one like '{flag} CONFIG_NET'"
            ));
        }
        let mut text =
            || rest.next().ok_or_else(|| format!("missing value after '{flag} {option}'"));
        let value = match flag.as_str() {
            "--set-str" => Some(format!("\"{}\"", text()?.replace('"', "\\\""))),
            "--set-val" => Some(text()?.clone()),
            _ => fixed,
        };
        let name = option.strip_prefix("CONFIG_").unwrap_or(option);
        let name = if keep_case { name.to_owned() } else { name.to_ascii_uppercase() };
        options.push((format!("CONFIG_{name}"), value));
    }
    Ok(options)
}

fn commit_time(paths: &[&str]) -> Result<Timestamp> {
    let sh = project::shell()?;
    let text = cmd!(sh, "git log -1 --format=%ct {paths...}").quiet().read().map_err(|error| {
        let missing = format!("{FS_MTIME} or {KERNEL_BUILD_TIMESTAMP}");
        hinted(
            format!("reading the time of the last commit for {missing}: {error}"),
            format!("set {SOURCE_DATE_EPOCH}"),
        )
    })?;
    parse_seconds(&text).map_err(anyhow::Error::msg).context("parsing the time of the last commit")
}

/// Parses a time in RFC 3339 or as `@seconds`, in whole seconds from 1970 to the end of 32 bits.
fn parse_time(text: &str) -> Result<Timestamp, String> {
    if let Some(seconds) = text.strip_prefix('@') {
        return parse_seconds(seconds);
    }
    let time: Timestamp = text.parse().map_err(|error| {
        let expected = "expected RFC 3339, as in 2026-01-31T12:00:00Z, or @seconds";
        format!("invalid time '{text}': {expected} ({error})")
    })?;
    if time.subsec_nanosecond() != 0 {
        return Err(format!("invalid time '{text}': expected whole seconds"));
    }
    in_range(text, Some(time))
}

fn parse_seconds(text: &str) -> Result<Timestamp, String> {
    let seconds: i64 = text
        .parse()
        .map_err(|error| format!("invalid number of seconds since 1970 '{text}': {error}"))?;
    in_range(text, Timestamp::from_second(seconds).ok())
}

fn in_range(text: &str, time: Option<Timestamp>) -> Result<Timestamp, String> {
    time.filter(|time| u32::try_from(time.as_second()).is_ok())
        .ok_or_else(|| format!("time '{text}' is out of range: expected 1970 to February 2106"))
}

#[cfg(test)]
mod tests;
