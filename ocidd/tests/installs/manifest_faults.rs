//! Manifests that cannot be trusted or hold no single disk image. All are refused before the first write.

use oci::digest::Digest;

use crate::{
    fake::{Answer, DISK_LAYER, Fake, MANIFEST},
    images::{Layer, MIB, gzip, image},
    matrix::{Row, assert_rows},
    run::{TAG, Wanted, assert_failed, install, no_certificates},
    target::{DISK, Left, Target},
};

/// Every fault of this file ends in the same way.
fn row(rule: &'static str, fault: fn(&mut Fake), says: &'static [&'static str]) -> Row {
    Row { rule, by: TAG, fault, code: 4, says, left: Left::Untouched }
}

#[test]
fn a_manifest_without_exactly_one_disk_layer_is_refused_and_its_layers_are_listed() {
    assert_rows(&[
        row(
            "no layer",
            |fake| fake.set_layers(&[]),
            &[
                "resolving REGISTRY/os:1: the manifest has no disk layer; its layers are: none; nothing",
                "hint: push the disk image as application/octet-stream+gzip",
            ],
        ),
        row(
            "two disk layers",
            |fake| fake.set_layers(&[DISK_LAYER, DISK_LAYER]),
            &[
                "the manifest has 2 layers of media type application/octet-stream+gzip, expected one",
                "application/octet-stream+gzip LAYER (",
            ],
        ),
        row(
            "a layer of another media type",
            |fake| fake.set_layers(&["application/vnd.example.disk+gzip"]),
            &["the manifest has no disk layer", "application/vnd.example.disk+gzip LAYER ("],
        ),
        row(
            "a container image",
            |fake| fake.set_layers(&["application/vnd.oci.image.layer.v1.tar+gzip"]),
            &[
                "the reference names a container image, not a disk image; its layers are: application/vnd.oci.image.layer.v1.tar+gzip LAYER (",
            ],
        ),
    ]);
}

#[test]
fn a_manifest_that_is_not_what_was_promised_is_refused() {
    assert_rows(&[
        row(
            "another digest in the header",
            |fake| {
                let wrong = fake.layer().digest.to_string();
                fake.manifest().set_header("Docker-Content-Digest", &wrong);
            },
            &["resolving REGISTRY/os:1: manifest digest is sha256:", ", expected LAYER"],
        ),
        row(
            "a header that holds no digest",
            |fake| fake.manifest().set_header("Docker-Content-Digest", "md5:0"),
            &[
                "reading the header Docker-Content-Digest: invalid digest 'md5:0': expected 'sha256:'",
            ],
        ),
        row(
            "more bytes than any manifest has",
            |fake| fake.set_manifest(MANIFEST, vec![b' '; (4 << 20) + 1]),
            &["reading the manifest", "limit"],
        ),
        row(
            "a manifest that is cut off",
            |fake| fake.manifest().cut_after = Some(100),
            &["reading the manifest: "],
        ),
        row(
            "half a document",
            |fake| {
                let half = fake.manifest().body[..100].to_vec();
                fake.set_manifest(MANIFEST, half);
            },
            &["manifest.v1+json': EOF while parsing"],
        ),
        row(
            "a document that is no manifest",
            |fake| fake.set_manifest(MANIFEST, r#"{"schemaVersion":2}"#),
            &["reading the manifest: missing field"],
        ),
        row(
            "a login page",
            |fake| *fake.manifest() = Answer::new(200, "text/html", "<html>Please log in</html>"),
            &[
                "the registry answered with a web page ('text/html'), not a manifest",
                "hint: a proxy or a captive portal may be in between",
            ],
        ),
        row(
            "a document of another kind",
            |fake| *fake.manifest() = Answer::new(200, "application/json", "{}"),
            &["'application/json' is neither an image manifest nor an image index"],
        ),
    ]);
}

#[test]
fn a_manifest_that_is_not_the_one_its_digest_names_is_refused_whatever_the_header_says() {
    let image = image(2 * MIB);
    let layer = Layer::new(gzip(&image));
    for header in ["right for what was sent", "right for what was asked for", "missing"] {
        let mut fake = Fake::with(&layer);
        let asked = Digest::of(b"another manifest").to_string();
        match header {
            "right for what was asked for" => {
                fake.manifest().set_header("Docker-Content-Digest", &asked);
            }
            "missing" => fake.manifest().headers.truncate(1),
            _ => {}
        }
        let manifest = fake.manifest().clone();
        let says = format!("manifest digest is {}, expected {asked}", manifest.digest());
        fake.answers.insert(format!("/v2/os/manifests/{asked}"), manifest);
        let target = Target::new(DISK);
        let word = format!("oci.tag={}/os@{asked}", fake.address());
        let _registry = fake.serve();
        let certificates = no_certificates(target.folder.path());
        let outcome = install(&[&word, "oci.allow_no_tls"], &target, certificates);
        let wanted = Wanted { code: 4, says: &[&says], left: Left::Untouched };
        assert_failed(header, outcome, wanted, ("", &layer), (&target, &image));
    }
}
