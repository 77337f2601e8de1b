//! Where keys come from, what becomes of keys that cannot be read, and what is told of the good one.

use std::fs;

use ocidd::report::event::Outcome;

use crate::{
    fake::Fake,
    run::{By, Heard, Wanted, assert_failed},
    signatures::{
        assert_installs, install_tag, install_with, new_fake,
        signer::{Place, Signer, sign},
    },
    target::{DISK, Left, Target},
};

#[test]
fn keys_come_from_the_site_or_in_its_place_from_a_word() {
    let (site, other) = (Signer::p256(), Signer::ed25519());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cosign.pub").display().to_string();
    fs::write(&file, site.pem()).unwrap();
    for (rule, word, key) in [
        ("a file", format!("oci.verify_key={file}"), file.as_str()),
        ("a key", format!("oci.verify_key={}", site.base64()), "oci.verify_key"),
        ("the second of two", format!("oci.verify_key={},{file}", other.base64()), &file),
    ] {
        let (mut fake, _) = new_fake();
        sign(&mut fake, &site, Place::Tag);
        let target = Target::new(DISK);
        // It would refuse the image.
        other.trust(&target, "other.pub");
        assert_installs(rule, fake, &[&word], &target, key);
    }
    // Two keys of a site.
    let (mut fake, _) = new_fake();
    sign(&mut fake, &site, Place::Tag);
    let target = Target::new(DISK);
    other.trust(&target, "a.pub");
    site.trust(&target, "b.pem");
    let key = target.keys_folder().join("b.pem").display().to_string();
    assert_installs("two keys", fake, &[], &target, &key);
}

/// What becomes of a site's one key, `keys.d/a.pub`, and what is said of that.
type Spoiled = (&'static str, fn(&Target), &'static str);

const SPOILED: [Spoiled; 5] = [
    (
        "no key in a file",
        |target| fs::write(target.keys_folder().join("b.pub"), "").unwrap(),
        "/keys.d/b.pub: no public key found, expected PEM with",
    ),
    (
        "a private key",
        |target| {
            let text = Signer::p256().pem().replace("PUBLIC", "PRIVATE");
            fs::write(target.keys_folder().join("b.pub"), text).unwrap();
        },
        "/keys.d/b.pub: found a private key, expected only public keys",
    ),
    (
        "a folder in place of a file",
        |target| fs::create_dir(target.keys_folder().join("b.pub")).unwrap(),
        "/keys.d/b.pub: Is a directory",
    ),
    (
        "a key under another name",
        |target| {
            let folder = target.keys_folder();
            fs::rename(folder.join("a.pub"), folder.join("a.key")).unwrap();
        },
        "/keys.d contains no key; nothing was written\nhint: add PEM files named *.pub or *.pem",
    ),
    (
        "a file in place of the folder",
        |target| {
            fs::remove_dir_all(target.keys_folder()).unwrap();
            fs::write(target.keys_folder(), "").unwrap();
        },
        "/keys.d: Not a directory",
    ),
];

/// An image that is signed well is not even asked for.
#[track_caller]
fn assert_not_read((rule, spoil, says): &Spoiled, word: &str, code: u8) {
    let signer = Signer::p256();
    let (mut fake, image) = new_fake();
    sign(&mut fake, &signer, Place::Tag);
    let (address, layer) = (fake.address(), fake.layer().clone());
    let target = Target::new(DISK);
    signer.trust(&target, "a.pub");
    spoil(&target);
    let tag = By::Tag.word(&address, &layer);
    let registry = fake.serve();
    let outcome = install_tag(&tag, &[word], &target, &Heard::default());
    let wanted = Wanted { code, says: &[says], left: Left::Untouched };
    assert_failed(rule, outcome, wanted, (&address, &layer), (&target, &image));
    assert_eq!(registry.requests().len(), 0, "{rule}");
}

#[test]
fn keys_that_cannot_be_read_are_never_passed_over() {
    for row in &SPOILED {
        assert_not_read(row, "", 8);
    }
    let says = "reading keys from /no/such/key: No such file or directory";
    assert_not_read(&("a missing file", |_| {}, says), "oci.verify_key=/no/such/key", 2);
}

#[test]
fn a_bare_blob_is_refused_where_keys_are_trusted() {
    let signer = Signer::p256();
    let by_word = format!("oci.verify_key={}", signer.base64());
    for word in ["", &by_word] {
        let (fake, image) = new_fake();
        let (address, layer) = (fake.address(), fake.layer().clone());
        let target = Target::new(DISK);
        if word.is_empty() {
            signer.trust(&target, "site.pub");
        }
        let blob = By::Blob.word(&address, &layer);
        let registry = fake.serve();
        let outcome = install_tag(&blob, &[word], &target, &Heard::default());
        let says = [
            "oci.blob is given, but a blob without a manifest has no signature",
            "hint: select a manifest with oci.tag",
        ];
        let wanted = Wanted { code: 2, says: &says, left: Left::Untouched };
        assert_failed(word, outcome, wanted, (&address, &layer), (&target, &image));
        assert_eq!(registry.requests().len(), 0, "{word}");
    }
}

#[test]
fn a_dry_run_tells_who_has_signed() {
    let signer = Signer::p256();
    let word = format!("oci.verify_key={}", signer.base64());
    for (word, says) in
        [(&*word, " is good: key oci.verify_key (sha256:"), ("", "\n  signature: not required\n")]
    {
        let (mut fake, image): (Fake, _) = new_fake();
        sign(&mut fake, &signer, Place::Tag);
        let target = Target::new(DISK);
        let done =
            install_with(fake, &["ocidd.dry_run", word], &target, &Heard::default()).unwrap();
        assert_eq!(done.outcome, Outcome::DryRun);
        assert!(done.message.contains(says), "{}", done.message);
        target.assert_left("a dry run", Left::Untouched, &image);
    }
}
