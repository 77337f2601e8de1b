//! Valid and invalid signatures, by `openssl` and generated; keys of every kind.

mod sample_keys;
mod samples;

use samples::{
    ED25519_PEM, ED25519_SIGNATURE, OTHERS, P256_BASE64, P256_PEM, P256_SIGNATURE, SIGNED, Signer,
    layer, manifest, payload,
};
use serde_json::{Value, json};

use super::*;

/// The signed image.
fn image() -> Digest {
    Digest::of(b"")
}

fn keys(pem: &str) -> Vec<Key> {
    Key::parse_pem(pem.as_bytes(), "site.pub").unwrap()
}

fn decode(text: &str) -> Vec<u8> {
    BASE64.decode(text).unwrap()
}

/// The signature in a manifest with only this layer.
fn claim(layer: Value) -> Result<Claim, SignatureError> {
    parse_manifest(&manifest(&[layer])).unwrap().remove(0)
}

fn verify(text: &str, signature: &[u8], keys: &[Key]) -> Result<String, String> {
    let claim = claim(layer(text.as_bytes(), signature)).unwrap();
    let found = claim.verify(text.as_bytes(), &image(), keys);
    found.map(Key::to_string).map_err(|error| error.to_string())
}

#[test]
fn accepts_signatures_of_openssl_only_with_their_key() {
    let (p256, ed25519) = (keys(P256_PEM), keys(ED25519_PEM));
    let both = [&*p256, &*ed25519].concat();
    let rows = [
        (P256_SIGNATURE, "site.pub (sha256:a801c6e492073156…)", &p256, &ed25519),
        (ED25519_SIGNATURE, "site.pub (sha256:e0bba83e0154a8dc…)", &ed25519, &p256),
    ];
    for (signature, name, right, wrong) in rows {
        let signature = decode(signature);
        assert_eq!(verify(SIGNED, &signature, right).as_deref(), Ok(name));
        assert_eq!(verify(SIGNED, &signature, &both).as_deref(), Ok(name));
        for keys in [&**wrong, &[]] {
            let fault = verify(SIGNED, &signature, keys).unwrap_err();
            assert!(fault.starts_with("it was not made by a trusted key"), "{fault}");
        }
    }
}

#[test]
fn rejects_every_changed_bit() {
    for (pem, signature) in [(P256_PEM, P256_SIGNATURE), (ED25519_PEM, ED25519_SIGNATURE)] {
        let (keys, signature) = (keys(pem), decode(signature));
        for at in 0..signature.len() * 8 {
            let mut changed = signature.clone();
            changed[at / 8] ^= 1 << (at % 8);
            assert!(verify(SIGNED, &changed, &keys).is_err(), "{at}");
        }
        for at in 0..SIGNED.len() {
            let mut changed = SIGNED.as_bytes().to_vec();
            changed[at] ^= 1;
            let claim = claim(layer(&changed, &signature)).unwrap();
            assert_eq!(
                claim.verify(&changed, &image(), &keys),
                Err(SignatureError::OtherKey),
                "{at}"
            );
        }
        for end in [0, 1, signature.len() - 1] {
            assert!(verify(SIGNED, &signature[..end], &keys).is_err(), "{end}");
        }
        assert!(verify(SIGNED, &[&*signature, &[0]].concat(), &keys).is_err());
    }
}

#[test]
fn payload_must_name_the_image() {
    let signer = Signer::new();
    let keys = [signer.key()];
    let right = payload(&image().to_string());
    let other = Digest::of(b"other").to_string();
    let rows = [
        (right.clone(), ""),
        (right.replace("registry.example", "copy.example"), ""),
        (right.replace("null", r#"{"creator":"us","timestamp":1}"#), ""),
        (right.replace(r#""identity":{"docker-reference":"registry.example/os"},"#, ""), ""),
        (payload(&other), &*format!("it belongs to {other}")),
        (payload(&image().to_string().to_uppercase()), "it belongs to SHA256:E3B0"),
        (payload(""), "it belongs to "),
        (
            right.replace("cosign container", "atomic container"),
            "a trusted key signed something else: its type is 'atomic container image signature'",
        ),
        (
            right.replace("\"type\"", "\"tpye\""),
            "a trusted key signed something else: missing field `type`",
        ),
        (
            right.replace("docker-manifest-digest", "digest"),
            "a trusted key signed something else: missing field `docker-manifest-digest`",
        ),
        (
            right.replace("\"critical\"", "\"critical\":{},\"critical\""),
            "a trusted key signed something else: ",
        ),
        (right[1..].to_owned(), "a trusted key signed something else: "),
        ("\u{1b}".to_owned(), "a trusted key signed something else: expected value"),
        (String::new(), "a trusted key signed something else: EOF"),
    ];
    for (text, fault) in rows {
        let found = verify(&text, &signer.sign(text.as_bytes()), &keys).err().unwrap_or_default();
        assert!(
            found.starts_with(fault) && found.is_empty() == fault.is_empty(),
            "{text}: {found}"
        );
    }
}

#[test]
fn lists_valid_and_invalid_signatures() {
    let good = layer(SIGNED.as_bytes(), &decode(P256_SIGNATURE));
    let with = |key: &str, value: Value| {
        let mut layer = good.clone();
        layer[key] = value;
        layer
    };
    let rows = [
        (
            with("digest", json!(format!("sha512:{}", "0".repeat(128)))),
            "payload: invalid digest 'sha512:00",
        ),
        (with("size", json!(65_537)), "its payload has 65537 bytes, the maximum is 65536"),
        (
            with("annotations", json!(null)),
            "the annotation dev.cosignproject.cosign/signature is missing",
        ),
        (
            with("annotations", json!({})),
            "the annotation dev.cosignproject.cosign/signature is missing",
        ),
        (
            with("annotations", json!({ SIGNATURE: "not base64" })),
            "the annotation dev.cosignproject.cosign/signature is not base64",
        ),
    ];
    for (layer, fault) in rows {
        let found = claim(layer).unwrap_err().to_string();
        assert!(found.starts_with(fault), "{found}");
    }
    let layers = [
        with("mediaType", json!("text/plain")),
        good.clone(),
        with("annotations", json!({})),
        good,
    ];
    let claims = parse_manifest(&manifest(&layers)).unwrap();
    let are_good: Vec<bool> = claims.iter().map(Result::is_ok).collect();
    assert_eq!(are_good, [true, false, true]);
    for text in ["", "{}", "[]", "<html>", r#"{"schemaVersion":2,"manifests":[]}"#] {
        let error = parse_manifest(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, "reading the manifest of signatures");
    }
}

#[test]
fn selects_signatures_from_referrers() {
    let entry = |digest: &str, artifact: &str| {
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        json!({ "mediaType": media_type, "digest": digest, "size": 1, "artifactType": artifact })
    };
    let digest = image().to_string();
    let list = |entries: &[Value]| json!({ "schemaVersion": 2, "manifests": entries }).to_string();
    let bundle = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let text = list(&[
        entry(&digest, "application/spdx+json"),
        entry(&digest, ARTIFACT),
        entry(&digest, bundle),
        json!({ "mediaType": "x/y", "digest": digest, "size": 1 }),
    ]);
    let wanted = [Referrer::Signatures(image()), Referrer::Bundle(digest)];
    assert_eq!(parse_referrers(text.as_bytes()).unwrap(), wanted);
    assert_eq!(parse_referrers(list(&[]).as_bytes()).unwrap(), []);
    for text in ["", "{}", "<html>", &list(&[entry("sha256:00", ARTIFACT)])] {
        let error = parse_referrers(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, "reading the list of referrers", "{text}");
    }
}

#[test]
fn parses_keys_and_describes_others() {
    assert_eq!(keys(P256_PEM)[0], Key::parse_der(&decode(P256_BASE64), "site.pub").unwrap());
    assert_eq!(keys(&[P256_PEM, "between\r\n", ED25519_PEM].concat()).len(), 2);
    for (kind, base64) in OTHERS {
        let error = Key::parse_der(&decode(base64), "").unwrap_err().to_string();
        assert!(error.starts_with(&format!("found {kind}, expected an ECDSA")), "{error}");
    }
    let der = decode(P256_BASE64);
    for der in [&der[..90], &[&*der, &[0]].concat(), &der[1..], b"", &[0; 91]] {
        let error = Key::parse_der(der, "").unwrap_err().to_string();
        assert!(error.starts_with("found "), "{error}");
    }
    let section = |label: &str| P256_PEM.replace("PUBLIC KEY", label);
    for (pem, fault) in [
        (String::new(), KeyError::None),
        (P256_BASE64.to_owned(), KeyError::None),
        (section("ENCRYPTED SIGSTORE PRIVATE KEY"), KeyError::None),
        (section("PRIVATE KEY"), KeyError::Private),
        (P256_PEM.to_owned() + &section("EC PRIVATE KEY"), KeyError::Private),
        (P256_PEM.to_owned() + &section("CERTIFICATE"), KeyError::Foreign),
        (P256_PEM[..100].to_owned(), KeyError::Pem),
        (P256_PEM.replace("MFkw", "M*kw"), KeyError::Pem),
        (P256_PEM.replace("BEGIN PUBLIC KEY-----", "BEGIN PUBLIC KEY"), KeyError::Pem),
        (ED25519_PEM.replace("MCow", "MCox"), KeyError::Unsupported("a key of an unknown kind")),
    ] {
        assert_eq!(Key::parse_pem(pem.as_bytes(), ""), Err(fault), "{pem}");
    }
}
