//! The SBOM of an example build.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::{describe::example::Example, sources::SourceSet};

fn sbom(set: SourceSet) -> Value {
    serde_json::from_str(&Example::of(set).described()["sbom"]).unwrap()
}

fn packages(sbom: &Value) -> BTreeMap<&str, &Value> {
    let packages = sbom["packages"].as_array().unwrap();
    packages.iter().map(|package| (package["SPDXID"].as_str().unwrap(), package)).collect()
}

/// The relationships as `ELEMENT TYPE ELEMENT`.
fn relationships(sbom: &Value) -> BTreeSet<String> {
    let sentence = |relationship: &Value| {
        ["spdxElementId", "relationshipType", "relatedSpdxElement"]
            .map(|key| relationship[key].as_str().unwrap())
            .join(" ")
    };
    sbom["relationships"].as_array().unwrap().iter().map(sentence).collect()
}

fn purl(package: &Value) -> &str {
    package["externalRefs"][0]["referenceLocator"].as_str().unwrap_or_default()
}

#[test]
fn the_document_is_consistent() {
    for set in [SourceSet::Upstream, SourceSet::Debian] {
        let sbom = sbom(set);
        let packages = packages(&sbom);
        assert_eq!(packages.len(), sbom["packages"].as_array().unwrap().len(), "an id comes twice");
        assert_eq!((&sbom["spdxVersion"], &sbom["SPDXID"]), (&"SPDX-2.3".into(), &DOCUMENT.into()));
        assert_eq!(sbom["creationInfo"]["created"], "1970-01-01T00:00:00Z");
        let namespace = sbom["documentNamespace"].as_str().unwrap();
        assert!(
            namespace.starts_with("urn:ocidd:sbom:") && !namespace.contains('#'),
            "{namespace}"
        );
        let mut reached = BTreeSet::new();
        for sentence in relationships(&sbom) {
            let words: Vec<&str> = sentence.split(' ').collect();
            assert!(words[0] == DOCUMENT || packages.contains_key(words[0]), "{sentence}");
            assert!(packages.contains_key(words[2]), "{sentence}");
            reached.insert(words[2].to_owned());
        }
        for (id, package) in &packages {
            let is_plain = |letter: char| letter.is_ascii_alphanumeric() || ".-".contains(letter);
            assert!(id.starts_with("SPDXRef-") && id.chars().all(is_plain), "{id}");
            assert!(reached.contains(*id), "{id} belongs to nothing");
            for key in ["name", "downloadLocation", "licenseDeclared", "filesAnalyzed"] {
                assert!(package.get(key).is_some(), "{id} has no {key}");
            }
        }
    }
}

#[test]
fn all_contents_have_a_licence() {
    for set in [SourceSet::Upstream, SourceSet::Debian] {
        let sbom = sbom(set);
        for (id, package) in packages(&sbom) {
            // Archives are collections: what they give is listed by itself.
            let is_collection =
                id.starts_with("SPDXRef-source-") || id.starts_with("SPDXRef-initramfs-");
            let licence = package["licenseDeclared"].as_str().unwrap();
            assert_eq!(licence == NO_ASSERTION, is_collection, "{id}: {licence}");
        }
    }
}

#[test]
fn lists_the_parts_of_each_set_with_their_origins() {
    let upstream = sbom(SourceSet::Upstream);
    let found = packages(&upstream);
    let busybox = found["SPDXRef-file-bin-busybox"];
    assert_eq!(purl(busybox), "pkg:apk/alpine/busybox@1.37.0-r30?arch=x86_64");
    assert_eq!(busybox["checksums"][0]["checksumValue"], output::digest_of(b"bin/busybox"));
    assert_eq!(found["SPDXRef-file-lib-ld-musl-x86-64.so.1"]["versionInfo"], "1.2.5-r21");
    // The example's database does not know this one.
    assert!(found["SPDXRef-file-etc-ssl-certs-ca-certificates.crt"].get("versionInfo").is_none());
    let alpine = found["SPDXRef-source-alpine"];
    assert!(purl(alpine).starts_with("pkg:generic/alpine-minirootfs@3.1?checksum=sha256:abab"));
    assert!(alpine["downloadLocation"].as_str().unwrap().starts_with("https://"));

    let debian = sbom(SourceSet::Debian);
    let found = packages(&debian);
    assert!(!found.contains_key("SPDXRef-file-lib-ld-musl-x86-64.so.1"));
    let busybox = found["SPDXRef-source-busybox-static"];
    assert_eq!(purl(busybox), "pkg:deb/debian/busybox-static@1:1%2Bb4?arch=amd64");
    let comment = &found["SPDXRef-file-bin-busybox"]["comment"];
    assert!(comment.as_str().unwrap().contains("glibc"), "{comment}");
    let sentences = relationships(&debian);
    for sentence in [
        "SPDXRef-DOCUMENT DESCRIBES SPDXRef-initramfs-amd64.gz",
        "SPDXRef-DOCUMENT DESCRIBES SPDXRef-vmlinuz-amd64",
        "SPDXRef-initramfs-amd64.gz CONTAINS SPDXRef-file-bin-busybox",
        "SPDXRef-initramfs-amd64.gz CONTAINS SPDXRef-program-ocidd",
        "SPDXRef-file-bin-busybox GENERATED_FROM SPDXRef-source-busybox-static",
        "SPDXRef-vmlinuz-amd64 GENERATED_FROM SPDXRef-source-linux-source-6.12",
        "SPDXRef-program-init STATIC_LINK SPDXRef-library-musl",
        "SPDXRef-program-init STATIC_LINK SPDXRef-library-rust-std",
    ] {
        assert!(sentences.contains(sentence), "{sentence}");
    }
}

#[test]
fn links_each_program_with_its_own_crates() {
    let example = Example::of(SourceSet::Debian);
    let sbom: Value = serde_json::from_str(&example.described()["sbom"]).unwrap();
    let sentences = relationships(&sbom);
    for (name, program) in &example.crates.programs {
        for id in example.crates.all.keys() {
            let sentence = format!("SPDXRef-program-{name} STATIC_LINK {}", crate_id(id));
            assert_eq!(sentences.contains(&sentence), program.crates.contains(id), "{sentence}");
        }
    }
    let found = packages(&sbom);
    let (ring, package) =
        found.iter().find(|(id, _)| id.starts_with("SPDXRef-crate-ring-")).unwrap();
    assert!(purl(package).starts_with("pkg:cargo/ring@0."), "{ring}");
    assert!(package["comment"].as_str().unwrap().contains("assembler"), "{ring}");
    assert_eq!(package["checksums"][0]["checksumValue"].as_str().unwrap().len(), 64);
}

#[test]
fn lists_the_linked_c_library_of_the_host() {
    let mut example = Example::of(SourceSet::Debian);
    example.image.toolchain.target = "x86_64-unknown-linux-gnu".to_owned();
    example.host.libc = crate::describe::manifest::Libc {
        name: "glibc".to_owned(),
        sha256: Some("34".repeat(32)),
        version: Some("2.36".to_owned()),
    };
    let sbom: Value = serde_json::from_str(&example.described()["sbom"]).unwrap();
    let found = packages(&sbom);
    let glibc = found["SPDXRef-library-glibc"];
    assert_eq!(
        (&glibc["versionInfo"], &glibc["packageFileName"]),
        (&"2.36".into(), &"libc.a".into())
    );
    assert_eq!(glibc["licenseDeclared"], "LGPL-2.1-or-later");
    assert_eq!(found["SPDXRef-library-libgcc"]["sourceInfo"], "as it comes with gcc 1");
    assert!(!found.contains_key("SPDXRef-library-musl"));
}

#[test]
fn different_content_has_a_different_namespace() {
    let (one, mut other) = (Example::of(SourceSet::Debian), Example::of(SourceSet::Debian));
    std::fs::write(&other.outputs[0], "another").unwrap();
    other.host.commit = None;
    let namespace = |example: &Example| {
        let sbom: Value = serde_json::from_str(&example.described()["sbom"]).unwrap();
        sbom["documentNamespace"].clone()
    };
    assert_ne!(namespace(&one), namespace(&other));
}
