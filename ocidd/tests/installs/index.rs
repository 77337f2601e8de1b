//! Image indexes: the manifest of this machine's platform is followed, and nothing else is ever taken for it.

use serde_json::{Value, json};

use crate::{
    fake::{Answer, Fake, INDEX},
    images::{Layer, MIB, gzip, image},
    matrix::{Row, assert_rows},
    run::{By, TAG, install_from},
    target::{DISK, Left, Target},
};

/// What this machine goes by, in OCI's words and in Rust's, and another architecture.
fn architectures() -> (&'static str, &'static str, &'static str) {
    match std::env::consts::ARCH {
        "x86_64" => ("amd64", "x86_64", "arm64"),
        "aarch64" => ("arm64", "aarch64", "amd64"),
        other => panic!("ocidd is not built for {other}"),
    }
}

fn on(mut entry: Value, os: &str, architecture: &str) -> Value {
    entry["platform"] = json!({ "os": os, "architecture": architecture });
    entry
}

#[test]
fn the_hosts_platform_is_picked_from_an_index_whatever_its_order() {
    let (ours, ours_too, theirs) = architectures();
    let image = image(2 * MIB + 3);
    let layer = Layer::new(gzip(&image));
    let wrong = Layer::new(gzip(b"another machine's disk"));
    for name in [ours, ours_too] {
        // Each place but the first, once: what others are does not matter, and where they stand neither.
        for turn in 0..4 {
            let mut fake = Fake::with(&layer);
            let right = on(fake.add_manifest(&layer), "linux", name);
            let other = fake.add_manifest(&wrong);
            let mut entries = [
                on(other.clone(), "linux", theirs),
                right,
                on(other.clone(), "windows", ours),
                on(other, "unknown", "unknown"),
            ];
            entries.rotate_left(turn);
            fake.set_index(&entries);
            let target = Target::new(DISK);
            let (outcome, requests) = install_from(fake, By::Tag, &target);
            outcome.unwrap_or_else(|failure| panic!("{name}, turned {turn}: {failure}"));
            target.assert_installed(name, &image);
            assert_eq!(requests.len(), 4, "index, manifest, blob, its end: {requests:?}");
        }
    }
}

#[test]
fn the_only_manifest_of_an_index_needs_no_platform() {
    let image = image(MIB);
    let layer = Layer::new(gzip(&image));
    let mut fake = Fake::with(&layer);
    let entry = fake.add_manifest(&layer);
    fake.set_index(&[entry]);
    let target = Target::new(DISK);
    install_from(fake, By::Tag, &target).0.unwrap();
    target.assert_installed("no platform", &image);
}

/// Every fault of this file ends in the same way.
fn row(rule: &'static str, fault: fn(&mut Fake), says: &'static [&'static str]) -> Row {
    Row { rule, by: TAG, fault, code: 4, says, left: Left::Untouched }
}

#[test]
fn an_index_without_exactly_one_manifest_for_this_machine_is_refused() {
    assert_rows(&[
        row(
            "other platforms",
            |fake| {
                let layer = fake.layer().clone();
                let entry = fake.add_manifest(&layer);
                fake.set_index(&[
                    on(entry.clone(), "linux", "s390x"),
                    on(entry, "linux", "ppc64le"),
                ]);
            },
            &[
                "resolving REGISTRY/os:1: the image index has no manifest for linux/",
                "; it has: linux/s390x, linux/ppc64le; nothing",
                "hint: oci.platform=",
            ],
        ),
        row(
            "the platform twice",
            |fake| {
                let (ours, ours_too, _) = architectures();
                let layer = fake.layer().clone();
                let entry = fake.add_manifest(&layer);
                fake.set_index(&[on(entry.clone(), "linux", ours), on(entry, "linux", ours_too)]);
            },
            &["the image index has 2 manifests for linux/", "hint: name a manifest by its digest"],
        ),
    ]);
}

#[test]
fn what_an_index_leads_to_is_one_manifest_and_the_right_one() {
    assert_rows(&[
        row(
            "an index in an index",
            |fake| {
                let layer = fake.layer().clone();
                let entry = fake.add_manifest(&layer);
                fake.set_index(&[entry]);
                let inner = fake.manifest().clone();
                let path = format!("/v2/os/manifests/{}", inner.digest());
                let descriptor = Layer::new(inner.body.clone()).descriptor(INDEX);
                fake.answers.insert(path, inner);
                fake.set_index(&[descriptor]);
            },
            &[
                "following the image index to sha256:",
                " leads to another image index",
                "hint: name a manifest by its digest",
            ],
        ),
        row(
            "a manifest that is not the one the index names",
            |fake| {
                let layer = fake.layer().clone();
                let entry = fake.add_manifest(&layer);
                let path = format!("/v2/os/manifests/{}", entry["digest"].as_str().unwrap());
                fake.answers.last(&path).body.push(b'\n');
                fake.set_index(&[entry]);
            },
            &[
                "following the image index to sha256:",
                ": manifest digest is sha256:",
                ", expected ",
            ],
        ),
        row(
            "a manifest that is gone",
            |fake| {
                let entry = fake.layer().descriptor(crate::fake::MANIFEST);
                fake.set_index(&[entry]);
            },
            &["following the image index to LAYER: registry REGISTRY answered 404 Not Found"],
        ),
        row(
            "a document that is no index",
            |fake| *fake.manifest() = Answer::new(200, INDEX, r#"{"schemaVersion":2}"#),
            &["resolving REGISTRY/os:1: reading the image index: missing field"],
        ),
    ]);
}
