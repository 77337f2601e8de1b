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
    run::{By, Heard, Wanted, assert_failed, install_heard, no_certificates},
    signatures::signer::{
        Place, Signer, add_attachment, add_bundle, payload, sign, signature_path,
    },
    target::{DISK, Left, Target},
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
fn accepts_bundles_of_cosign_3_at_each_place() {
    for place in [Place::Referrer, Place::FallbackTag] {
        for signed in ["manifest", "index", "manifest of an index"] {
            for signer in [Signer::p256(), Signer::ed25519()] {
                let (mut fake, _) = new_fake();
                let target = Target::new(DISK);
                signer.trust(&target, "site.pub");
                let inner = (signed != "manifest").then(|| make_index(&mut fake));
                let image = inner.filter(|_| signed != "index");
                let image = image.unwrap_or_else(|| fake.manifest().digest());
                let mut list = vec![add_attachment(&mut fake, "a"), add_attachment(&mut fake, "b")];
                list.push(add_bundle(&mut fake, place, &image, &signer.bundle(&image)));
                place.push_list(&mut fake, &image, &list);
                let key = target.keys_folder().join("site.pub").display().to_string();
                assert_installs(&format!("{signed}, {place:?}"), fake, &[], &target, &key);
            }
        }
    }
}

/// A registry with one of these statuses has no referrers API.
#[test]
fn reads_the_fallback_tag_if_there_is_no_referrers_api() {
    for status in [400, 405, 406, 410, 501] {
        let (mut fake, _) = new_fake();
        let (signer, target) = (Signer::p256(), Target::new(DISK));
        signer.trust(&target, "site.pub");
        let image = fake.manifest().digest();
        fake.answers.insert(format!("/v2/os/referrers/{image}"), Answer::busy(status));
        sign(&mut fake, &signer, Place::FallbackTag);
        let key = target.keys_folder().join("site.pub").display().to_string();
        assert_installs(&status.to_string(), fake, &[], &target, &key);
    }
}

#[test]
fn follows_the_pages_of_referrers() {
    for rule in ["relative", "absolute", "wrong scheme"] {
        let (mut fake, _) = new_fake();
        let (signer, target) = (Signer::p256(), Target::new(DISK));
        signer.trust(&target, "site.pub");
        let image = fake.manifest().digest();
        let mut entries: Vec<_> =
            ["a", "b", "c"].iter().map(|name| add_attachment(&mut fake, name)).collect();
        let bundle = signer.bundle(&image);
        entries.push(add_bundle(&mut fake, Place::Referrer, &image, &bundle));
        let path = format!("/v2/os/referrers/{image}");
        let origin = match rule {
            "relative" => String::new(),
            "absolute" => format!("http://{}", fake.address()),
            _ => format!("https://{}", fake.address()),
        };
        for (page, entries) in entries.chunks(2).enumerate() {
            Place::Referrer.push_list(&mut fake, &image, entries);
            let answer = fake.answers.last(&path).clone();
            match page {
                0 => {
                    let link = format!("<{origin}{path}?page=2>; rel=\"next\"");
                    fake.answers.insert(format!("{path}?page=1"), answer.header("Link", link));
                }
                _ => fake.answers.insert(format!("{path}?page=2"), answer),
            }
        }
        let first = fake.answers.last(&format!("{path}?page=1")).clone();
        fake.answers.insert(path, first);
        let key = target.keys_folder().join("site.pub").display().to_string();
        assert_installs(rule, fake, &[], &target, &key);
    }
}

/// The list is a fault of the registry then, and nothing is installed.
#[test]
fn ends_if_pages_of_referrers_do_not() {
    for (link, says) in [
        ("<?page=1>; rel=next", "the list does not end"),
        ("<http://192.0.2.1/v2/os/referrers/x>; rel=next", "the next page has another origin"),
    ] {
        let (mut fake, image) = new_fake();
        let digest = fake.manifest().digest();
        let attachment = add_attachment(&mut fake, "a");
        Place::Referrer.push_list(&mut fake, &digest, &[attachment]);
        let path = format!("/v2/os/referrers/{digest}");
        let page = fake.answers.last(&path).clone().header("Link", link);
        fake.answers.insert("/v2/os/referrers/?page=1".to_owned(), page.clone());
        fake.answers.insert(path, page);
        let (address, layer) = (fake.address(), fake.layer().clone());
        let target = Target::new(DISK);
        Signer::p256().trust(&target, "site.pub");
        let outcome = install_with(fake, &[], &target, &Heard::default());
        let wanted = Wanted { code: 4, says: &[says], left: Left::Untouched };
        assert_failed(link, outcome, wanted, (&address, &layer), (&target, &image));
    }
}

#[test]
fn one_good_signature_among_others_is_enough() {
    type Others = fn(&mut Fake, &Signer, &str);
    let rows: [(&str, Others); 8] = [
        ("behind a payload that is forbidden", |fake, signer, image| {
            let other = signer.layer(fake, &payload("sha256:0"));
            let path = format!("/v2/os/blobs/{}", other["digest"].as_str().unwrap());
            fake.answers.insert(path, Answer::busy(403));
            let good = signer.layer(fake, &payload(image));
            Place::Tag.push(fake, image, &[other, good]);
        }),
        ("a bundle behind a tag that is broken", |fake, signer, image| {
            fake.answers.insert(signature_path(image), Answer::busy(500));
            let entry = add_bundle(fake, Place::Referrer, image, &signer.bundle(image));
            Place::Referrer.push_list(fake, image, &[entry]);
        }),
        ("a bundle among forged and missing ones", |fake, signer, image| {
            let forged = add_bundle(fake, Place::Referrer, image, &Signer::p256().bundle(image));
            let mut missing = forged.clone();
            missing["digest"] = Digest::of(b"gone").to_string().into();
            let mut sha512 = forged.clone();
            sha512["digest"] = format!("sha512:{}", "0".repeat(128)).into();
            let good = add_bundle(fake, Place::FallbackTag, image, &signer.bundle(image));
            Place::FallbackTag.push_list(fake, image, &[missing, sha512, forged, good]);
        }),
        ("a tag beside a list that is garbled", |fake, signer, image| {
            fake.answers.insert(format!("/v2/os/referrers/{image}"), Answer::login_page());
            sign(fake, signer, Place::Tag);
        }),
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
