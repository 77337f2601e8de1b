//! Packages of earlier runs, without network.

use std::{collections::BTreeMap, io::Write as _};

use super::*;
use crate::{
    host::{output, report},
    sources::cache::tests::empty,
};

/// A cache with reports of these packages, and the contents of those that were stored.
fn remembering(packages: &[(&str, Option<&str>)]) -> (tempfile::TempDir, Cache) {
    let (folder, cache) = empty();
    let mut memory = BTreeMap::new();
    for (name, content) in packages {
        let file_name = format!("{name}_1%3a2.0_amd64.deb");
        let sha256 = output::digest_of(content.unwrap_or("never stored").as_bytes());
        if let Some(content) = content {
            let mut file = cache.temporary_file().unwrap();
            file.write_all(content.as_bytes()).unwrap();
            cache.store_source(file, &sha256, &file_name).unwrap();
        }
        let origin = format!("pool/main/{file_name}");
        let (name, version) = ((*name).to_owned(), "1:2.0".to_owned());
        let package = Package { name: name.clone(), version, origin, file_name, size: 1, sha256 };
        memory.insert(name, package);
    }
    let place = cache.folder("apt/amd64").unwrap().join("packages.json");
    std::fs::write(place, serde_json::to_vec(&memory).unwrap()).unwrap();
    (folder, cache)
}

#[test]
fn finds_stored_packages_offline() {
    let (_folder, cache) = remembering(&[("a", Some("A")), ("b", Some("B"))]);
    let found = stored_packages(&cache, &["b", "a"], Arch::X86_64).unwrap();
    let told: Vec<_> = found
        .iter()
        .map(|source| {
            let text = std::fs::read_to_string(&source.path).unwrap();
            (source.name.as_str(), source.version.as_str(), text)
        })
        .collect();
    assert_eq!(told, [("b", "1:2.0", "B".to_owned()), ("a", "1:2.0", "A".to_owned())]);
}

#[test]
fn names_every_package_that_is_not_stored() {
    let (_folder, cache) = remembering(&[("a", Some("A")), ("b", None)]);
    let names = ["a", "b", "c"];
    for (arch, absent) in [
        (Arch::X86_64, "'b', 'c' of Debian for amd64"),
        (Arch::Arm64, "'a', 'b', 'c' of Debian for arm64"),
    ] {
        let error = report::lines(&stored_packages(&cache, &names, arch).unwrap_err());
        let wanted = format!(
            "not in the cache, and --offline forbids downloads: {absent}\n\
             hint: run once without --offline"
        );
        assert!(error.starts_with(&wanted), "{error}");
    }
}

#[test]
fn a_damaged_package_counts_as_missing() {
    let (_folder, cache) = remembering(&[("a", Some("A"))]);
    let found = stored_packages(&cache, &["a"], Arch::X86_64).unwrap();
    std::fs::write(&found[0].path, "B").unwrap();
    assert!(stored_packages(&cache, &["a"], Arch::X86_64).is_err());
}
