//! Keys and signatures by `openssl`, and a signer for tests.

use base64::Engine as _;
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};

pub(super) use super::sample_keys::{ED25519_PEM, P256_BASE64, P256_PEM};
use crate::{
    BASE64,
    digest::Digest,
    signature::{KIND, Key, PAYLOAD, SIGNATURE},
};

/// The payload that both keys signed, in the form of cosign.
pub(super) const SIGNED: &str = r#"{"critical":{"identity":{"docker-reference":"registry.example/os"},"image":{"docker-manifest-digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"type":"cosign container image signature"},"optional":null}"#;
/// `openssl dgst -sha256 -sign`.
pub(super) const P256_SIGNATURE: &str = "MEUCIHLQORE+WLcuw+NhwWUictoMER1RNQS9oPoIXsYTv/BGAiEAsZ9DdoQFfRgqCibNaWmnC+UN3t97NTKv2/5so3kGI0I=";
/// `openssl pkeyutl -sign -rawin`.
pub(super) const ED25519_SIGNATURE: &str =
    "lG0eMuO02cZInHXw73ped5er48zxTyPvc2sHpXC77iXhVgQTTPs4FQggd28jdo/OCH3j9RIE+kZ0OIi+pvoTDw==";

/// Unsupported keys: 512 bits of RSA, two other curves, and a compressed point.
pub(super) const OTHERS: [(&str, &str); 4] = [
    (
        "an RSA key",
        "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAMiE3JV7HYZQKE+r6oQeeH2kh82nteqXyzwT5HryjAPVWMsDpPMFMCizy2C/nS4pJeop60EF+fxhiKJYsOlDhucCAwEAAQ==",
    ),
    (
        "an ECDSA key of curve P-384",
        "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEsgy1D+ypv0a9oUYlJfwzEzN4b8iIZnfGj78XpMz/TkE2iM2HvtFNjSpJWbtx6rfMy5KOxdtJ0/BpF+awdYqegwMqyc5/KIyC8NigNnlNLQqUXYkIVCg5TCtbZ29tWOaV",
    ),
    (
        "an ECDSA key of curve P-521",
        "MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQBnnTWNpSWCQXQWh7TfbM9H52JpXgdeuqA8zog0amohlFpL+5noQYt1lV1cZRjxm4bQqxwrZVD/LTajxDTL9RXAwcBvkaCQ9hIoX3zla1LdRlH92h4nKRBpsqwcaMqjN5PeCmcb4FkY1TzHceqwQOMLWqBE2pA69koorabvQVcm6lhLyI=",
    ),
    (
        "an ECDSA key of curve P-256 in a compressed form",
        "MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgADAclXBQbD9J23/QpPTER0BgBqHs4As9lE3YC2n6X6Jg8=",
    ),
];

/// A generated key pair.
#[derive(Debug)]
pub(super) struct Signer(KeyPair);

impl Signer {
    pub(super) fn new() -> Self {
        Self(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap())
    }

    pub(super) fn key(&self) -> Key {
        Key::parse_der(&self.0.subject_public_key_info(), "site.pub").unwrap()
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).unwrap()
    }
}

/// A payload that names `image`.
pub(super) fn payload(image: &str) -> String {
    json!({
        "critical": {
            "identity": { "docker-reference": "registry.example/os" },
            "image": { "docker-manifest-digest": image },
            "type": KIND,
        },
        "optional": null,
    })
    .to_string()
}

/// A layer of a manifest of signatures.
pub(super) fn layer(payload: &[u8], signature: &[u8]) -> Value {
    json!({
        "mediaType": PAYLOAD,
        "digest": Digest::of(payload).to_string(),
        "size": payload.len(),
        "annotations": { SIGNATURE: BASE64.encode(signature) },
    })
}

/// A manifest of signatures.
pub(super) fn manifest(layers: &[Value]) -> Vec<u8> {
    let config = json!({ "mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest::of(b"{}").to_string(), "size": 2 });
    json!({ "schemaVersion": 2, "config": config, "layers": layers }).to_string().into_bytes()
}
