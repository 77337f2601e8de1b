//! Settings from variables, kernel options, and the project's example file.

use std::collections::BTreeSet;

use super::*;

fn resolve_from(
    values: &BTreeMap<String, String>,
    commit_time: impl Fn(&[&str]) -> Result<Timestamp>,
) -> Result<Settings> {
    Settings::resolve(values, Problems::new("environment or .env"), commit_time)
}

fn resolve(values: &[(&str, &str)]) -> Result<Settings> {
    let values =
        values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    resolve_from(&values, |commit| Ok(Timestamp::from_second(if commit == HEAD { 9 } else { 7 })?))
}

#[test]
fn parses_times() {
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
    assert_eq!(resolve_from(&values, |_| anyhow::bail!("git was called")).unwrap().fs_mtime, 5);
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
        !resolve_from(&values, |_| anyhow::bail!("git was called"))
            .unwrap()
            .kernel_config
            .is_empty()
    );
}

#[test]
fn splits_kernel_options_at_space_outside_quotes() {
    for (text, words) in [
        ("", &[][..]),
        ("  -e  A\n-d B ", &["-e", "A", "-d", "B"]),
        ("--set-str A \"x y\"", &["--set-str", "A", "x y"]),
        ("--set-str A ''", &["--set-str", "A", ""]),
        ("--set-str A a\"b c\"'d\"e'", &["--set-str", "A", "ab cd\"e"]),
        (
            "--keep-case --set-val a 0x10 -u CONFIG_B -m C",
            &["--keep-case", "--set-val", "a", "0x10", "-u", "CONFIG_B", "-m", "C"],
        ),
    ] {
        assert_eq!(parse_kernel_config(text).unwrap(), words, "{text}");
    }
}

#[test]
fn rejects_invalid_kernel_options() {
    for (text, fact) in [
        ("--enabel A", "did you mean '--enable'"),
        ("A", "unknown 'A'"),
        ("-e", "missing name"),
        ("-e --disable A", "invalid kernel option"),
        ("-e A;reboot", "invalid kernel option"),
        ("--set-val A", "missing value"),
        ("--file /etc/passwd", "unknown '--file'"),
        ("--set-str A \"x", "unclosed quote"),
        ("''", "unknown ''"),
    ] {
        let error = parse_kernel_config(text).unwrap_err();
        assert!(error.contains(fact), "{text}: {error}");
    }
}
