//! Obtains pinned files from servers on loopback, with success and with every error.

mod paths;

use super::*;
use crate::{
    sources::{
        cache::tests::empty,
        download::tests::{answer, refusing_url, serve, serve_tls},
    },
    testbed::authority::ServerFiles,
};

const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

fn pin(url: &str) -> Pin {
    Pin {
        name: "part".to_owned(),
        version: "1.0".to_owned(),
        url: url.to_owned(),
        sha256: HELLO.to_owned(),
    }
}

fn sources(options: &SourceOptions) -> (tempfile::TempDir, Sources) {
    let (folder, cache) = empty();
    (folder, Sources::with(options, cache, Client::default()).unwrap())
}

fn locked() -> SourceOptions {
    SourceOptions { locked: true, ..SourceOptions::default() }
}

#[test]
fn fetches_once_then_uses_the_cache() {
    let (_folder, sources) = sources(&locked());
    let (url, server) = serve(answer("200 OK", 5, "hello"));
    let first = sources.upstream(&pin(&url)).unwrap().unwrap();
    server.join().unwrap();
    assert_eq!(std::fs::read_to_string(&first.path).unwrap(), "hello");
    assert_eq!((first.origin.as_str(), first.sha256.as_str()), (url.as_str(), HELLO));
    assert_eq!(sources.upstream(&pin(&url)).unwrap(), Some(first));
}

#[test]
fn fetches_a_damaged_file_again() {
    let (_folder, sources) = sources(&locked());
    let damaged = sources.cache.source_path(HELLO, "part.txt");
    std::fs::create_dir_all(damaged.parent().unwrap()).unwrap();
    std::fs::write(&damaged, "hellp").unwrap();
    let (url, server) = serve(answer("200 OK", 5, "hello"));
    sources.upstream(&pin(&url)).unwrap().unwrap();
    server.join().unwrap();
    assert_eq!(std::fs::read_to_string(&damaged).unwrap(), "hello");
}

#[test]
fn wrong_digest_is_an_error_and_keeps_the_file() {
    let (_folder, sources) = sources(&SourceOptions::default());
    let (url, server) = serve(answer("200 OK", 4, "evil"));
    let error = report::lines(&sources.upstream(&pin(&url)).unwrap_err());
    server.join().unwrap();
    let evidence = sources.cache.source_path(HELLO, "part.txt.wrong");
    assert_eq!(std::fs::read_to_string(&evidence).unwrap(), "evil");
    let found = output::digest(&evidence).unwrap();
    for part in [
        "source 'part': sha256 is ",
        HELLO,
        &found,
        &url,
        &evidence.display().to_string(),
        "\nhint:",
    ] {
        assert!(error.contains(part), "'{part}' is not in: {error}");
    }
    assert!(!sources.cache.source_path(HELLO, "part.txt").exists());
}

#[test]
fn unreachable_host_means_debian_unless_forbidden() {
    let url = refusing_url();
    let upstream = SourceOptions { sources: Some(SourceSet::Upstream), ..SourceOptions::default() };
    for (options, flag) in [
        (SourceOptions::default(), None),
        (locked(), Some("--locked")),
        (upstream, Some("--sources upstream")),
    ] {
        let (_folder, sources) = sources(&options);
        // The second result comes from memory, and is the same.
        for _ in 0..2 {
            match (sources.upstream(&pin(&url)), flag) {
                (Ok(found), None) => assert_eq!(found, None),
                (Err(error), Some(flag)) => {
                    let error = report::lines(&error);
                    assert!(error.contains(flag) && error.contains("--source-dir"), "{error}");
                }
                (outcome, _) => panic!("{flag:?}: {outcome:?}"),
            }
        }
    }
}

/// Even if Debian is allowed: a replaced host must not go unnoticed.
#[test]
fn untrusted_certificate_is_an_error() {
    let (_folder, sources) = sources(&SourceOptions::default());
    let (url, server) = serve_tls(&ServerFiles::make().unwrap());
    let error = format!("{:#}", sources.upstream(&pin(&url)).unwrap_err());
    server.join().unwrap();
    let expected = format!("source 'part': fetching {url}: the TLS certificate of '127.0.0.1:");
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn missing_file_on_a_reachable_host_is_an_error() {
    let (_folder, sources) = sources(&SourceOptions::default());
    let (url, server) = serve(answer("404 Not Found", 0, ""));
    let error = format!("{:#}", sources.upstream(&pin(&url)).unwrap_err());
    server.join().unwrap();
    assert_eq!(error, format!("source 'part': fetching {url}: the server answered 404"));
}

#[test]
fn debian_set_uses_no_host() {
    let (_folder, sources) =
        sources(&SourceOptions { sources: Some(SourceSet::Debian), ..SourceOptions::default() });
    assert_eq!(sources.upstream(&pin(&refusing_url())).unwrap(), None);
}

#[test]
fn source_dir_is_the_only_source() {
    let given = tempfile::tempdir().unwrap();
    let options =
        SourceOptions { source_dir: Some(given.path().to_path_buf()), ..SourceOptions::default() };
    let (_folder, sources) = sources(&options);
    let pin = pin("https://host.invalid/dir/part.txt?download");
    let error = format!("{:#}", sources.upstream(&pin).unwrap_err());
    assert!(error.contains(&given.path().join("part.txt").display().to_string()), "{error}");

    std::fs::write(given.path().join("part.txt"), "evil").unwrap();
    assert!(format!("{:#}", sources.upstream(&pin).unwrap_err()).contains("sha256 is "));

    std::fs::write(given.path().join("part.txt"), "hello").unwrap();
    assert_eq!(sources.upstream(&pin).unwrap().unwrap().origin, pin.url);
}

#[test]
fn rejects_contradicting_options() {
    let debian = SourceOptions { sources: Some(SourceSet::Debian), ..SourceOptions::default() };
    let cases = [
        SourceOptions { locked: true, ..debian.clone() },
        SourceOptions { source_dir: Some(PathBuf::from("/")), ..debian },
        SourceOptions {
            source_dir: Some(PathBuf::from("/nowhere/at/all")),
            ..SourceOptions::default()
        },
    ];
    for options in cases {
        let (_folder, cache) = empty();
        assert!(Sources::with(&options, cache, Client::default()).is_err(), "{options:?}");
    }
}
