//! Build settings from the environment or `.env`: the times in the outputs, and kernel options.
//! Times default to `SOURCE_DATE_EPOCH`, then to commits; never to the time of day.

mod dotenv;
mod kernel_words;

use crate::config;
use crate::config::Problems;
use crate::host::project;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use jiff::Timestamp;
use std::collections::BTreeMap;
use xshell::Shell;
use xshell::cmd;

pub const FS_MTIME: &str = "FS_MTIME";
pub const KERNEL_BUILD_TIMESTAMP: &str = "KERNEL_BUILD_TIMESTAMP";
pub const KERNEL_CONFIG: &str = "KERNEL_CONFIG";
pub const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// All variables of a build.
pub const VARIABLES: [&str; 4] =
    [FS_MTIME, KERNEL_BUILD_TIMESTAMP, KERNEL_CONFIG, SOURCE_DATE_EPOCH];
/// Variables of `compose.yaml` alone, which `.env` may contain as well.
const COMPOSE_VARIABLES: [&str; 3] = ["INITRAMFS_ARGS", "REGISTRY_LISTEN", "VMLINUZ_ARGS"];

/// A commit whose time is the default of a variable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Commit {
    Head,
    /// The last one that changed `kernel/`, documents excepted. With the time of HEAD, every commit
    /// would need its own kernel, which takes half an hour.
    LastOfKernel,
}

/// The origin of a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    Environment,
    /// `.env`.
    File,
}

/// The settings of a build.
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
        let mut problems = Problems::new(".env");
        let variables = gather(&mut problems)?;
        let values = variables.into_iter().map(|(name, (value, _))| (name, value)).collect();
        match (problems.finish(), Self::resolve(&values, commit_time)) {
            (Ok(()), settings) => settings,
            (file, settings) => Err(config::join_errors([file.err(), settings.err()])),
        }
    }

    /// The settings for these values of [`VARIABLES`]. An empty value counts as not set.
    fn resolve(
        values: &BTreeMap<String, String>,
        commit_time: impl Fn(Commit) -> Result<Timestamp>,
    ) -> Result<Self> {
        let mut problems = Problems::new("environment or .env");
        let value = |name: &str| {
            values.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
        };
        let mut time = |name: &str, parse: fn(&str) -> Result<Timestamp, String>| {
            value(name).map(|text| problems.keep(name, parse(text)))
        };
        let epoch = time(SOURCE_DATE_EPOCH, parse_seconds);
        let fs_mtime = time(FS_MTIME, parse_time).or(epoch);
        let kernel_timestamp = time(KERNEL_BUILD_TIMESTAMP, parse_time).or(epoch);
        let words = kernel_words::parse(value(KERNEL_CONFIG).unwrap_or_default());
        let kernel_config = problems.keep(KERNEL_CONFIG, words).unwrap_or_default();
        problems.finish()?;
        // An invalid time is `Some(None)`, but then the line above has returned.
        let fs_mtime = fs_mtime.flatten().map_or_else(|| commit_time(Commit::Head), Ok)?;
        let kernel_timestamp =
            kernel_timestamp.flatten().map_or_else(|| commit_time(Commit::LastOfKernel), Ok)?;
        let fs_mtime = u32::try_from(fs_mtime.as_second())
            .with_context(|| format!("converting {fs_mtime} to the 32 bits of a newc time"))?;
        Ok(Self { fs_mtime, kernel_timestamp, kernel_config })
    }
}

fn gather(problems: &mut Problems) -> Result<BTreeMap<String, (String, Origin)>> {
    let file = match std::fs::read_to_string(project::root().join(".env")) {
        Ok(text) => dotenv::parse(&text, problems),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(error).context("reading .env"),
    };
    let mut variables: BTreeMap<_, _> =
        file.into_iter().map(|(name, value)| (name, (value, Origin::File))).collect();
    for (name, value) in VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))) {
        match value.into_string() {
            // Compose files and CI systems set variables to an empty value for "not set".
            Ok(value) if value.trim().is_empty() => {}
            Ok(value) => {
                drop(variables.insert((*name).to_owned(), (value, Origin::Environment)));
            }
            Err(value) => bail!("{name} in the environment is not UTF-8: {}", value.display()),
        }
    }
    Ok(variables)
}

/// The time of a commit.
fn commit_time(commit: Commit) -> Result<Timestamp> {
    let sh = Shell::new()?;
    sh.change_dir(project::root());
    let paths: &[&str] = match commit {
        Commit::Head => &[],
        Commit::LastOfKernel => &["--", "kernel", ":!kernel/*.md"],
    };
    let text =
        cmd!(sh, "git log -1 --format=%ct {paths...}").quiet().read().with_context(|| {
            let missing = format!("{FS_MTIME} or {KERNEL_BUILD_TIMESTAMP}");
            format!(
                "reading the time of the last commit for {missing}  hint: set {SOURCE_DATE_EPOCH}"
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
    in_range(text, time)
}

fn parse_seconds(text: &str) -> Result<Timestamp, String> {
    let seconds: i64 = text
        .parse()
        .map_err(|error| format!("invalid number of seconds since 1970 '{text}': {error}"))?;
    let time = Timestamp::from_second(seconds)
        .map_err(|error| format!("time '{text}' is out of range: {error}"))?;
    in_range(text, time)
}

fn in_range(text: &str, time: Timestamp) -> Result<Timestamp, String> {
    let holds = u32::try_from(time.as_second()).is_ok();
    holds
        .then_some(time)
        .ok_or_else(|| format!("time '{text}' is out of range: expected 1970 to February 2106"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn resolve(values: &[(&str, &str)]) -> Result<Settings> {
        let values =
            values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::resolve(&values, |commit| {
            Ok(Timestamp::from_second(if commit == Commit::Head { 9 } else { 7 })?)
        })
    }

    #[test]
    fn reads_times() {
        for (text, seconds) in [
            ("@0", 0),
            ("@1700000000", 1_700_000_000),
            ("2023-11-14T22:13:20Z", 1_700_000_000),
            ("2023-11-15T00:13:20+02:00", 1_700_000_000),
        ] {
            assert_eq!(parse_time(text).unwrap().as_second(), seconds, "{text}");
        }
        for text in [
            "",
            "@",
            "@x",
            "-1",
            "@-1",
            "2023-11-14",
            "2023-11-14T22:13:20",
            "2023-11-14T22:13:20.5Z",
            "@4294967296",
            "1960-01-01T00:00:00Z",
        ] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn prefers_the_more_specific_time() {
        for (values, files, kernel) in [
            (&[][..], 9, 7),
            (&[("SOURCE_DATE_EPOCH", "5")], 5, 5),
            (&[("SOURCE_DATE_EPOCH", "5"), ("FS_MTIME", "@6")], 6, 5),
            (&[("KERNEL_BUILD_TIMESTAMP", "@5")], 9, 5),
            (&[("FS_MTIME", ""), ("KERNEL_BUILD_TIMESTAMP", " ")], 9, 7),
        ] {
            let settings = resolve(values).unwrap();
            assert_eq!(
                (settings.fs_mtime, settings.kernel_timestamp.as_second()),
                (files, kernel),
                "{values:?}"
            );
        }
    }

    #[test]
    fn does_not_call_git_if_variables_are_set() {
        let values = BTreeMap::from([("SOURCE_DATE_EPOCH".to_owned(), "5".to_owned())]);
        assert_eq!(
            Settings::resolve(&values, |_| anyhow::bail!("git was called")).unwrap().fs_mtime,
            5
        );
    }

    #[test]
    fn reports_problems_with_their_variable() {
        let text = resolve(&[
            ("FS_MTIME", "yesterday"),
            ("KERNEL_BUILD_TIMESTAMP", "@-1"),
            ("KERNEL_CONFIG", "--enabel X"),
        ])
        .unwrap_err()
        .to_string();
        for fact in [
            "FS_MTIME: invalid time 'yesterday'",
            "KERNEL_BUILD_TIMESTAMP: time '-1'",
            "KERNEL_CONFIG",
            "did you mean '--enable'",
        ] {
            assert!(text.contains(fact), "{text}");
        }
    }

    #[test]
    fn compose_passes_all_variables_and_reads_only_its_own() {
        let compose = std::fs::read_to_string(project::root().join("compose.yaml")).unwrap();
        let passed = VARIABLES.iter().filter(|name| compose.contains(&format!("\n    - {name}\n")));
        assert_eq!(passed.count(), VARIABLES.len());
        let read: BTreeSet<_> =
            compose.split("${").skip(1).filter_map(|rest| rest.split([':', '}']).next()).collect();
        assert_eq!(read, BTreeSet::from(COMPOSE_VARIABLES));
    }

    #[test]
    fn example_has_every_variable_with_a_valid_value() {
        let example = std::fs::read_to_string(project::root().join(".env.example")).unwrap();
        let is_assignment = |line: &&str| {
            line.strip_prefix('#')
                .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_uppercase()))
        };
        let text = example
            .lines()
            .filter(is_assignment)
            .map(|line| line.trim_start_matches('#'))
            .collect::<Vec<_>>()
            .join("\n");
        let mut problems = Problems::new(".env.example");
        let values = dotenv::parse(&text, &mut problems);
        problems.finish().unwrap();
        let known: BTreeSet<_> = VARIABLES.into_iter().chain(COMPOSE_VARIABLES).collect();
        assert_eq!(values.keys().map(String::as_str).collect::<BTreeSet<_>>(), known);
        assert!(
            !Settings::resolve(&values, |_| anyhow::bail!("git was called"))
                .unwrap()
                .kernel_config
                .is_empty()
        );
    }
}
