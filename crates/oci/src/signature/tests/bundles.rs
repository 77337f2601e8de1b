//! Sigstore bundles: those of cosign, generated ones, and forged ones.

use base64::Engine as _;
use serde_json::{Value, json};

use super::{
    image, keys,
    samples::{
        COSIGN_BUNDLE, COSIGN_ED25519_PEM, COSIGN_ED25519PH_BUNDLE, COSIGN_IMAGE, COSIGN_PEM,
        P256_PEM, Signer, bundle,
    },
};
use crate::{
    BASE64,
    digest::Digest,
    signature::{SignatureError, dsse},
};

/// What cosign signs of an image.
fn statement(image: &str) -> Value {
    json!({
        "_type": dsse::STATEMENT,
        "subject": [{ "digest": { "sha256": image.replace("sha256:", "") } }],
        "predicateType": dsse::PREDICATE,
        "predicate": {},
    })
}

#[test]
fn accepts_a_bundle_of_cosign_only_with_its_key_and_image() {
    let image = COSIGN_IMAGE.parse().unwrap();
    let keys = [&*keys(P256_PEM), &*keys(COSIGN_PEM)].concat();
    let found = dsse::verify(COSIGN_BUNDLE.as_bytes(), &image, &keys);
    assert_eq!(found, Ok(&keys[1]));
    let other = dsse::verify(COSIGN_BUNDLE.as_bytes(), &image, &keys[..1]);
    assert_eq!(other, Err(SignatureError::OtherKey));
    let other = dsse::verify(COSIGN_BUNDLE.as_bytes(), &Digest::of(b""), &keys);
    assert_eq!(other, Err(SignatureError::OtherImage(COSIGN_IMAGE.to_owned())));
}

#[test]
fn bundle_must_sign_the_statement_of_a_signature() {
    let signer = Signer::new();
    let keys = [signer.key()];
    let mut right = statement(&image().to_string());
    let good = right["subject"][0].clone();
    right["subject"] = json!([{ "digest": { "sha512": "0" } }, good]);
    let signed_something = "a trusted key signed something else: ";
    let with = |key: &str, value: Value| {
        let mut statement = right.clone();
        statement[key] = value;
        statement.to_string()
    };
    let attestation = "https://cosign.sigstore.dev/attestation/v1";
    let rows = [
        (right.to_string(), dsse::PAYLOAD, String::new()),
        (
            with("predicateType", attestation.into()),
            dsse::PAYLOAD,
            format!("{signed_something}its predicate is '{attestation}'"),
        ),
        (
            with("_type", "https://in-toto.io/Statement/v0.1".into()),
            dsse::PAYLOAD,
            format!("{signed_something}its type is 'https"),
        ),
        (
            right.to_string(),
            "text/plain",
            format!("{signed_something}its payload type is 'text/plain'"),
        ),
        (with("subject", json!([])), dsse::PAYLOAD, "it belongs to ".to_owned()),
        (
            with("subject", json!([{ "digest": { "sha256": "00" } }])),
            dsse::PAYLOAD,
            "it belongs to sha256:00".to_owned(),
        ),
        (
            with("subject", json!([{ "digest": { "sha512": "00" } }])),
            dsse::PAYLOAD,
            "it belongs to sha256:".to_owned(),
        ),
        (with("subject", json!(null)), dsse::PAYLOAD, "it belongs to ".to_owned()),
        ("{".to_owned(), dsse::PAYLOAD, signed_something.to_owned()),
    ];
    for (statement, payload_type, fault) in rows {
        let bundle = bundle(&signer, payload_type, &statement).to_string();
        let found = dsse::verify(bundle.as_bytes(), &image(), &keys);
        let found = found.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(
            found.starts_with(&fault) && found.is_empty() == fault.is_empty(),
            "{statement}: {found}"
        );
    }
}

type Change = fn(&mut Value);

#[test]
fn rejects_changed_bundles() {
    let signer = Signer::new();
    let keys = [signer.key()];
    let right = statement(&image().to_string()).to_string();
    let other_key = "it was not made by a trusted key";
    let rows: [(Change, &str); 15] = [
        (|_| {}, ""),
        (|it| it["dsseEnvelope"]["payload"] = BASE64.encode("{}").into(), other_key),
        (|it| it["dsseEnvelope"]["payloadType"] = "text/plain".into(), other_key),
        (|it| it["dsseEnvelope"]["signatures"] = json!([{ "sig": "AAAA" }]), other_key),
        (|it| it["dsseEnvelope"]["signatures"] = json!([]), "reading the bundle: no signature"),
        (
            |it| it["dsseEnvelope"]["signatures"] = json!([{ "sig": "?" }]),
            "reading the bundle: no signature",
        ),
        (|it| it["dsseEnvelope"]["signatures"] = json!(null), "reading the bundle: no signature"),
        (|it| it["dsseEnvelope"]["payload"] = "?".into(), "reading the bundle: no DSSE envelope"),
        (|it| it["dsseEnvelope"] = json!(null), "reading the bundle: no DSSE envelope"),
        (
            |it| it["messageSignature"] = it["dsseEnvelope"].take(),
            "reading the bundle: no DSSE envelope",
        ),
        (|it| it["verificationMaterial"] = json!(null), ""),
        (
            |it| it["verificationMaterial"] = json!({ "certificate": { "rawBytes": "" } }),
            "its signature is keyless",
        ),
        (
            |it| it["verificationMaterial"]["x509CertificateChain"] = json!({}),
            "its signature is keyless",
        ),
        // These are not part of what is verified.
        (|it| it["verificationMaterial"] = json!({ "tlogEntries": [{}] }), ""),
        (
            |it| {
                let good = it["dsseEnvelope"]["signatures"][0].clone();
                it["dsseEnvelope"]["signatures"] = json!([{ "sig": "?" }, { "sig": "AAAA" }, good]);
            },
            "",
        ),
    ];
    for (change, fault) in rows {
        let mut bundle = bundle(&signer, dsse::PAYLOAD, &right);
        change(&mut bundle);
        let found = dsse::verify(bundle.to_string().as_bytes(), &image(), &keys);
        let found = found.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(
            found.starts_with(fault) && found.is_empty() == fault.is_empty(),
            "{bundle}: {found}"
        );
    }
}

/// cosign signs bundles with Ed25519ph if the key is Ed25519, and does not verify them itself.
#[test]
fn names_ed25519ph_and_accepts_pure_ed25519() {
    let keys = keys(COSIGN_ED25519_PEM);
    let image = COSIGN_IMAGE.parse().unwrap();
    let found = dsse::verify(COSIGN_ED25519PH_BUNDLE.as_bytes(), &image, &keys).unwrap_err();
    assert_eq!(found, SignatureError::Ed25519ph(keys[0].to_string()));
    let signer = Signer::ed25519();
    let statement = statement(COSIGN_IMAGE);
    let pure = bundle(&signer, dsse::PAYLOAD, &statement.to_string()).to_string();
    dsse::verify(pure.as_bytes(), &image, &[signer.key()]).unwrap();
}

#[test]
fn message_separates_type_and_payload() {
    for (payload, payload_type) in [("ab", "c"), ("b", "ca"), ("", "c 2 ab")] {
        let found = dsse::encode(payload_type, payload.as_bytes());
        let expected =
            format!("DSSEv1 {} {payload_type} {} {payload}", payload_type.len(), payload.len());
        assert_eq!(found, expected.as_bytes());
    }
}
