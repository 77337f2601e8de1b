//! `push --sign`: what is signed, where the signature goes, and what becomes of those that are there. Read by hand, without the verifier.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::KeyPair;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::{
    fake::{Answer, Fake, Fault},
    ours::Author,
};

/// A registry, and an author with a disk and two keys.
fn scene() -> (Fake, Author, [KeyPair; 2]) {
    let author = Author::new();
    author.write("a", "a disk");
    let keys = ["one.key", "two.key"].map(|file| {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        author.write(file, key.serialize_pem());
        key
    });
    (Fake::new(), author, keys)
}

/// The layers of the signatures of what has this digest.
fn signatures(fake: &Fake, digest: &str) -> Vec<Value> {
    let manifest = fake.store(|store| store.document(&tag_of(digest)));
    assert_eq!(manifest["subject"]["digest"], *digest);
    assert_eq!(manifest["artifactType"], "application/vnd.dev.cosign.artifact.sig.v1+json");
    manifest["layers"].as_array().unwrap().clone()
}

fn tag_of(digest: &str) -> String {
    format!("{}.sig", digest.replace(':', "-"))
}

/// The key has made the signature of a layer, for what has this digest and is known by this name.
#[track_caller]
fn assert_signed(fake: &Fake, layer: &Value, key: &KeyPair, name: &str, digest: &str) {
    assert_eq!(layer["mediaType"], "application/vnd.dev.cosign.simplesigning.v1+json");
    let payload = fake.store(|store| store.blobs[layer["digest"].as_str().unwrap()].clone());
    let says: Value = serde_json::from_slice(&payload).unwrap();
    let critical = json!({
        "identity": { "docker-reference": name },
        "image": { "docker-manifest-digest": digest },
        "type": "cosign container image signature",
    });
    assert_eq!(says, json!({ "critical": critical, "optional": null }));
    let text = layer["annotations"]["dev.cosignproject.cosign/signature"].as_str().unwrap();
    let signature = STANDARD.decode(text).unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.public_key_raw())
        .verify(&payload, &signature)
        .unwrap();
}

#[test]
fn the_same_image_is_signed_once_by_each_key() {
    let (fake, author, [one, two]) = scene();
    let name = format!("{}/os", fake.address);
    let push = |key: &str, tag: &str| author.push(&["--sign", key, "a", &fake.reference(tag)]);
    let digest = push("one.key", "1");
    let first = signatures(&fake, &digest);
    assert_eq!(first.len(), 1);
    assert_signed(&fake, &first[0], &one, &name, &digest);
    let manifest = fake.store(|store| store.manifests[&tag_of(&digest)].clone());
    // Again, and under another name: nothing new.
    assert_eq!([push("one.key", "1"), push("one.key", "2")], [&*digest, &*digest]);
    assert_eq!(fake.store(|store| store.manifests[&tag_of(&digest)].clone()), manifest);
    assert_eq!(push("two.key", "1"), digest);
    let both = signatures(&fake, &digest);
    assert_eq!(both.len(), 2);
    assert_eq!(both[0], first[0]);
    assert_signed(&fake, &both[1], &two, &name, &digest);
}

#[test]
fn no_signature_is_lost_if_several_keys_sign_at_once() {
    let (fake, author, _) = scene();
    let digest = author.push(&["a", &fake.reference("1")]);
    std::thread::scope(|scope| {
        for number in 0..6 {
            let (author, reference) = (&author, fake.reference("1"));
            let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
            let file = format!("{number}.key");
            author.write(&file, key.serialize_pem());
            scope.spawn(move || author.push(&["--sign", &file, "a", &reference]));
        }
    });
    assert_eq!(signatures(&fake, &digest).len(), 6);
}

#[test]
fn an_index_is_signed_with_each_of_its_images() {
    let (fake, author, [one, _]) = scene();
    let name = format!("{}/os", fake.address);
    let mut indexes = Vec::new();
    for platform in ["linux/amd64", "linux/arm64"] {
        let words = ["--sign", "one.key", "--platform", platform, "a", &fake.reference("1")];
        indexes.push(author.push(&words));
    }
    let index = fake.store(|store| store.document("1"));
    let images = index["manifests"].as_array().unwrap();
    assert_eq!(images.len(), 2);
    let images = images.iter().map(|image| image["digest"].as_str().unwrap());
    for digest in images.chain(indexes.iter().map(String::as_str)) {
        let layers = signatures(&fake, digest);
        assert_eq!(layers.len(), 1, "{digest}");
        assert_signed(&fake, &layers[0], &one, &name, digest);
    }
}

#[test]
fn signs_no_entry_that_only_the_registry_has() {
    let (fake, author, [one, _]) = scene();
    let other = Author::new();
    other.write("evil", "another disk");
    let (reference, name) = (fake.reference("1"), format!("{}/os", fake.address));
    other.push(&["--platform", "linux/amd64", "evil", &reference]);
    let before = fake.store(|store| store.document("1"));
    let evil = before["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let push = ["push", "--platform", "linux/arm64", "--sign", "one.key", "a", &reference];
    fake.take_asked();
    author.fails(
        &push,
        &format!("has entries that this key has not signed: linux/amd64 ({evil})\nocidd: hint: "),
    );
    assert!(!fake.take_asked().iter().any(|line| !line.starts_with("GET")), "nothing is written");
    // Nor one that only another key has signed.
    other.write("two.key", author.read("two.key"));
    let two = ["--platform", "linux/amd64", "--sign", "two.key", "evil", &reference];
    other.push(&two);
    author.fails(&push, "has entries that this key has not signed: linux/amd64 (sha256:");
    // A forged list of signatures is not enough.
    other.push(&["--type", "a/b", "evil", &fake.reference(&tag_of(&evil))]);
    author.fails(&push, "has entries that this key has not signed: linux/amd64 (sha256:");
    assert_eq!(author.run(&push[..3]).code, 2);

    let index = author.push(&[&push[1..5], &["--sign-foreign"], &push[5..]].concat());
    assert_signed(&fake, &signatures(&fake, &index)[0], &one, &name, &index);
    // From then on the key has signed all of the index.
    let index = author.push(&["--platform", "linux/arm", "--sign", "one.key", "a", &reference]);
    assert_eq!(fake.store(|store| store.document("1"))["manifests"].as_array().unwrap().len(), 3);
    assert_signed(&fake, &signatures(&fake, &index)[0], &one, &name, &index);
}

#[test]
fn an_unsigned_index_gives_a_signed_one_only_its_signed_entries() {
    let (fake, author, _) = scene();
    let reference = fake.reference("1");
    author.push(&["--platform", "linux/amd64", "--sign", "one.key", "a", &reference]);
    let mut index = fake.store(|store| store.document("1"));
    index["annotations"] = json!({ "by": "another" });
    let bytes = index.to_string().into_bytes();
    fake.store(|store| store.manifests.get_mut("1").unwrap().1 = bytes);
    let ended = author.run(&["push", "--platform", "linux/arm64", "a", &reference]);
    assert!(ended.stderr.contains("kept linux/amd64 (sha256:"), "{}", ended.stderr);
    author.push(&["--platform", "linux/arm64", "--sign", "one.key", "a", &reference]);
    let index = fake.store(|store| store.document("1"));
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2);
    assert!(index.get("annotations").is_none());
}

#[test]
fn a_key_that_cannot_be_used_is_told_before_anything_is_sent() {
    let (fake, mut author, _) = scene();
    author.write("no.key", "secret");
    let reference = fake.reference("1");
    let push = ["push", "--sign", "no.key", "a", &reference];
    author.fails(&push, "reading the signing key no.key: ");
    assert_eq!(fake.take_asked(), [""; 0]);
    author.write("no.key", include_str!("../../../crates/oci/src/signing_key/cosign.key"));
    author.fails(&push, "the key is protected by a password\nocidd: hint: set COSIGN_PASSWORD");
    author.set("COSIGN_PASSWORD", "a site's secrets");
    author.fails(&push, "the password is wrong\nocidd: hint: check COSIGN_PASSWORD");
    assert_eq!(fake.take_asked(), [""; 0]);
    author.set("COSIGN_PASSWORD", "a site's secret");
    let digest = author.push(&push[1..]);
    assert_eq!(signatures(&fake, &digest).len(), 1);
}

#[test]
fn no_tag_leads_to_an_image_without_its_signature() {
    let (fake, author, _) = scene();
    fake.set_faults(|request| {
        Fault::Answer(Answer::error(403, "DENIED")).when(request.is("PUT manifests/sha256-"))
    });
    for words in [&["a"][..], &["--platform", "linux/amd64", "a"]] {
        let reference = fake.reference("1");
        let words = [&["push", "--sign", "one.key"], words, &[&*reference]].concat();
        author.fails(&words, "signing ");
        assert!(!fake.store(|store| store.manifests.contains_key("1")), "{words:?}");
    }
}
