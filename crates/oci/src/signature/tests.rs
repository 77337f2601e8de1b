//! Signatures of `openssl` and our own, over what is right and over everything that is not; keys of every kind.

use super::samples::ED25519_PEM;
use super::samples::ED25519_SIGNATURE;
use super::samples::OTHERS;
use super::samples::P256_BASE64;
use super::samples::P256_PEM;
use super::samples::P256_SIGNATURE;
use super::samples::SIGNED;
use super::samples::Signer;
use super::samples::layer;
use super::samples::manifest;
use super::samples::payload;
use super::*;
use serde_json::Value;
use serde_json::json;

/// The image that everything here is about.
fn image() -> Digest {
    Digest::of(b"")
}

fn keys(pem: &str) -> Vec<Key> {
    Key::parse_pem(pem.as_bytes(), "site.pub").unwrap()
}

fn decode(text: &str) -> Vec<u8> {
    BASE64.decode(text).unwrap()
}

/// What a manifest with this one layer says of it.
fn claim(layer: Value) -> Result<Claim, Unfit> {
    parse_manifest(&manifest(&[layer])).unwrap().remove(0)
}

fn verify(text: &str, signature: &[u8], keys: &[Key]) -> Result<String, String> {
    let claim = claim(layer(text.as_bytes(), signature)).unwrap();
    let found = claim.verify(text.as_bytes(), &image(), keys);
    found.map(Key::to_string).map_err(|unfit| unfit.to_string())
}

#[test]
fn what_openssl_has_signed_is_good_by_its_key_and_by_no_other() {
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
            assert!(fault.starts_with("no trusted key has made it"), "{fault}");
        }
    }
}

#[test]
fn every_changed_bit_makes_a_signature_bad() {
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
            assert_eq!(claim.verify(&changed, &image(), &keys), Err(Unfit::OtherKey), "{at}");
        }
        for end in [0, 1, signature.len() - 1] {
            assert!(verify(SIGNED, &signature[..end], &keys).is_err(), "{end}");
        }
        assert!(verify(SIGNED, &[&*signature, &[0]].concat(), &keys).is_err());
    }
}

#[test]
fn what_is_signed_has_to_be_about_the_image() {
    let signer = Signer::new();
    let keys = [signer.key()];
    let right = payload(&image().to_string());
    let other = Digest::of(b"other").to_string();
    let rows = [
        (right.clone(), ""),
        (right.replace("registry.example", "copy.example"), ""),
        (right.replace("null", r#"{"creator":"us","timestamp":1}"#), ""),
        (right.replace(r#""identity":{"docker-reference":"registry.example/os"},"#, ""), ""),
        (payload(&other), &*format!("it was made for {other}")),
        (payload(&image().to_string().to_uppercase()), "it was made for SHA256:E3B0"),
        (payload(""), "it was made for "),
        (
            right.replace("cosign container", "atomic container"),
            "a trusted key has signed something else: it is a 'atomic container image signature'",
        ),
        (
            right.replace("\"type\"", "\"tpye\""),
            "a trusted key has signed something else: missing field `type`",
        ),
        (
            right.replace("docker-manifest-digest", "digest"),
            "a trusted key has signed something else: missing field `docker-manifest-digest`",
        ),
        (
            right.replace("\"critical\"", "\"critical\":{},\"critical\""),
            "a trusted key has signed something else: ",
        ),
        (right[1..].to_owned(), "a trusted key has signed something else: "),
        ("\u{1b}".to_owned(), "a trusted key has signed something else: expected value"),
        (String::new(), "a trusted key has signed something else: EOF"),
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
fn a_manifest_lists_signatures_right_and_wrong() {
    let good = layer(SIGNED.as_bytes(), &decode(P256_SIGNATURE));
    let with = |key: &str, value: Value| {
        let mut layer = good.clone();
        layer[key] = value;
        layer
    };
    let rows = [
        (
            with("digest", json!(format!("sha512:{}", "0".repeat(128)))),
            "the layer names its payload wrongly: digest 'sha512:00",
        ),
        (with("size", json!(65_537)), "its payload has 65537 bytes, more than the 65536"),
        (with("annotations", json!(null)), "the layer has no annotation dev.cosignproject"),
        (with("annotations", json!({})), "the layer has no annotation dev.cosignproject"),
        (
            with("annotations", json!({ SIGNATURE: "not base64" })),
            "the annotation dev.cosignproject.cosign/signature is no base64",
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
        assert_eq!(error, "reading a manifest of signatures");
    }
}

#[test]
fn of_what_refers_to_an_image_only_signatures_matter() {
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
fn a_key_is_read_from_pem_or_named_for_what_it_is() {
    assert_eq!(keys(P256_PEM)[0], Key::parse_der(&decode(P256_BASE64), "site.pub").unwrap());
    assert_eq!(keys(&[P256_PEM, "between\r\n", ED25519_PEM].concat()).len(), 2);
    for (kind, base64) in OTHERS {
        let error = Key::parse_der(&decode(base64), "").unwrap_err().to_string();
        assert!(error.starts_with(&format!("it is {kind} hint: supported are")), "{error}");
    }
    let der = decode(P256_BASE64);
    for der in [&der[..90], &[&*der, &[0]].concat(), &der[1..], b"", &[0; 91]] {
        let error = Key::parse_der(der, "").unwrap_err().to_string();
        assert!(error.starts_with("it is "), "{error}");
    }
    let section = |label: &str| P256_PEM.replace("PUBLIC KEY", label);
    for (pem, fault) in [
        (String::new(), BadKey::None),
        (P256_BASE64.to_owned(), BadKey::None),
        (section("ENCRYPTED SIGSTORE PRIVATE KEY"), BadKey::None),
        (section("PRIVATE KEY"), BadKey::Private),
        (P256_PEM.to_owned() + &section("EC PRIVATE KEY"), BadKey::Private),
        (P256_PEM.to_owned() + &section("CERTIFICATE"), BadKey::Foreign),
        (P256_PEM[..100].to_owned(), BadKey::Pem),
        (P256_PEM.replace("MFkw", "M*kw"), BadKey::Pem),
        (P256_PEM.replace("BEGIN PUBLIC KEY-----", "BEGIN PUBLIC KEY"), BadKey::Pem),
        (ED25519_PEM.replace("MCow", "MCox"), BadKey::Kind("no key of a known kind")),
    ] {
        assert_eq!(Key::parse_pem(pem.as_bytes(), ""), Err(fault), "{pem}");
    }
}
