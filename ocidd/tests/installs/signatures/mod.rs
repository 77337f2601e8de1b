//! Images whose signature is asked for: installed where a trusted key has signed them, refused before the first write where none has.

mod keys;
mod network;
mod refused;
mod signer;

use oci::digest::Digest;
use ocidd::report::{event::Done, failure::Failure};

use crate::{
    fake::{Answer, Fake},
    images::{Layer, gzip, image},
    run::{By, Heard, install_heard, no_certificates},
    signatures::signer::{Place, Signer, payload, sign, signature_path},
    target::{DISK, Target},
};

/// What is in the image does not matter here.
const IMAGE_BYTES: usize = 3000;

fn new_fake() -> (Fake, Vec<u8>) {
    let image = image(IMAGE_BYTES);
    (Fake::with(&Layer::new(gzip(&image))), image)
}

/// Installs by tag over plain HTTP, with more words.
fn install_with(
    fake: Fake,
    more: &[&str],
    target: &Target,
    heard: &Heard,
) -> Result<Done, Failure> {
    let tag = By::Tag.word(&fake.address(), fake.layer());
    let _registry = fake.serve();
    install_tag(&tag, more, target, heard)
}

fn install_tag(word: &str, more: &[&str], target: &Target, heard: &Heard) -> Result<Done, Failure> {
    let words = [&[word, "oci.allow_no_tls"], more].concat();
    install_heard(&words, target, no_certificates(target.folder.path()), heard)
}

/// An install of a signed image has to leave it on the disk, and to tell which key was good.
#[track_caller]
fn assert_installs(rule: &str, fake: Fake, more: &[&str], target: &Target, key: &str) {
    let heard = Heard::default();
    install_with(fake, more, target, &heard).unwrap_or_else(|failure| panic!("{rule}: {failure}"));
    target.assert_installed(rule, &image(IMAGE_BYTES));
    let note = heard.notes().into_iter().find(|note| note.starts_with("signature of sha256:"));
    let note = note.unwrap_or_else(|| panic!("{rule}: no key is named"));
    assert!(note.contains(&format!(" is good: key {key} (sha256:")), "{rule}: {note}");
}

/// What the machine's architecture is called.
fn platform() -> (&'static str, &'static str) {
    ("linux", if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" })
}

/// Makes the tag an index with one manifest, and gives the digest of that.
fn make_index(fake: &mut Fake) -> String {
    let layer = fake.layer().clone();
    let mut entry = fake.add_manifest(&layer);
    let (os, architecture) = platform();
    entry["platform"] = serde_json::json!({ "os": os, "architecture": architecture });
    fake.set_index(std::slice::from_ref(&entry));
    entry["digest"].as_str().unwrap().to_owned()
}

#[test]
fn a_signed_image_is_installed_wherever_its_signature_is() {
    for place in Place::ALL {
        for signed in ["manifest", "index", "manifest of an index"] {
            for signer in [Signer::p256(), Signer::ed25519()] {
                let (mut fake, _) = new_fake();
                let target = Target::new(DISK);
                signer.trust(&target, "site.pub");
                let inner = (signed != "manifest").then(|| make_index(&mut fake));
                match inner.filter(|_| signed != "index") {
                    Some(manifest) => {
                        let layer = signer.layer(&mut fake, &payload(&manifest));
                        place.push(&mut fake, &manifest, &[layer]);
                    }
                    None => sign(&mut fake, &signer, place),
                }
                let key = target.keys_folder().join("site.pub").display().to_string();
                assert_installs(&format!("{signed}, {place:?}"), fake, &[], &target, &key);
            }
        }
    }
}

#[test]
fn one_good_signature_among_others_is_enough() {
    type Others = fn(&mut Fake, &Signer, &str);
    let rows: [(&str, Others); 4] = [
        ("behind another key's and one without a signature", |fake, signer, image| {
            let other = Signer::ed25519().layer(fake, &payload(image));
            let mut bare = other.clone();
            bare["annotations"] = serde_json::json!({});
            let good = signer.layer(fake, &payload(image));
            Place::Tag.push(fake, image, &[other, bare, good]);
        }),
        ("a referrer behind another key's tag", |fake, signer, _| {
            sign(fake, &Signer::p256(), Place::Tag);
            sign(fake, signer, Place::Referrer);
        }),
        ("behind a payload that is gone", |fake, signer, image| {
            let mut gone = signer.layer(fake, &payload(image));
            gone["digest"] = Digest::of(b"gone").to_string().into();
            let good = signer.layer(fake, &payload(image));
            Place::Tag.push(fake, image, &[gone, good]);
        }),
        ("a fallback tag behind a garbled tag", |fake, signer, image| {
            fake.answers.insert(signature_path(image), Answer::login_page());
            sign(fake, signer, Place::FallbackTag);
        }),
    ];
    for (rule, others) in rows {
        let (mut fake, _) = new_fake();
        let (signer, target) = (Signer::p256(), Target::new(DISK));
        signer.trust(&target, "site.pub");
        let image = fake.manifest().digest();
        others(&mut fake, &signer, &image);
        let key = target.keys_folder().join("site.pub").display().to_string();
        assert_installs(rule, fake, &[], &target, &key);
    }
}
