//! Packs example directories: a golden listing, the same bytes again, and each rejection.

use std::{
    fs::{File, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
    time::{Duration, UNIX_EPOCH},
};

use tempfile::TempDir;

use super::*;
use crate::{test::golden, testbed::authority::ServerFiles};

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
        // Another umask and another day.
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
    let expected = ["0755       10 /etc/ocidd/hooks/after", "0644        5 /etc/ocidd/parameters"];
    assert_eq!(overlay.unwrap().listing(), expected);
}

#[test]
fn rejects_files_that_the_installer_does_not_read() {
    let known = "hint: expected parameters, ca.d/*.pem, keys.d/*.pub, keys.d/*.pem, auth.json, \
                 hooks/{before,after,failed} and firmware/";
    for (path, text, fact) in [
        ("word", "wait", format!("unknown file 'word'; {known}")),
        ("ca.d/site.crt", "", format!("unknown file 'ca.d/site.crt'; {known}")),
        ("ca.d/more/site.pem", "", format!("unknown directory 'ca.d/more'; {known}")),
        ("hooks/During", "#!/bin/sh", format!("unknown file 'hooks/During'; {known}")),
        ("hooks/notbefore", "#!/bin/sh", format!("unknown file 'hooks/notbefore'; {known}")),
        ("etc/ocidd/parameters", "wait", format!("unknown directory 'etc'; {known}")),
        ("keys.d/site.key", KEY, format!("unknown file 'keys.d/site.key'; {known}")),
        ("keys.d/site.pub", "x", "keys.d/site.pub: no public key found".to_owned()),
        ("keys.d/.keep", "", "no key found in 'keys.d'; hint: ".to_owned()),
        ("keys.d", KEY, "unknown file 'keys.d'".to_owned()),
        ("ca.d", "", "unknown file 'ca.d'".to_owned()),
        ("firmware", "", "unknown file 'firmware'".to_owned()),
        ("parameters/parameters", "", "unknown directory 'parameters'".to_owned()),
        ("parameters", "quiet", "parameters: unknown parameter 'quiet'".to_owned()),
        ("auth.json", "{", "auth.json: EOF".to_owned()),
        ("ca.d/site.pem", "x", "ca.d/site.pem: no certificate found".to_owned()),
        ("hooks/after", "echo", "hooks/after: missing '#!'".to_owned()),
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

/// Packs `path` with each text, and compares the rejection, which is empty for a valid file.
fn assert_rejections(path: &str, table: &[(&str, &str)]) {
    for (text, fact) in table {
        let site = folder([(path, *text)]);
        let found = pack(site.path()).map_or_else(|error| error.to_string(), |_| String::new());
        assert!(found.contains(fact) && found.is_empty() == fact.is_empty(), "{text:?}: {found}");
    }
}

#[test]
fn rejects_parameters_that_would_have_no_effect() {
    assert_rejections(
        "parameters",
        &[
            ("", ""),
            ("# oci.tag=a dd.of=b\n\n  wait  \r\noci.tag=registry.example/os:1\n", ""),
            ("dd.of=model:Samsung SSD 980\nno_proxy=a.example,b.example", ""),
            ("https_proxy=http://proxy.example:3128\nocidd.after=halt", ""),
            ("wait\noci.tag=a dd.of=/dev/sda", "'oci.tag' and 'dd.of' in one line"),
            ("oci.tag=a wait", "'oci.tag' and 'wait' in one line"),
            ("wait oci.tag=a", "unknown parameter 'wait oci.tag'"),
            ("quiet", "unknown parameter 'quiet'"),
            ("oci.tga=a", "unknown parameter 'oci.tga', similar to 'oci.tag'"),
            ("oci.=a", "unknown parameter 'oci.'"),
            ("=a", "unknown parameter ''"),
            ("oci.tag = a", "unknown parameter 'oci.tag '"),
            ("oci.timeout=soon", "oci.timeout: invalid value 'soon', expected 1 to 86400 seconds"),
            ("dd.of=\"model:a b\"", "dd.of: value in quotes"),
        ],
    );
    for known in PARAMETERS.iter().filter(|known| !known.syntax.contains('=')) {
        assert_rejections("parameters", &[(known.key(), "")]);
    }
    let site = folder([]);
    std::fs::write(site.path().join("parameters"), b"wait\n\xff").unwrap();
    assert!(rejection(&site).contains("UTF-8"));
}

#[test]
fn rejects_credentials_that_the_installer_cannot_use() {
    assert_rejections(
        "auth.json",
        &[
            (r#"{"auths":{"registry.example":{"auth":"dTpzZWNyZXQ="}}}"#, ""),
            (r#"{"auths":{"a":{"identitytoken":"x"},"b":{"username":"u","password":"p"}}}"#, ""),
            (r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"}}}"#, ""),
            (r#"{"auths":{"r.example/a/b":{"auth":"dTpw"}}}"#, ""),
            (r#"{"auths":{"a":{"auth":"dTpw"},"b":{}}}"#, "no credentials in auths.b; hint: "),
            (r#"{"auths":{"https://a/v1/":{}}}"#, "no credentials in auths.https://a/v1/"),
            (r#"{"auths":{"a":{"auth":"c2VjcmV0"}}}"#, "'a'"),
            (r#"{"auths":{"a":{"username":"secret"}}}"#, "no credentials in auths.a"),
            (r#"{"auths":{}}"#, "no registry in 'auths'"),
            (r#"{"credsStore":"pass"}"#, "no registry in 'auths'"),
            ("[]", "auth.json: "),
            ("", "EOF"),
        ],
    );
    for text in [
        r#"{"auths":{"a":{"auth":"c2VjcmV0}}}"#,
        r#"{"auths":{"a":{"auth":c2VjcmV0}}}"#,
        r#"{"auth":c2VjcmV0}"#,
        r#"{"auths":{"auth":{"password":["c2VjcmV0"]}}}"#,
        r#"{"auths":{"a":{"auth":"c2VjcmV0"}}}"#,
    ] {
        assert!(!rejection(&folder([("auth.json", text)])).contains("c2Vj"), "{text}");
    }
}

#[test]
fn rejects_authorities_that_clients_would_ignore() {
    let files = ServerFiles::make().unwrap();
    let good = files.authority.as_str();
    let key = std::fs::read_to_string(&files.key).unwrap();
    let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_rejections(
        "ca.d/a.pem",
        &[
            (good, ""),
            (&format!("Our authority, until 2040\n{good}{good}"), ""),
            ("", "no certificate found"),
            ("some text", "no certificate found"),
            (&format!("{good}{junk}"), "certificate 2 is invalid"),
            (&format!("{good}{key}"), "contains a private key"),
            ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "invalid PEM"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n", "invalid PEM"),
        ],
    );
}

#[test]
fn rejects_keys_that_the_installer_does_not_support() {
    let private = KEY.replace("PUBLIC", "PRIVATE");
    assert_rejections(
        "keys.d/a.pub",
        &[
            (KEY, ""),
            (&format!("Our key\n{KEY}{KEY}"), ""),
            ("", "no public key"),
            (&format!("{KEY}{private}"), "private key"),
            (&KEY.replace("PUBLIC KEY", "CERTIFICATE"), "found another PEM section"),
            (&KEY.replace("MCow", "MCox"), "ECDSA P-256 or Ed25519"),
            (&KEY.replace("MCow", "M*ow"), "invalid PEM"),
        ],
    );
}

#[test]
fn rejects_hooks_that_the_kernel_cannot_start() {
    assert_rejections(
        "hooks/before",
        &[
            ("#!/bin/sh\necho hello\n", ""),
            ("#!/bin/sh", ""),
            ("echo hello\n", "missing '#!'"),
            ("\u{feff}#!/bin/sh\n", "missing '#!'"),
            ("", "missing '#!'"),
            ("#!/bin/sh\r\necho\r\n", "lines end with CR LF"),
        ],
    );
}
