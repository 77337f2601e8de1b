//! What registries send in other words than the spec's, through the installer and through the client.

use std::{fs, process::Command};

use ocidd::report::failure::Cause;
use serde_json::{Value, json};

use crate::{
    fake::{Answer, DISK_LAYER, Fake, INDEX, MANIFEST},
    images::{Layer, MIB, gzip, image, zstd},
    run::{By, Heard, install_heard, no_certificates},
    target::{DISK, Target},
};

const TITLE: &str = "org.opencontainers.image.title";

fn titled(layer: &Layer, media_type: &str) -> Value {
    let mut descriptor = layer.descriptor(media_type);
    descriptor["annotations"] = json!({ TITLE: "disk" });
    descriptor
}

/// A manifest with this layer, without a media type.
fn manifest(layer: &Value) -> Value {
    let config = Layer::new(b"{}").descriptor("application/vnd.oci.empty.v1+json");
    json!({ "schemaVersion": 2, "config": config, "layers": [layer] })
}

/// Adds a document that is named by its digest. Returns its descriptor.
fn add(fake: &mut Fake, media_type: &str, document: &Value) -> Value {
    let text = Layer::new(document.to_string());
    let answer = Answer::new(200, media_type, text.compressed.clone());
    fake.answers.insert(format!("/v2/os/manifests/{}", text.digest), answer);
    text.descriptor(media_type)
}

/// What the installer and the client end with.
struct Outcome {
    installed: Result<(), (Cause, String)>,
    retries: usize,
    pulled: Result<Vec<u8>, String>,
}

fn outcome(layer: &Layer, image: &[u8], fault: impl Fn(&mut Fake)) -> Outcome {
    let mut fake = Fake::with(layer);
    fake.set_descriptors(&[titled(layer, DISK_LAYER)]);
    fault(&mut fake);
    let word = By::Tag.word(&fake.address(), layer);
    let registry = fake.serve();
    let (target, heard) = (Target::new(DISK), Heard::default());
    let folder = target.folder.path();
    let words = [&*word, "oci.allow_no_tls", "oci.platform=linux/amd64"];
    let installed = match install_heard(&words, &target, no_certificates(folder), &heard) {
        Ok(_) => {
            target.assert_installed("compatibility", image);
            Ok(())
        }
        Err(failure) => Err((failure.cause, failure.diagnostic().to_string())),
    };
    #[expect(clippy::disallowed_methods, reason = "the one place that starts the client here")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_ocidd"));
    let reference = format!("{}/os:1", registry.address);
    let options = ["image", "--plain-http", "--retries", "0", "pull", "--platform", "linux/amd64"];
    let command = command.env_clear().env("HOME", folder).current_dir(folder);
    let output = command.args(options).args(["-o", "out", &reference]).output().unwrap();
    let pulled = if output.status.success() {
        Ok(fs::read(folder.join("out/disk")).unwrap())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    };
    Outcome { installed, retries: heard.retries().len(), pulled }
}

#[track_caller]
fn assert_works(rule: &str, fault: impl Fn(&mut Fake)) {
    let image = image(MIB);
    assert_works_with(rule, &Layer::new(gzip(&image)), &image, fault);
}

#[track_caller]
fn assert_works_with(rule: &str, layer: &Layer, image: &[u8], fault: impl Fn(&mut Fake)) {
    let outcome = outcome(layer, image, fault);
    assert_eq!(outcome.installed, Ok(()), "{rule}");
    assert!(outcome.pulled == Ok(layer.compressed.clone()), "{rule}: {:?}", outcome.pulled.err());
}

/// Both fail with these facts, without a retry.
#[track_caller]
fn assert_fails(rule: &str, cause: Cause, says: &[&str], fault: impl Fn(&mut Fake)) {
    let image = image(MIB);
    let Outcome { installed, retries, pulled } = outcome(&Layer::new(gzip(&image)), &image, fault);
    let (found, text) = installed.expect_err(rule);
    assert_eq!((found, retries), (cause, 0), "{rule}: {text}");
    for part in says {
        assert!(text.contains(part), "{rule}: {text}\nlacks\n{part}");
        let pulled = pulled.as_ref().expect_err(rule);
        assert!(pulled.contains(part), "{rule}: {pulled}\nlacks\n{part}");
    }
}

#[test]
fn recognizes_documents_by_their_content() {
    for content_type in [
        "application/json",
        "application/octet-stream",
        "text/plain; charset=utf-8",
        "binary/octet-stream",
        "",
    ] {
        assert_works(content_type, |fake| {
            let document = manifest(&titled(fake.layer(), DISK_LAYER));
            fake.set_manifest(content_type, document.to_string());
            if content_type.is_empty() {
                fake.manifest().headers.retain(|(name, _)| name != "Content-Type");
            }
        });
        assert_works(content_type, |fake| {
            let document = manifest(&titled(fake.layer(), DISK_LAYER));
            let mut entry = add(fake, content_type, &document);
            entry["mediaType"] = MANIFEST.into();
            let index = json!({ "schemaVersion": 2, "manifests": [entry] });
            fake.set_manifest(content_type, index.to_string());
        });
    }
}

/// CVE-2021-41190.
#[test]
fn rejects_documents_that_contradict_their_media_type() {
    for (media_type, members) in [
        (None, json!({ "manifests": [] })),
        (Some(MANIFEST), json!({ "manifests": [] })),
        (Some(INDEX), json!({})),
    ] {
        for content_type in ["application/json", MANIFEST, INDEX] {
            assert_fails("both", Cause::MANIFEST, &["has the media type '"], |fake| {
                let mut document = manifest(&titled(fake.layer(), DISK_LAYER));
                if let Some(media_type) = media_type {
                    document["mediaType"] = media_type.into();
                }
                for (key, value) in members.as_object().unwrap() {
                    document[key] = value.clone();
                }
                fake.set_manifest(content_type, document.to_string());
            });
        }
    }
}

/// Entries for one platform, of these disk types.
fn of_types(fake: &mut Fake, types: [&str; 2]) {
    let layer = fake.layer().clone();
    let other = Layer::new(gzip(b"other"));
    let entries = types.map(|disk_type| {
        let layer = if disk_type == "raw" { &layer } else { &other };
        let document = manifest(&titled(layer, "application/zstd"));
        let mut entry = add(fake, MANIFEST, &document);
        entry["platform"] = json!({ "os": "linux", "architecture": "amd64" });
        entry["annotations"] = json!({ "disktype": disk_type });
        entry
    });
    fake.set_index(&entries);
}

/// As podman publishes disks of machines.
#[test]
fn selects_the_raw_disk_of_an_index_and_its_only_file() {
    let image = image(MIB);
    let layer = Layer::new(zstd(&image));
    for types in [["raw", "qcow2"], ["qcow2", "raw"]] {
        assert_works_with("raw", &layer, &image, |fake| of_types(fake, types));
    }
    let says = ["disktype=qcow2", "disktype=vmdk"];
    assert_fails("none", Cause::MANIFEST, &says, |fake| of_types(fake, ["qcow2", "vmdk"]));
}

#[test]
fn rejects_an_only_file_that_is_not_compressed() {
    let text = vec![b'a'; MIB];
    let outcome = outcome(&Layer::new(text.clone()), &text, |fake| {
        let document = manifest(&titled(fake.layer(), "text/markdown"));
        fake.set_manifest(MANIFEST, document.to_string());
    });
    let (cause, error) = outcome.installed.unwrap_err();
    assert!(cause == Cause::FORMAT && error.contains("nothing was written"), "{error}");
}

#[test]
fn follows_redirects_to_urls_with_invalid_bytes() {
    for (location, path) in [
        ("/store/x?name=my disk.raw.gz&sig=a", "/store/x?name=my%20disk.raw.gz&sig=a"),
        (
            "/store/x?rscd=attachment; filename=\"d.gz\"&sig=a",
            "/store/x?rscd=attachment;%20filename=%22d.gz%22&sig=a",
        ),
        ("/store/größe%20x", "/store/gr%C3%B6%C3%9Fe%20x"),
        ("/store/{a}|b\\c^d`<e>", "/store/%7Ba%7D%7Cb%5Cc%5Ed%60%3Ce%3E"),
    ] {
        assert_works(location, |fake| fake.move_blob(location, path));
    }
    for location in ["http://[::1/x", "http://a b/", "ftp://127.0.0.1/x"] {
        let says = ["fetching"];
        assert_fails(location, Cause::TRANSFER, &says, |fake| fake.redirect_blob(location));
    }
}

#[test]
fn names_an_encoding_that_was_not_requested() {
    let encoding = ["Content-Encoding: gzip"];
    assert_fails("gzip", Cause::TRANSFER, &encoding, |fake| {
        let packed = gzip(&fake.manifest().body);
        fake.manifest().body = packed;
        fake.manifest().set_header("Content-Encoding", "gzip");
    });
    // The header alone does no harm. A store can have it for a compressed layer.
    assert_works("header only", |fake| {
        fake.manifest().set_header("Content-Encoding", "gzip");
        fake.blob().set_header("Content-Encoding", "gzip");
    });
    let image = image(MIB);
    let fake = Fake::with(&Layer::new(gzip(&image)));
    let (_, requests) = crate::run::install_from(fake, By::Tag, &Target::new(DISK));
    let identity = requests.iter().all(|it| it.header("accept-encoding") == Some("identity"));
    assert!(identity, "{requests:?}");
}

#[test]
fn ignores_optional_digests_of_other_algorithms() {
    for digest in [format!("sha512:{}", "0".repeat(128)), format!("blake3:{}", "0".repeat(64))] {
        assert_works(&digest, |fake| {
            fake.manifest().set_header("Docker-Content-Digest", &digest);
        });
    }
}

/// An index whose only entry is an index (moby/buildkit#6041), several times.
fn nested(fake: &mut Fake, levels: usize) {
    let document = manifest(&titled(fake.layer(), DISK_LAYER));
    let mut entry = add(fake, MANIFEST, &document);
    entry["platform"] = json!({ "os": "linux", "architecture": "amd64" });
    for _ in 1..levels {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] });
        entry = add(fake, INDEX, &index);
    }
    fake.set_index(&[entry]);
}

#[test]
fn follows_four_indexes() {
    for levels in [1, 2, 4] {
        assert_works(&levels.to_string(), |fake| nested(fake, levels));
    }
    let says = ["another image index; at most 4 are followed"];
    assert_fails("5", Cause::MANIFEST, &says, |fake| nested(fake, 5));
}
