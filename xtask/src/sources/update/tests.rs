//! Updates of copies of the project's own files, from servers on loopback that are laid out as the publishers' are.

mod signed;
mod upstreams;

use super::*;
use crate::cache::tests::empty;
use crate::download::fake::Answer;
use upstreams::Upstream;

fn updated(upstream: &Upstream, cache: &Cache, mode: Mode) -> Result<Outcome> {
    let site = Site::new(upstream.publisher, Client::default(), Trust::Transport);
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
fn the_newest_release_of_the_series_is_pinned() {
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
    let [Move { old, new }] = moves.as_slice() else { panic!("{moves:?}") };
    assert_eq!((old.version.as_str(), new.version.as_str()), ("6.12.109", "6.12.110"));
    assert!(new.url.ends_with("/linux-6.12.110.tar.xz") && old.sha256 != new.sha256, "{new:?}");
    // Nothing but the two values has changed.
    let wanted = before.replace("\"6.12.109\"", "\"6.12.110\"").replace(&old.sha256, &new.sha256);
    assert_eq!(upstream.text(), wanted);
    assert!(cache.source(&new.sha256, "linux-6.12.110.tar.xz").unwrap().is_some());
    let wanted = Outcome::Newest { name: "linux".to_owned(), version: "6.12.110".to_owned() };
    assert_eq!(updated(&upstream, &cache, Mode::Write).unwrap(), wanted);
}

#[test]
fn both_architectures_of_alpine_are_pinned() {
    let (_folder, cache) = empty();
    let upstream = Upstream::alpine("3.23.4");
    upstream.publish_alpine("x86_64", "3.23.5");
    upstream.publish_alpine("aarch64", "3.23.5");
    let before = upstream.text();
    let Outcome::Moved(moves) = updated(&upstream, &cache, Mode::Write).unwrap() else { panic!() };
    let mut wanted = before.replace("\"3.23.4\"", "\"3.23.5\"");
    for Move { old, new } in &moves {
        wanted = wanted.replace(&old.sha256, &new.sha256);
        assert!(cache.source(&new.sha256, new.file_name()).unwrap().is_some());
    }
    assert_eq!((moves.len(), upstream.text()), (2, wanted));
}

#[test]
fn a_release_for_one_architecture_waits_for_the_other() {
    let (_folder, cache) = empty();
    let upstream = Upstream::alpine("3.23.4");
    upstream.publish_alpine("aarch64", "3.23.4");
    upstream.publish_alpine("x86_64", "3.23.4");
    upstream.pin_as_published();
    upstream.publish_alpine("x86_64", "3.23.5");
    let before = upstream.text();
    assert!(matches!(updated(&upstream, &cache, Mode::Write).unwrap(), Outcome::Newest { .. }));
    assert_eq!(upstream.text(), before);
}

#[test]
fn both_architectures_change_or_none() {
    let upstream = Upstream::alpine("3.23.4");
    upstream.publish_alpine("x86_64", "3.23.5");
    upstream.publish_alpine("aarch64", "3.23.5");
    upstream.answer("aarch64/alpine-minirootfs-3.23.5-aarch64.tar.gz", Answer::Status(404));
    let error = refused(&upstream);
    assert!(error.ends_with("aarch64.tar.gz: the server answered 404"), "{error}");
}

#[test]
fn telling_changes_no_file() {
    let (_folder, cache) = empty();
    let upstream = Upstream::linux("6.12.109");
    upstream.publish_linux(&["6.12.110"]);
    let before = upstream.text();
    assert!(matches!(updated(&upstream, &cache, Mode::Tell).unwrap(), Outcome::Moved(_)));
    assert_eq!(upstream.text(), before);
}

#[test]
fn an_older_release_is_never_chosen() {
    let upstream = Upstream::linux("6.12.109");
    upstream.publish_linux(&["6.12.108", "6.13.1"]);
    // Nor is the pin good: the list does not have it.
    let error = refused(&upstream);
    assert!(error.ends_with("sha256sums.asc has no digest of 'linux-6.12.109.tar.xz'"), "{error}");
}

#[test]
fn another_series_is_never_chosen() {
    let upstream = Upstream::linux("6.12.109");
    upstream.publish_linux(&["6.13.1", "7.12.110"]);
    let error = refused(&upstream);
    assert!(error.contains("names no 'linux-….tar.xz' of the series of 6.12.109"), "{error}");
}

#[test]
fn bytes_have_to_be_those_of_the_published_digest() {
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
        assert!(error.contains(", its publisher says ") && error.contains("sha256 of "), "{error}");
    }
}

#[test]
fn a_pin_that_is_not_what_is_published_is_told() {
    let upstream = Upstream::linux("6.12.109");
    upstream.publish_linux(&["6.12.109"]);
    let error = refused(&upstream);
    assert!(error.starts_with("linux 6.12.109 is pinned with sha256 5484e552"), "{error}");
}

#[test]
fn a_host_that_lists_nothing_changes_nothing() {
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
