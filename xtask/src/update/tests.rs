//! Updates copies of the project's files from servers on loopback with the publishers' layout.

mod signed;
mod upstreams;

use upstreams::Upstream;

use super::*;
use crate::sources::{cache::tests::empty, download::tests::fake::Answer};

fn updated(upstream: &Upstream, cache: &Cache, mode: Mode) -> Result<Outcome> {
    let site = Site {
        publisher: upstream.publisher,
        client: Client::default(),
        keys: TrustedKeys::default(),
    };
    update(&upstream.file, &site, cache, mode)
}

fn refused(upstream: &Upstream) -> String {
    let (_folder, cache) = empty();
    let before = upstream.text();
    let error = format!("{:#}", updated(upstream, &cache, Mode::Write).unwrap_err());
    assert_eq!(upstream.text(), before, "changed in spite of: {error}");
    error
}

#[test]
fn pins_newest_release_of_the_series() {
    let (_folder, cache) = empty();
    let upstream = Upstream::linux("6.12.109");
    upstream.publish_linux(&[
        "6.12.109",
        "6.12.110",
        "6.12.99",
        "6.13.5",
        "6.1.200",
        "6.12.111-rc1",
    ]);
    let before = upstream.text();
    let Outcome::Moved(moves) = updated(&upstream, &cache, Mode::Write).unwrap() else { panic!() };
    let [(old, new)] = moves.as_slice() else { panic!("{moves:?}") };
    assert_eq!((old.version.as_str(), new.version.as_str()), ("6.12.109", "6.12.110"));
    assert!(new.url.ends_with("/linux-6.12.110.tar.xz") && old.sha256 != new.sha256, "{new:?}");
    // Nothing but the two values has changed.
    let wanted = before.replace("\"6.12.109\"", "\"6.12.110\"").replace(&old.sha256, &new.sha256);
    assert_eq!(upstream.text(), wanted);
    assert!(cache.source(&new.sha256, "linux-6.12.110.tar.xz").unwrap().is_some());
    assert_eq!(updated(&upstream, &cache, Mode::Write).unwrap(), Outcome::Newest(new.clone()));
}

#[test]
fn pins_both_architectures_of_alpine() {
    let (_folder, cache) = empty();
    let upstream = Upstream::alpine("3.23.4");
    upstream.publish_alpine("x86_64", "3.23.5");
    upstream.publish_alpine("aarch64", "3.23.5");
    let before = upstream.text();
    let Outcome::Moved(moves) = updated(&upstream, &cache, Mode::Write).unwrap() else { panic!() };
    let mut wanted = before.replace("\"3.23.4\"", "\"3.23.5\"");
    for (old, new) in &moves {
        wanted = wanted.replace(&old.sha256, &new.sha256);
        assert!(cache.source(&new.sha256, new.file_name()).unwrap().is_some());
    }
    assert_eq!((moves.len(), upstream.text()), (2, wanted));
}

#[test]
fn ignores_release_for_one_architecture() {
    let (_folder, cache) = empty();
    let upstream = Upstream::alpine("3.23.4");
    upstream.publish_alpine("aarch64", "3.23.4");
    upstream.publish_alpine("x86_64", "3.23.4");
    upstream.pin_as_published();
    upstream.publish_alpine("x86_64", "3.23.5");
    let before = upstream.text();
    assert!(matches!(updated(&upstream, &cache, Mode::Write).unwrap(), Outcome::Newest(_)));
    assert_eq!(upstream.text(), before);
}

#[test]
fn changes_both_architectures_or_none() {
    let upstream = Upstream::alpine("3.23.4");
    upstream.publish_alpine("x86_64", "3.23.5");
    upstream.publish_alpine("aarch64", "3.23.5");
    upstream.answer("aarch64/alpine-minirootfs-3.23.5-aarch64.tar.gz", Answer::Status(404));
    let error = refused(&upstream);
    assert!(error.ends_with("aarch64.tar.gz: the server answered 404"), "{error}");
}

#[test]
fn dry_run_changes_nothing() {
    let (_folder, cache) = empty();
    let upstream = Upstream::linux("6.12.109");
    upstream.publish_linux(&["6.12.110"]);
    let before = upstream.text();
    assert!(matches!(updated(&upstream, &cache, Mode::DryRun).unwrap(), Outcome::Moved(_)));
    assert_eq!(upstream.text(), before);
}

#[test]
fn never_chooses_older_release() {
    let upstream = Upstream::linux("6.12.109");
    upstream.publish_linux(&["6.12.108", "6.13.1"]);
    // Nor is the pin good: the list does not have it.
    let error = refused(&upstream);
    assert!(error.ends_with("sha256sums.asc has no digest of 'linux-6.12.109.tar.xz'"), "{error}");
}

#[test]
fn never_chooses_another_series() {
    let upstream = Upstream::linux("6.12.109");
    upstream.publish_linux(&["6.13.1", "7.12.110"]);
    let error = refused(&upstream);
    assert!(error.contains("lists no 'linux-….tar.xz' of the series of 6.12.109"), "{error}");
}

#[test]
fn rejects_bytes_with_another_digest() {
    let linux = Upstream::linux("6.12.109");
    linux.publish_linux(&["6.12.110"]);
    linux.answer("linux-6.12.110.tar.xz", Answer::File(b"evil".to_vec()));
    let alpine = Upstream::alpine("3.23.4");
    alpine.publish_alpine("x86_64", "3.23.5");
    alpine.publish_alpine("aarch64", "3.23.5");
    alpine
        .answer("aarch64/alpine-minirootfs-3.23.5-aarch64.tar.gz", Answer::File(b"evil".to_vec()));
    for upstream in [linux, alpine] {
        let error = refused(&upstream);
        assert!(
            error.contains(", the published one is ") && error.contains("sha256 of "),
            "{error}"
        );
    }
}

#[test]
fn reports_pin_that_differs_from_published_digest() {
    let upstream = Upstream::linux("6.12.109");
    upstream.publish_linux(&["6.12.109"]);
    let error = refused(&upstream);
    assert!(error.starts_with("linux 6.12.109 is pinned with sha256 5484e552"), "{error}");
}

#[test]
fn changes_nothing_without_a_list() {
    let linux = Upstream::linux("6.12.109");
    let alpine = Upstream::alpine("3.23.4");
    for (upstream, list) in [(&linux, "sha256sums.asc"), (&alpine, "x86_64/latest-releases.yaml")] {
        let url = upstream.url(list);
        assert_eq!(refused(upstream), format!("fetching {url}: the server answered 404"));
        upstream.answer(list, Answer::Cut(b"-".to_vec()));
        assert_eq!(
            refused(upstream),
            format!("fetching {url}: the transfer ended after 1 of 2 bytes")
        );
        upstream.answer(list, Answer::File(b"<html>welcome</html>".to_vec()));
        refused(upstream);
    }
}

#[test]
fn changes_values_and_keeps_the_rest() {
    let text = "# head\n\n[a]   # table\nversion   =  \"1\"  # why\nother = 'x'\n[a.sha256]\narm64 = \"12\"\n# end";
    let changes =
        [("a.version", "2"), ("a.sha256.arm64", "34")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(
        with_values(text, &changes).unwrap(),
        text.replace("\"1\"", "\"2\"").replace("\"12\"", "\"34\"")
    );
}

#[test]
fn rejects_missing_keys() {
    for key in ["b", "a.c", "a"] {
        let error =
            with_values("[a]\nb = \"1\"\n", &[(key.to_owned(), String::new())]).unwrap_err();
        assert_eq!(error.to_string(), format!("key '{key}' not found"));
    }
}
