//! Folders as sites keep them, and what becomes of them: a golden listing, the same bytes again, and each refusal.

use super::*;
use crate::test::golden;
use crate::testbed::authority::ServerFiles;
use std::fs::File;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::symlink;
use std::time::Duration;
use std::time::UNIX_EPOCH;
use tempfile::TempDir;

const KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAH90JUfaWgqlnv6ffeTaAMCH93O6kRhHlwynB9oaH0H4=\n\
    -----END PUBLIC KEY-----\n";
const LOGIN: &str = r#"{"auths":{"registry.example":{"auth":"dTpw"}}}"#;

/// Every kind of file of a site. Certificates differ between runs, so they are a parameter.
fn files(authority: &str) -> Vec<(&str, &str)> {
    vec![
        ("ca.d/site.pem", authority),
        ("ca.d/old.pem", authority),
        ("keys.d/site.pub", KEY),
        ("keys.d/old.pem", KEY),
        ("auth.json", LOGIN),
        ("parameters", "# all our machines\noci.tag=registry.example/os:1\n"),
        ("hooks/before", "#!/bin/sh\necho before\n"),
        ("hooks/after", "#!/bin/sh\necho after\n"),
        ("hooks/failed", "#!/bin/sh\necho failed\n"),
        ("firmware/maker/card-1.0.fw.zst", "bits"),
        ("firmware/.git/config", ""),
        (".gitignore", "auth.json\n"),
        ("ca.d/.keep", ""),
    ]
}

fn folder<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn rejection(folder: &TempDir) -> String {
    let error = format!("{:#}", pack(folder.path()).unwrap_err());
    error.replace(&folder.path().display().to_string(), "DIR")
}

#[test]
fn matches_the_golden_listing() {
    let authority = ServerFiles::make().unwrap().authority;
    let overlay = pack(folder(files(&authority)).path()).unwrap();
    let mut records = newc::read(&gzip::decompress(&overlay.bytes).unwrap()).unwrap();
    for record in records.iter_mut().filter(|record| record.path.contains("/ca.d/")) {
        assert_eq!(record.content, authority.as_bytes());
        record.content.clear();
    }
    golden::check("overlay.txt", &golden::listing(&records));
    assert!(records.iter().all(|record| record.mtime == 0));
}

#[test]
fn the_same_directory_gives_the_same_bytes() {
    let authority = ServerFiles::make().unwrap().authority;
    let (one, other) = (folder(files(&authority)), folder(files(&authority).into_iter().rev()));
    for (path, _) in files(&authority) {
        let path = other.path().join(path);
        // What another umask leaves behind, on another day.
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        File::open(&path).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(7)).unwrap();
    }
    std::fs::set_permissions(other.path().join("hooks"), Permissions::from_mode(0o700)).unwrap();
    assert!(pack(one.path()).unwrap().bytes == pack(other.path()).unwrap().bytes);
}

/// It can follow another archive, and another one can follow it.
#[test]
fn the_archive_is_one_gzip_member_of_whole_blocks() {
    let overlay = pack(folder([("parameters", "wait\n")]).path()).unwrap();
    assert_eq!(overlay.bytes[..4], [0x1f, 0x8b, 8, 0]);
    assert_eq!(gzip::decompress(&overlay.bytes).unwrap().len() % 512, 0);
}

#[test]
fn only_overlays_with_credentials_are_private() {
    for (name, text, mode) in [("parameters", "wait\n", 0o644), ("auth.json", LOGIN, 0o600)] {
        let (site, to) = (folder([(name, text)]), tempfile::tempdir().unwrap());
        let output = to.path().join("overlay");
        run(&Args { dir: site.path().to_owned(), output: Some(output.clone()) }).unwrap();
        assert_eq!(output.metadata().unwrap().permissions().mode() & 0o777, mode, "{name}");
    }
}

#[test]
fn follows_links() {
    let site = folder([("parameters", "wait\n")]);
    let linked = tempfile::tempdir().unwrap();
    symlink(site.path().join("parameters"), linked.path().join("parameters")).unwrap();
    assert!(pack(linked.path()).unwrap().bytes == pack(site.path()).unwrap().bytes);
}

#[test]
fn lists_files_without_directories() {
    let overlay = pack(folder([("parameters", "wait\n"), ("hooks/after", "#!/bin/sh\n")]).path());
    let wanted = ["0755       10 /etc/ocidd/hooks/after", "0644        5 /etc/ocidd/parameters"];
    assert_eq!(overlay.unwrap().listing(), wanted);
}

#[test]
fn rejects_files_that_the_installer_does_not_read() {
    let known = "hint: expected parameters, ca.d/*.pem, keys.d/*.pub, keys.d/*.pem, auth.json, hooks/{before,after,failed} and firmware/";
    for (path, text, fact) in [
        ("word", "wait", format!("unknown file 'word'; {known}")),
        ("ca.d/site.crt", "", format!("unknown file 'ca.d/site.crt'; {known}")),
        ("ca.d/more/site.pem", "", format!("unknown file 'ca.d/more'; {known}")),
        ("hooks/During", "#!/bin/sh", format!("unknown file 'hooks/During'; {known}")),
        ("etc/ocidd/parameters", "wait", format!("unknown file 'etc'; {known}")),
        ("keys.d/site.key", KEY, format!("unknown file 'keys.d/site.key'; {known}")),
        ("keys.d/site.pub", "x", "keys.d/site.pub: no public key is in it".to_owned()),
        ("keys.d/.keep", "", "no key found in 'keys.d'; hint: ".to_owned()),
        ("keys.d", KEY, "'keys.d' is not a directory".to_owned()),
        ("ca.d", "", "'ca.d' is not a directory".to_owned()),
        ("firmware", "", "'firmware' is not a directory".to_owned()),
        ("parameters/parameters", "", "'parameters' is not a file".to_owned()),
        ("parameters", "quiet", "parameters: line 1: 'quiet' is no word".to_owned()),
        ("auth.json", "{", "auth.json: no JSON: ".to_owned()),
        ("ca.d/site.pem", "x", "ca.d/site.pem: no certificate is in it".to_owned()),
        ("hooks/after", "echo", "hooks/after: it does not begin with '#!'".to_owned()),
        (".gitignore", "", "no files found; hint: it can contain parameters, ".to_owned()),
    ] {
        let found = rejection(&folder([(path, text)]));
        assert!(found.starts_with(&format!("packing DIR: {fact}")), "{path}: {found}");
    }
}

#[test]
fn reports_all_problems_at_once() {
    let found = rejection(&folder([("parameters", "quiet"), ("notes", ""), ("auth.json", "{")]));
    assert_eq!(found.lines().count(), 3, "{found}");
}

#[test]
fn names_a_missing_directory() {
    let error = format!("{:#}", pack(Path::new("/no/such/folder")).unwrap_err());
    assert!(error.starts_with("reading /no/such/folder: "), "{error}");
}
