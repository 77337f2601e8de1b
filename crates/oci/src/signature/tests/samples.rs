//! Keys and signatures by `openssl`, and a signer for tests.

use base64::Engine as _;
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};

pub(super) use super::sample_keys::{ED25519_PEM, P256_BASE64, P256_PEM};
use crate::{
    BASE64,
    digest::Digest,
    signature::{KIND, Key, PAYLOAD, SIGNATURE, dsse},
};

/// The payload that both keys signed, in the form of cosign.
pub(super) const SIGNED: &str = r#"{"critical":{"identity":{"docker-reference":"registry.example/os"},"image":{"docker-manifest-digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"type":"cosign container image signature"},"optional":null}"#;
/// `openssl dgst -sha256 -sign`.
pub(super) const P256_SIGNATURE: &str = "MEUCIHLQORE+WLcuw+NhwWUictoMER1RNQS9oPoIXsYTv/BGAiEAsZ9DdoQFfRgqCibNaWmnC+UN3t97NTKv2/5so3kGI0I=";
/// `openssl pkeyutl -sign -rawin`.
pub(super) const ED25519_SIGNATURE: &str =
    "lG0eMuO02cZInHXw73ped5er48zxTyPvc2sHpXC77iXhVgQTTPs4FQggd28jdo/OCH3j9RIE+kZ0OIi+pvoTDw==";

/// An image that cosign 3.1.1 signed in its default format with these keys.
pub(super) const COSIGN_IMAGE: &str =
    "sha256:2d3edf8f8808f5aaef1a7a8617592466cc4cab135810dd2a702b9d0b1606d091";
pub(super) const COSIGN_PEM: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAETEJo5NVlmDKvgp7+jhiVWQbZlCSH\nQTksFgIk4xth2xhb+rk/FpoBwQJ7pXZqT079y2luI+4jbjAdwDplUn0yYQ==\n-----END PUBLIC KEY-----\n";
pub(super) const COSIGN_BUNDLE: &str = r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"BhJw9yMd1CCVJpUYSs8IdvL0N33X2JsbVrb9PcXZhEA="}},"dsseEnvelope":{"payload":"eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJzdWJqZWN0IjpbeyJkaWdlc3QiOnsic2hhMjU2IjoiMmQzZWRmOGY4ODA4ZjVhYWVmMWE3YTg2MTc1OTI0NjZjYzRjYWIxMzU4MTBkZDJhNzAyYjlkMGIxNjA2ZDA5MSJ9LCJhbm5vdGF0aW9ucyI6e319XSwicHJlZGljYXRlVHlwZSI6Imh0dHBzOi8vc2lnc3RvcmUuZGV2L2Nvc2lnbi9zaWduL3YxIiwicHJlZGljYXRlIjp7fX0=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"MEUCIQDlAPsDIWWrX+ikeLdkW6RN/uCauzPopP/cZh73gtA0gwIgTWQzKAxQlOn9KTtWDWkTDTTdRA+LZKTXTgYwzTAaASc="}]}}"#;
pub(super) const COSIGN_ED25519_PEM: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA0W3HjoJhDHCA3IOBznQxQg3j3cUfctP4fI7GmQv36IY=\n-----END PUBLIC KEY-----\n";
pub(super) const COSIGN_ED25519PH_BUNDLE: &str = r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"/VfX+o0YBiv0nr+MmzgaMGLmNOZT5vOlhb/1e9FqTSY="}},"dsseEnvelope":{"payload":"eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJzdWJqZWN0IjpbeyJkaWdlc3QiOnsic2hhMjU2IjoiMmQzZWRmOGY4ODA4ZjVhYWVmMWE3YTg2MTc1OTI0NjZjYzRjYWIxMzU4MTBkZDJhNzAyYjlkMGIxNjA2ZDA5MSJ9LCJhbm5vdGF0aW9ucyI6e319XSwicHJlZGljYXRlVHlwZSI6Imh0dHBzOi8vc2lnc3RvcmUuZGV2L2Nvc2lnbi9zaWduL3YxIiwicHJlZGljYXRlIjp7fX0=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"ubIFQ1ayZS+BG+mHhQ7qPYzSnf8MqDBH/gdaTymMa3kRMiuNcpYZlebXmAGTgYUyX35rlUSagZN6ixR53ZYFCg=="}]}}"#;

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

    pub(super) fn ed25519() -> Self {
        Self(KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap())
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

/// A Sigstore bundle with a statement.
pub(super) fn bundle(signer: &Signer, payload_type: &str, statement: &str) -> Value {
    let message = dsse::encode(payload_type, statement.as_bytes());
    json!({
        "mediaType": dsse::BUNDLE,
        "verificationMaterial": { "publicKey": { "hint": signer.key().hint() } },
        "dsseEnvelope": {
            "payload": BASE64.encode(statement),
            "payloadType": payload_type,
            "signatures": [{ "sig": BASE64.encode(signer.sign(&message)) }],
        },
    })
}
