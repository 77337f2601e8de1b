//! The settings a build takes from variables: the times that go into its outputs, and options of the kernel. Each comes from the environment, else from
//! `.env`, else (the times) from `SOURCE_DATE_EPOCH`, else from git. The time of day is never asked for.

mod dotenv;
mod kernel_words;

use crate::config;
use crate::config::Faults;
use crate::project;
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

/// Every variable that a build reads.
pub const VARIABLES: [&str; 4] =
    [FS_MTIME, KERNEL_BUILD_TIMESTAMP, KERNEL_CONFIG, SOURCE_DATE_EPOCH];
/// Those that only `compose.yaml` reads. They may stand in `.env` as well.
const OF_COMPOSE: [&str; 3] = ["INITRAMFS_ARGS", "REGISTRY_LISTEN", "VMLINUZ_ARGS"];

/// A commit whose time stands in for a variable that is not set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Commit {
    Head,
    /// The last one that changed anything below `kernel/` but its documents. With HEAD's time every commit would need a kernel of its own, and half an hour for it.
    OfKernel,
}

/// Where the value of a variable stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    Environment,
    /// `.env`.
    File,
}

/// What a build takes from variables.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The modification time of everything in the initramfs, in seconds since 1970. The archive's format has 32 bits for it.
    pub fs_mtime: u32,
    /// When the kernel says it was built.
    pub kernel_timestamp: Timestamp,
    /// Arguments for the kernel's `scripts/config`, already checked.
    pub kernel_config: Vec<String>,
}

impl Settings {
    /// Reads the environment, `.env`, and git where neither says enough.
    pub fn read() -> Result<Self> {
        let mut faults = Faults::new(".env");
        let variables = gather(&mut faults)?;
        let values = variables.into_iter().map(|(name, (value, _))| (name, value)).collect();
        match (faults.finish(), Self::resolve(&values, commit_time)) {
            (Ok(()), settings) => settings,
            (file, settings) => Err(config::join_errors([file.err(), settings.err()])),
        }
    }

    /// The settings that `values` give by the names of [`VARIABLES`]. An empty value counts as none.
    fn resolve(
        values: &BTreeMap<String, String>,
        commit_time: impl Fn(Commit) -> Result<Timestamp>,
    ) -> Result<Self> {
        let mut faults = Faults::new("environment or .env");
        let value = |name: &str| {
            values.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
        };
        let mut time = |name: &str, parse: fn(&str) -> Result<Timestamp, String>| {
            value(name).map(|text| faults.keep(name, parse(text)))
        };
        let epoch = time(SOURCE_DATE_EPOCH, parse_seconds);
        let fs_mtime = time(FS_MTIME, parse_time).or(epoch);
        let kernel_timestamp = time(KERNEL_BUILD_TIMESTAMP, parse_time).or(epoch);
        let kernel_config = faults.keep_or_default(
            KERNEL_CONFIG,
            kernel_words::parse(value(KERNEL_CONFIG).unwrap_or_default()),
        );
        faults.finish()?;
        // `flatten` loses nothing here: a time that was given and is wrong is a fault, and faults have ended this function.
        let fs_mtime = fs_mtime.flatten().map_or_else(|| commit_time(Commit::Head), Ok)?;
        let kernel_timestamp =
            kernel_timestamp.flatten().map_or_else(|| commit_time(Commit::OfKernel), Ok)?;
        let fs_mtime = u32::try_from(fs_mtime.as_second()).with_context(|| {
            format!("fitting {fs_mtime} into the 32 bits a cpio archive has for a time")
        })?;
        Ok(Self { fs_mtime, kernel_timestamp, kernel_config })
    }
}

/// The variables of [`VARIABLES`] that are set, each with its value and where that stands.
pub fn variables() -> Result<BTreeMap<String, (String, Origin)>> {
    let mut faults = Faults::new(".env");
    let variables = gather(&mut faults)?;
    faults.finish().map(|()| variables)
}

fn gather(faults: &mut Faults) -> Result<BTreeMap<String, (String, Origin)>> {
    let file = match std::fs::read_to_string(project::root().join(".env")) {
        Ok(text) => dotenv::parse(&text, faults),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(error).context("reading .env"),
    };
    let mut variables: BTreeMap<_, _> =
        file.into_iter().map(|(name, value)| (name, (value, Origin::File))).collect();
    for (name, value) in VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))) {
        match value.into_string() {
            // Set to nothing is how compose files and CI systems say "not set".
            Ok(value) if value.trim().is_empty() => {}
            Ok(value) => {
                drop(variables.insert((*name).to_owned(), (value, Origin::Environment)));
            }
            Err(value) => bail!("{name} in the environment is no text: {}", value.display()),
        }
    }
    Ok(variables)
}

/// When a commit was made.
fn commit_time(commit: Commit) -> Result<Timestamp> {
    let sh = Shell::new()?;
    sh.change_dir(project::root());
    let paths: &[&str] = match commit {
        Commit::Head => &[],
        Commit::OfKernel => &["--", "kernel", ":!kernel/*.md"],
    };
    let text = cmd!(sh, "git log -1 --format=%ct {paths...}").quiet().read().with_context(|| {
        format!("finding the time of the last commit, as neither {FS_MTIME} and {KERNEL_BUILD_TIMESTAMP} nor {SOURCE_DATE_EPOCH} are set (hint: set {SOURCE_DATE_EPOCH}, or all of them in .env, see .env.example)")
    })?;
    parse_seconds(&text).map_err(anyhow::Error::msg).context("reading the time of the last commit")
}

/// A time as people write it (RFC 3339) or as `date` takes it (`@seconds`). Whole seconds, not before 1970 and not after what the outputs can hold.
fn parse_time(text: &str) -> Result<Timestamp, String> {
    if let Some(seconds) = text.strip_prefix('@') {
        return parse_seconds(seconds);
    }
    let time: Timestamp =
        text.parse().map_err(|fact| format!("'{text}' is no time ({fact}); wanted: RFC 3339, as in 2026-01-31T12:00:00Z, or @seconds"))?;
    if time.subsec_nanosecond() != 0 {
        return Err(format!("'{text}' has a fraction of a second; wanted: whole seconds"));
    }
    in_range(text, time)
}

fn parse_seconds(text: &str) -> Result<Timestamp, String> {
    let seconds: i64 = text
        .parse()
        .map_err(|fact| format!("'{text}' is no number of seconds since 1970 ({fact})"))?;
    let time = Timestamp::from_second(seconds)
        .map_err(|fact| format!("'{text}' is out of range ({fact})"))?;
    in_range(text, time)
}

fn in_range(text: &str, time: Timestamp) -> Result<Timestamp, String> {
    let holds = u32::try_from(time.as_second()).is_ok();
    holds.then_some(time).ok_or_else(|| {
        format!("'{text}' is out of range; wanted: a time from 1970 to February 2106")
    })
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
    fn does_not_ask_git_where_variables_say_enough() {
        let values = BTreeMap::from([("SOURCE_DATE_EPOCH".to_owned(), "5".to_owned())]);
        assert_eq!(
            Settings::resolve(&values, |_| anyhow::bail!("git was asked")).unwrap().fs_mtime,
            5
        );
    }

    #[test]
    fn tells_every_fault_with_its_variable() {
        let text = resolve(&[
            ("FS_MTIME", "yesterday"),
            ("KERNEL_BUILD_TIMESTAMP", "@-1"),
            ("KERNEL_CONFIG", "--enabel X"),
        ])
        .unwrap_err()
        .to_string();
        for fact in [
            "FS_MTIME 'yesterday'",
            "KERNEL_BUILD_TIMESTAMP '-1'",
            "KERNEL_CONFIG",
            "did you mean '--enable'",
        ] {
            assert!(text.contains(fact), "{text}");
        }
    }

    #[test]
    fn compose_passes_every_variable_on_and_reads_no_unknown_ones() {
        let compose = std::fs::read_to_string(project::root().join("compose.yaml")).unwrap();
        let passed = VARIABLES.iter().filter(|name| compose.contains(&format!("\n    - {name}\n")));
        assert_eq!(passed.count(), VARIABLES.len());
        let read: BTreeSet<_> =
            compose.split("${").skip(1).filter_map(|rest| rest.split([':', '}']).next()).collect();
        assert_eq!(read, BTreeSet::from(OF_COMPOSE));
    }

    #[test]
    fn the_example_names_every_variable_and_its_values_are_right() {
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
        let mut faults = Faults::new(".env.example");
        let values = dotenv::parse(&text, &mut faults);
        faults.finish().unwrap();
        let known: BTreeSet<_> = VARIABLES.into_iter().chain(OF_COMPOSE).collect();
        assert_eq!(values.keys().map(String::as_str).collect::<BTreeSet<_>>(), known);
        assert!(
            !Settings::resolve(&values, |_| anyhow::bail!("git was asked"))
                .unwrap()
                .kernel_config
                .is_empty()
        );
    }
}
