//! Signatures by way of mirrors, busy registries and logins: what is broken passes, what is missing is refused.

use crate::{
    fake::{Answer, Fake, TOKEN},
    run::{By, Heard, Wanted, assert_failed},
    signatures::{
        assert_installs, install_tag, install_with, new_fake,
        signer::{Place, Signer, payload, sign, signature_path},
    },
    target::{DISK, Left, Target},
};

#[test]
fn whether_a_mirror_has_the_signature_does_not_matter() {
    type Mirror = fn(&mut Fake, &mut Fake, &Signer, &str);
    let rows: [(&str, Mirror, bool); 5] = [
        ("only the origin", |origin, _, signer, _| sign(origin, signer, Place::Tag), true),
        ("only the mirror", |_, mirror, signer, _| sign(mirror, signer, Place::Tag), true),
        (
            "the mirror has another key's",
            |origin, mirror, signer, _| {
                sign(mirror, &Signer::p256(), Place::Tag);
                sign(origin, signer, Place::Referrer);
            },
            true,
        ),
        (
            "the mirror is broken",
            |origin, mirror, signer, image| {
                mirror.answers.insert(signature_path(image), Answer::busy(500));
                sign(origin, signer, Place::Tag);
            },
            true,
        ),
        ("neither", |_, _, _, _| {}, false),
    ];
    for (rule, push, is_good) in rows {
        let signer = Signer::p256();
        let (mut origin, image) = new_fake();
        let mut mirror = origin.mirror();
        let digest = origin.manifest().digest();
        push(&mut origin, &mut mirror, &signer, &digest);
        let target = Target::new(DISK);
        signer.trust(&target, "site.pub");
        let tag = By::Tag.word(&origin.address(), origin.layer());
        let mirrors = format!("oci.mirror={}", mirror.address());
        let _running = (origin.serve(), mirror.serve());
        let outcome = install_tag(&tag, &[&mirrors], &target, &Heard::default());
        match outcome {
            Ok(_) => target.assert_installed(rule, &image),
            Err(ref failure) => {
                assert_eq!(failure.cause.exit_code, 8, "{rule}: {failure}");
                target.assert_left(rule, Left::Untouched, &image);
            }
        }
        assert_eq!(outcome.is_ok(), is_good, "{rule}");
    }
}

#[test]
fn a_broken_transfer_of_a_signature_is_tried_again() {
    type Fault = fn(Answer) -> Answer;
    let signer = Signer::p256();
    let faults: [(&str, Fault); 3] = [
        ("busy", |_| Answer::busy(503)),
        ("cut", |right| right.cut(20)),
        ("cut at once", |right| right.cut(0)),
    ];
    for (rule, fault) in faults {
        for is_payload in [false, true] {
            let (mut fake, _) = new_fake();
            sign(&mut fake, &signer, Place::Tag);
            let image = fake.manifest().digest();
            let blob = oci::digest::Digest::of(payload(&image).as_bytes());
            let path =
                if is_payload { format!("/v2/os/blobs/{blob}") } else { signature_path(&image) };
            let right = fake.answers.last(&path).clone();
            fake.answers.insert(path, fault(right.clone()).then(right));
            let target = Target::new(DISK);
            signer.trust(&target, "site.pub");
            let key = target.keys_folder().join("site.pub").display().to_string();
            assert_installs(rule, fake, &[], &target, &key);
        }
    }
}

/// Whether it is signed is not known then.
#[test]
fn a_registry_that_gives_no_answer_about_signatures_is_a_registry_that_fails() {
    let says = "verifying the signature of REGISTRY/os:1: registry REGISTRY answered ";
    for (status, code) in [(500, 4), (403, 4), (404, 8)] {
        let (mut fake, image) = new_fake();
        let digest = fake.manifest().digest();
        fake.answers.insert(signature_path(&digest), Answer::busy(status));
        let (address, layer) = (fake.address(), fake.layer().clone());
        let target = Target::new(DISK);
        Signer::p256().trust(&target, "site.pub");
        let outcome = install_with(fake, &[], &target, &Heard::default());
        let says: &[&str] = if code == 4 { &[says] } else { &[" is not signed; "] };
        let wanted = Wanted { code, says, left: Left::Untouched };
        assert_failed(&status.to_string(), outcome, wanted, (&address, &layer), (&target, &image));
    }
}

#[test]
fn a_private_registry_gives_signatures_to_who_has_a_token() {
    for place in Place::ALL {
        let signer = Signer::p256();
        let (mut fake, _) = new_fake();
        fake.demand_token(Answer::token("token"));
        sign(&mut fake, &signer, place);
        let target = Target::new(DISK);
        signer.trust(&target, "site.pub");
        let key = target.keys_folder().join("site.pub").display().to_string();
        assert_installs(TOKEN, fake, &[], &target, &key);
    }
}
