//! All outcomes for a source: what a host does, combined with what the user allows.

use std::path::Path;

use super::{HELLO, pin};
use crate::{
    host::report,
    sources::{
        SourceOptions, SourceSet, Sources,
        cache::tests::empty,
        download::{
            Client,
            tests::{
                again,
                fake::{Answer, FakeUpstream},
                hasty, refusing_url,
            },
        },
    },
};

/// What a build gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    /// The pinned file.
    Pinned,
    /// A warning, and Debian's archive instead.
    Debian,
    /// An error with this text.
    Rejected(&'static str),
}

use Outcome::{Debian, Pinned, Rejected};

/// The options of the user, in the order of the table's columns.
fn columns(folder: &Path) -> [SourceOptions; 5] {
    let default = SourceOptions::default();
    [
        default.clone(),
        SourceOptions { locked: true, ..default.clone() },
        SourceOptions { sources: Some(SourceSet::Upstream), ..default.clone() },
        SourceOptions { source_dir: Some(folder.to_path_buf()), ..default.clone() },
        SourceOptions { offline: true, ..default },
    ]
}

fn obtained(url: &str, options: &SourceOptions, client: &Client) -> Result<Option<String>, String> {
    let (_folder, cache) = empty();
    let sources = Sources::with(options, cache, client.clone()).unwrap();
    match sources.upstream(&pin(url)) {
        Ok(found) => Ok(found.map(|source| std::fs::read_to_string(source.path).unwrap())),
        Err(error) => Err(report::lines(&error)),
    }
}

fn check(what: &str, expected: Outcome, found: &Result<Option<String>, String>) {
    let is_right = match (expected, found) {
        (Pinned, Ok(Some(text))) => text == "hello",
        (Debian, Ok(None)) => true,
        (Rejected(text), Err(error)) => error.contains(text),
        _ => false,
    };
    assert!(is_right, "{what}: expected {expected:?}, found {found:?}");
}

/// Fetches with the options of each column. In the last two, no host is used.
fn check_row(what: &str, url: &str, client: &Client, [default, locked, upstream]: [Outcome; 3]) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("part.txt"), "hello").unwrap();
    let row = [default, locked, upstream, Pinned, Debian];
    for (options, expected) in columns(folder.path()).iter().zip(row) {
        check(&format!("{what}, {options:?}"), expected, &obtained(url, options, client));
    }
}

#[test]
fn answers_of_a_host_have_outcomes() {
    let dead = refusing_url();
    let bytes = |text: &str| text.as_bytes().to_vec();
    let moved = |to: &str| Answer::Redirect(to.to_owned());
    let host = FakeUpstream::start([
        ("/right/part.txt", Answer::File(bytes("hello"))),
        ("/wrong/part.txt", Answer::File(bytes("evil"))),
        ("/empty/part.txt", Answer::File(Vec::new())),
        ("/cut/part.txt", Answer::Cut(bytes("hello"))),
        ("/broken/part.txt", Answer::Status(500)),
        ("/busy/part.txt", Answer::Status(503)),
        ("/moved/part.txt", moved("/right/part.txt")),
        ("/moved-to-wrong/part.txt", moved("/wrong/part.txt")),
        ("/moved-away/part.txt", moved("/nowhere")),
        ("/moved-in-a-circle/part.txt", moved("/moved-in-a-circle/part.txt")),
        ("/moved-to-dead/part.txt", moved(&dead)),
    ]);
    let same = |text| [Rejected(text); 3];
    let fallback = [Debian, Rejected("--locked allows no other"), Rejected("--sources upstream")];
    for (case, row) in [
        ("right", [Pinned; 3]),
        ("wrong", same("sha256 is ")),
        ("empty", same("sha256 is ")),
        ("cut", same("the transfer ended after 5 of 6 bytes")),
        ("missing", same("the server answered 404")),
        ("broken", same("the server answered 500")),
        ("busy", same("the server answered 503")),
        ("moved", [Pinned; 3]),
        ("moved-to-wrong", same("sha256 is ")),
        ("moved-away", same("the server answered 404")),
        ("moved-in-a-circle", same("more than 5 redirects")),
        ("moved-to-dead", fallback),
    ] {
        check_row(case, &host.url(&format!("/{case}/part.txt")), &Client::default(), row);
    }
    check_row("refused", &dead, &Client::default(), fallback);
    check_row("unknown", "http://host.invalid/part.txt", &Client::default(), fallback);
}

/// Separate, because a short timeout could fail the other cases.
#[test]
fn silence_of_a_host_has_outcomes() {
    let host = FakeUpstream::start([
        ("/stall/part.txt", Answer::Stall(b"hello".to_vec())),
        ("/silence/part.txt", Answer::Silence),
    ]);
    let fallback = [Debian, Rejected("--locked allows no other"), Rejected("--sources upstream")];
    for case in ["stall", "silence"] {
        check_row(case, &host.url(&format!("/{case}/part.txt")), &hasty(100), fallback);
    }
}

#[test]
fn sends_no_forbidden_request() {
    let host = FakeUpstream::start([("/part.txt", Answer::File(b"hello".to_vec()))]);
    let url = host.url("/part.txt");
    let folder = tempfile::tempdir().unwrap();
    let [_, _, _, folder_only, offline] = columns(folder.path());
    let both = SourceOptions { offline: true, ..folder_only.clone() };
    let locked = SourceOptions { locked: true, ..offline.clone() };
    let upstream = SourceOptions { sources: Some(SourceSet::Upstream), ..offline.clone() };
    for (content, options, expected) in [
        (None, &folder_only, Rejected("part.txt not found\nhint: download it from http://")),
        (None, &both, Rejected("part.txt not found\nhint: download it from http://")),
        (None, &offline, Debian),
        (
            None,
            &locked,
            Rejected(
                "--offline forbids downloads, and --locked allows no other source\n\
                 hint: run once without --offline, pass the directory of part.txt",
            ),
        ),
        (None, &upstream, Rejected("and --sources upstream allows no other source")),
        (Some("evil"), &folder_only, Rejected("sha256 is ")),
        (Some("evil"), &both, Rejected("sha256 is ")),
        (Some("hello"), &folder_only, Pinned),
        (Some("hello"), &both, Pinned),
    ] {
        let file = folder.path().join("part.txt");
        std::fs::remove_file(&file).ok();
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let found = obtained(&url, options, &Client::default());
        check(&format!("{content:?} {options:?}"), expected, &found);
    }
    assert_eq!(host.requests(), Vec::<String>::new());
}

#[test]
fn cached_file_needs_no_source() {
    let given = tempfile::tempdir().unwrap();
    for options in columns(given.path()) {
        let (_folder, cache) = empty();
        let mut file = cache.temporary_file().unwrap();
        std::io::Write::write_all(&mut file, b"hello").unwrap();
        cache.store_source(file, HELLO, "part.txt").unwrap();
        let sources = Sources::with(&options, cache, Client::default()).unwrap();
        let found = sources.upstream(&pin("http://host.invalid/part.txt")).unwrap();
        assert!(found.is_some(), "{options:?}");
    }
}

#[test]
fn second_process_falls_back() {
    if again::is_second() {
        let url = "http://host.invalid/part.txt";
        for options in
            [SourceOptions::default(), SourceOptions { offline: true, ..SourceOptions::default() }]
        {
            assert_eq!(obtained(url, &options, &Client::default()), Ok(None));
        }
    }
}

#[test]
fn replacement_by_debian_is_a_warning() {
    let output = again::run("sources::tests::paths::second_process_falls_back", &[]);
    for reason in [
        "'host.invalid' cannot be reached: ",
        "http://host.invalid/part.txt is not in the cache, and --offline forbids downloads; ",
    ] {
        assert!(output.contains(&format!("xtask: warning: {reason}")), "{output}");
    }
    assert_eq!(
        output.matches("using Debian packages instead of 'part' 1.0. They are not pinned").count(),
        2
    );
}
