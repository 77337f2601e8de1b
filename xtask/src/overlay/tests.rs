//! Folders as sites keep them, and what becomes of them: a golden listing, the same bytes again, and each refusal.

use super::*;
use crate::authority::ServerFiles;
use crate::golden;
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

/// Every kind of file a site may have. The bytes of a certificate differ from run to run, so they come from outside.
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

fn refusal(folder: &TempDir) -> String {
    let error = format!("{:#}", pack(folder.path()).unwrap_err());
    error.replace(&folder.path().display().to_string(), "DIR")
}

#[test]
fn the_overlay_holds_what_a_reviewer_has_seen() {
    let authority = ServerFiles::make().unwrap().authority;
    let overlay = pack(folder(files(&authority)).path()).unwrap();
    let mut records = newc::read(&gzip::inflate(&overlay.bytes).unwrap()).unwrap();
    for record in records.iter_mut().filter(|record| record.path.contains("/ca.d/")) {
        assert_eq!(record.content, authority.as_bytes());
        record.content.clear();
    }
    golden::check("overlay.txt", &golden::listing(&records));
    assert!(records.iter().all(|record| record.mtime == 0));
}

#[test]
fn the_same_folder_gives_the_same_bytes() {
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

/// It may stand behind another archive, and another one behind it.
#[test]
fn the_archive_is_one_gzip_member_of_whole_blocks() {
    let overlay = pack(folder([("parameters", "wait\n")]).path()).unwrap();
    assert_eq!(overlay.bytes[..4], [0x1f, 0x8b, 8, 0]);
    assert_eq!(gzip::inflate(&overlay.bytes).unwrap().len() % 512, 0);
}

#[test]
fn only_an_overlay_with_logins_is_kept_from_others() {
    for (name, text, mode) in [("parameters", "wait\n", 0o644), ("auth.json", LOGIN, 0o600)] {
        let (site, to) = (folder([(name, text)]), tempfile::tempdir().unwrap());
        let output = to.path().join("overlay");
        run(&Args { dir: site.path().to_owned(), output: Some(output.clone()) }).unwrap();
        assert_eq!(output.metadata().unwrap().permissions().mode() & 0o777, mode, "{name}");
    }
}

#[test]
fn a_link_is_followed() {
    let site = folder([("parameters", "wait\n")]);
    let linked = tempfile::tempdir().unwrap();
    symlink(site.path().join("parameters"), linked.path().join("parameters")).unwrap();
    assert!(pack(linked.path()).unwrap().bytes == pack(site.path()).unwrap().bytes);
}

#[test]
fn what_is_in_it_is_told_without_the_folders() {
    let overlay = pack(folder([("parameters", "wait\n"), ("hooks/after", "#!/bin/sh\n")]).path());
    let wanted = ["0755       10 /etc/ocidd/hooks/after", "0644        5 /etc/ocidd/parameters"];
    assert_eq!(overlay.unwrap().listing(), wanted);
}

#[test]
fn whatever_the_installer_would_not_read_is_refused() {
    let known = "hint: known are parameters, ca.d/*.pem, keys.d/*.pub, keys.d/*.pem, auth.json, hooks/{before,after,failed} and firmware/";
    for (path, text, fact) in [
        ("word", "wait", format!("'word' is not known; {known}")),
        ("ca.d/site.crt", "", format!("'ca.d/site.crt' is not known; {known}")),
        ("ca.d/more/site.pem", "", format!("'ca.d/more' is not known; {known}")),
        ("hooks/During", "#!/bin/sh", format!("'hooks/During' is not known; {known}")),
        ("etc/ocidd/parameters", "wait", format!("'etc' is not known; {known}")),
        ("keys.d/site.key", KEY, format!("'keys.d/site.key' is not known; {known}")),
        ("keys.d/site.pub", "x", "keys.d/site.pub: no public key is in it".to_owned()),
        ("keys.d/.keep", "", "'keys.d' holds no key; hint: ".to_owned()),
        ("keys.d", KEY, "'keys.d' is no folder".to_owned()),
        ("ca.d", "", "'ca.d' is no folder".to_owned()),
        ("firmware", "", "'firmware' is no folder".to_owned()),
        ("parameters/parameters", "", "'parameters' is no file".to_owned()),
        ("parameters", "quiet", "parameters: line 1: 'quiet' is no word".to_owned()),
        ("auth.json", "{", "auth.json: no JSON: ".to_owned()),
        ("ca.d/site.pem", "x", "ca.d/site.pem: no certificate is in it".to_owned()),
        ("hooks/after", "echo", "hooks/after: it does not begin with '#!'".to_owned()),
        (".gitignore", "", "nothing is in it; hint: it may hold parameters, ".to_owned()),
    ] {
        let found = refusal(&folder([(path, text)]));
        assert!(found.starts_with(&format!("packing DIR: {fact}")), "{path}: {found}");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let found = refusal(&folder([("parameters", "quiet"), ("notes", ""), ("auth.json", "{")]));
    assert_eq!(found.lines().count(), 3, "{found}");
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let error = format!("{:#}", pack(Path::new("/no/such/folder")).unwrap_err());
    assert!(error.starts_with("reading /no/such/folder: "), "{error}");
}
