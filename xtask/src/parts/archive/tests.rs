//! Finding, joining and rejecting members of small archives.

use super::*;
use crate::gzip;
use tar::EntryType;
use tar::Header;

/// A `.tar.gz` of these names, types, and contents or link targets.
pub fn tar_gz(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = Header::new_ustar();
        // `append_data` would remove the leading `./` of names.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        let bytes = if kind.is_file() { content.as_bytes() } else { &[] };
        if kind.is_symlink() || kind.is_hard_link() {
            header.set_link_name_literal(content).unwrap();
        }
        header.set_size(bytes.len().try_into().unwrap());
        header.set_cksum();
        builder.append(&header, bytes).unwrap();
    }
    gzip::compress(&builder.into_inner().unwrap()).unwrap()
}

fn archive(entries: &[(&str, EntryType, &str)]) -> Archive {
    let mut file = tempfile::NamedTempFile::with_suffix("sample.tar.gz").unwrap();
    std::io::Write::write_all(&mut file, &tar_gz(entries)).unwrap();
    Archive::read_tar_gz(file.path()).unwrap()
}

fn one(archive: &Archive, name: &str) -> Result<String> {
    Ok(String::from_utf8(archive.get(&Members::One(name.to_owned()))?)?)
}

fn joined(archive: &Archive, prefix: &str, suffix: &str) -> Result<String> {
    Ok(String::from_utf8(
        archive.get(&Members::Joined { prefix: prefix.to_owned(), suffix: suffix.to_owned() })?,
    )?)
}

#[test]
fn finds_files_and_follows_links_inside() {
    let archive = archive(&[
        ("./bin/busybox", EntryType::Regular, "box"),
        ("./bin/ls", EntryType::Symlink, "/bin/busybox"),
        ("./usr/bin/env", EntryType::Symlink, "../../bin/ls"),
        ("./bin/hard", EntryType::Link, "bin/busybox"),
        ("usr/sbin/moved", EntryType::Regular, "moved"),
    ]);
    for (name, bytes) in [
        ("./bin/busybox", "box"),
        ("/bin/busybox", "box"),
        ("./bin/ls", "box"),
        ("./usr/bin/env", "box"),
        ("./bin/hard", "box"),
        ("./sbin/moved", "moved"),
    ] {
        assert_eq!(one(&archive, name).unwrap(), bytes, "{name}");
    }
}

#[test]
fn says_what_is_missing_and_where() {
    let archive = archive(&[
        ("./bin/busybox", EntryType::Regular, "box"),
        ("./bin/dead", EntryType::Symlink, "gone"),
        ("./bin/loop", EntryType::Symlink, "loop"),
    ]);
    for (name, fact) in [
        ("./bin/busybx", "has no file './bin/busybx'  hint: it has './bin/busybox'"),
        ("./nothing/like/it", "has no file './nothing/like/it'"),
        ("./bin/dead", "'./bin/dead' in"),
        ("./bin/dead", "is a link to './bin/gone', which the archive does not hold"),
        ("./bin/loop", "leads to more than 8 others"),
    ] {
        let error = one(&archive, name).unwrap_err().to_string();
        assert!(error.contains(fact), "{error}");
    }
}

#[test]
fn joins_members_in_the_order_of_their_names() {
    let files = [
        ("./c/b.crt", "B\n"),
        ("./c/a.crt", "A"),
        ("./c/Z.crt", "Z\n"),
        ("./c/a.txt", "no"),
        ("./c/d/e.crt", "no"),
    ];
    let files = files
        .map(|(name, bytes)| (name.to_owned(), bytes.as_bytes().to_vec()))
        .into_iter()
        .collect();
    let archive = Archive::of_files(Path::new("/cache/certs.deb"), files);
    assert_eq!(joined(&archive, "./c/", ".crt").unwrap(), "Z\nA\nB\n");
    assert_eq!(
        joined(&archive, "./x/", ".crt").unwrap_err().to_string(),
        "certs.deb has nothing that is named './x/*.crt'"
    );
}

#[test]
fn accepts_what_it_would_find() {
    let busybox = Members::One("./bin/busybox".to_owned());
    let certs = Members::Joined { prefix: "./share/".to_owned(), suffix: ".crt".to_owned() };
    for (wanted, name, is_accepted) in [
        (&busybox, "./bin/busybox", true),
        (&busybox, "./usr/bin/busybox", true),
        (&busybox, "./opt/bin/busybox", false),
        (&certs, "./share/a.crt", true),
        (&certs, "./share/b/a.crt", false),
        (&certs, "./share/a.crt.bak", false),
    ] {
        assert_eq!(accepts(wanted, name), is_accepted, "{name}");
    }
}

#[test]
fn refuses_a_cut_archive() {
    let bytes = tar_gz(&[("./a", EntryType::Regular, "a")]);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, &bytes[..bytes.len() / 2]).unwrap();
    assert!(Archive::read_tar_gz(file.path()).is_err());
}
