//! Images that no trusted key has signed, in every way that there is: refused before the first write, and before the layer is asked for.

use oci::digest::Digest;

use crate::{
    fake::{Answer, Fake, MANIFEST},
    images::Layer,
    run::{By, Heard, Wanted, assert_failed},
    signatures::{
        install_tag, make_index, new_fake,
        signer::{Place, Signer, payload, sign, signature_path},
    },
    target::{DISK, Left, Target},
};

/// How an image is signed that has to be refused by a machine that trusts one key, and what is said of that.
struct Row {
    rule: &'static str,
    signs: fn(&mut Fake, &Signer, &str),
    says: &'static [&'static str],
}

const REFUSED: [Row; 12] = [
    Row { rule: "unsigned", signs: |_, _, _| {}, says: &["IMAGE is not signed; trusted are "] },
    Row {
        rule: "signed by another key",
        signs: |fake, _, _| sign(fake, &Signer::p256(), Place::Tag),
        says: &[
            "no signature of IMAGE is good: tag SIGNATURES, payload sha256:",
            ": it was not made by a trusted key",
        ],
    },
    Row {
        rule: "signed by another key, as a referrer",
        signs: |fake, _, _| sign(fake, &Signer::ed25519(), Place::Referrer),
        says: &[
            "no signature of IMAGE is good: referrer sha256:",
            ": it was not made by a trusted key",
        ],
    },
    Row {
        rule: "a signature that was made for another image",
        signs: |fake, signer, image| {
            let layer = signer.layer(fake, &payload(&Digest::of(b"other").to_string()));
            Place::Tag.push(fake, image, &[layer]);
        },
        says: &[
            "no signature of IMAGE is good: ",
            ": it belongs to sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa",
        ],
    },
    Row {
        rule: "a payload that was changed in its place",
        signs: |fake, signer, image| {
            sign(fake, signer, Place::Tag);
            let path = format!("/v2/os/blobs/{}", Digest::of(payload(image).as_bytes()));
            fake.answers.last(&path).body.push(b' ');
        },
        says: &[", payload sha256:", ": the registry sends sha256:"],
    },
    Row {
        rule: "another payload under the old signature",
        signs: |fake, signer, image| {
            let old = signer.layer(fake, &payload(&Digest::of(b"other").to_string()));
            let mut layer = signer.layer(fake, &payload(image));
            layer["annotations"] = old["annotations"].clone();
            Place::Tag.push(fake, image, &[layer]);
        },
        says: &[": it was not made by a trusted key, or its payload was changed"],
    },
    Row {
        rule: "a signature that is no base64",
        signs: |fake, signer, image| {
            let mut layer = signer.layer(fake, &payload(image));
            layer["annotations"]["dev.cosignproject.cosign/signature"] = "?".into();
            Place::Tag.push(fake, image, &[layer]);
        },
        says: &["tag SIGNATURES: the annotation dev.cosignproject.cosign/signature is not base64"],
    },
    Row {
        rule: "a garbled manifest of signatures",
        signs: |fake, _, image| {
            let answer = Answer::new(200, MANIFEST, "{");
            fake.answers.insert(signature_path(image), answer);
        },
        says: &["tag SIGNATURES: reading the manifest of signatures: EOF"],
    },
    Row {
        rule: "a manifest of no signatures",
        signs: |fake, _, image| Place::Tag.push(fake, image, &[]),
        says: &["tag SIGNATURES: no signature in the manifest"],
    },
    Row {
        rule: "a good one behind more than anybody needs",
        signs: |fake, signer, image| {
            let good = signer.layer(fake, &payload(image));
            let mut bare = good.clone();
            bare["annotations"] = serde_json::json!({});
            let mut layers = vec![bare; 64];
            layers.push(good);
            Place::Tag.push(fake, image, &layers);
        },
        says: &["tag SIGNATURES: only 64 of 65 signatures checked", ", and 53 more; trusted are "],
    },
    Row {
        rule: "a referrer that is another one",
        signs: |fake, signer, image| {
            sign(fake, signer, Place::Referrer);
            let mut entry = Layer::new("{}").descriptor(MANIFEST);
            entry["artifactType"] = "application/vnd.dev.cosign.artifact.sig.v1+json".into();
            let path = format!("/v2/os/manifests/{}", Digest::of(b"{}"));
            fake.answers.insert(path, Answer::new(200, MANIFEST, "{ }"));
            Place::Referrer.push_list(fake, image, &[entry]);
        },
        says: &[
            "referrer sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a: the registry sends sha256:",
        ],
    },
    Row {
        rule: "a bundle of newer tools",
        signs: |fake, _, image| {
            let mut entry = Layer::new("{}").descriptor(MANIFEST);
            entry["artifactType"] = "application/vnd.dev.sigstore.bundle.v0.3+json".into();
            Place::FallbackTag.push_list(fake, image, &[entry]);
        },
        says: &[
            "sigstore bundles are not supported",
            "hint: sign it with `cosign sign --new-bundle-format=false`",
        ],
    },
];

/// Tries `row` on a machine that trusts one key, with one more word.
#[track_caller]
fn assert_refused(Row { rule, signs, says }: &Row, word: &str) {
    let (mut fake, image) = new_fake();
    let (signer, target) = (Signer::p256(), Target::new(DISK));
    signer.trust(&target, "site.pub");
    let digest = fake.manifest().digest();
    signs(&mut fake, &signer, &digest);
    let (address, layer, blob) = (fake.address(), fake.layer().clone(), fake.blob_path());
    let tag = By::Tag.word(&address, &layer);
    let registry = fake.serve();
    let outcome = install_tag(&tag, &[word], &target, &Heard::default());
    let signatures = format!("{}.sig", digest.replace(':', "-"));
    let stand_in = |part: &&str| part.replace("IMAGE", &digest).replace("SIGNATURES", &signatures);
    let always = ["verifying the signature of REGISTRY/os:1: ", "/keys.d/site.pub (sha256:"];
    let says: Vec<String> = says.iter().chain(&always).map(stand_in).collect();
    let says: Vec<&str> = says.iter().map(String::as_str).collect();
    let wanted = Wanted { code: 8, says: &says, left: Left::Untouched };
    assert_failed(rule, outcome, wanted, (&address, &layer), (&target, &image));
    let asked = registry.requests();
    assert!(asked.iter().all(|request| request.path != blob), "{rule}: {asked:?}");
}

#[test]
fn an_image_that_no_trusted_key_has_signed_is_refused() {
    for row in &REFUSED {
        assert_refused(row, "");
    }
}

#[test]
fn it_is_refused_too_where_nothing_would_be_written() {
    for word in ["ocidd.dry_run", "ocidd.skip_if_installed"] {
        assert_refused(&REFUSED[0], word);
    }
}

#[test]
fn of_an_index_and_its_manifest_both_are_named() {
    let (mut fake, image) = new_fake();
    let manifest = make_index(&mut fake);
    let index = fake.manifest().digest();
    let (address, layer) = (fake.address(), fake.layer().clone());
    let target = Target::new(DISK);
    Signer::p256().trust(&target, "site.pub");
    let tag = By::Tag.word(&address, &layer);
    let _registry = fake.serve();
    let outcome = install_tag(&tag, &[], &target, &Heard::default());
    let says = format!("REGISTRY/os:1: {index} or {manifest} is not signed; trusted are ");
    let wanted = Wanted { code: 8, says: &[&says], left: Left::Untouched };
    assert_failed("an index", outcome, wanted, (&address, &layer), (&target, &image));
}
