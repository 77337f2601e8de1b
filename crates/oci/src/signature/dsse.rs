//! Sigstore bundles, the default of cosign 3: a statement about an image (in-toto) in a signed
//! envelope (DSSE). Transparency logs and time stamps in a bundle are ignored.

use base64::Engine as _;
use serde_json::Value;

use super::{Key, SignatureError};
use crate::{BASE64, digest::Digest};

/// The media type of a bundle, and the artifact type of its manifest.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The same without its version.
pub(super) const FAMILY: &str = "application/vnd.dev.sigstore.bundle";

/// The type of signed payloads.
pub const PAYLOAD: &str = "application/vnd.in-toto+json";
/// The type of statements.
pub const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// What a signature of an image states. Others are attestations: they do not approve an image.
pub const PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";

/// Maximum number of signatures of one envelope that are verified.
const MAX_SIGNATURES: usize = 64;

/// Returns the one of `keys` that signed the statement in `bundle`, which must name `image`.
pub fn verify<'a>(
    bundle: &[u8],
    image: &Digest,
    keys: &'a [Key],
) -> Result<&'a Key, SignatureError> {
    let invalid = |reason: &str| SignatureError::Bundle(reason.to_owned());
    let bundle: Value =
        serde_json::from_slice(bundle).map_err(|error| invalid(&error.to_string()))?;
    let (material, envelope) = (at(&bundle, "verificationMaterial"), at(&bundle, "dsseEnvelope"));
    if [at(material, "certificate"), at(material, "x509CertificateChain")] != [&Value::Null; 2] {
        return Err(SignatureError::Keyless);
    }
    let payload = decode(at(envelope, "payload")).ok_or_else(|| invalid("no DSSE envelope"))?;
    let payload_type = text(at(envelope, "payloadType"));
    let message = encode(payload_type, &payload);
    let mut signatures = Vec::new();
    for one in items(at(envelope, "signatures")).iter().take(MAX_SIGNATURES) {
        signatures.extend(decode(at(one, "sig")));
    }
    if signatures.is_empty() {
        return Err(invalid("no signature"));
    }
    // Before the payload is parsed: unsigned bytes are not parsed.
    let key = keys.iter().find(|key| signatures.iter().any(|one| key.has_signed(&message, one)));
    let key = key.ok_or_else(|| {
        let hint = text(at(at(material, "publicKey"), "hint"));
        let named = keys.iter().find(|key| key.is_ed25519 && key.hint() == hint);
        named.map_or(SignatureError::OtherKey, |key| SignatureError::Ed25519ph(key.to_string()))
    })?;
    let statement: Value = serde_json::from_slice(&payload)
        .map_err(|error| SignatureError::Payload(error.to_string()))?;
    for (name, found, expected) in [
        ("payload type", payload_type, PAYLOAD),
        ("type", text(at(&statement, "_type")), STATEMENT),
        ("predicate", text(at(&statement, "predicateType")), PREDICATE),
    ] {
        if found != expected {
            return Err(SignatureError::Payload(format!("its {name} is '{found}'")));
        }
    }
    let mut digests = Vec::new();
    for subject in items(at(&statement, "subject")) {
        digests.push(format!("sha256:{}", text(at(at(subject, "digest"), "sha256"))));
    }
    if digests.contains(&image.to_string()) {
        return Ok(key);
    }
    Err(SignatureError::OtherImage(digests.join(", ")))
}

/// The value of a key, otherwise null.
fn at<'a>(value: &'a Value, key: &str) -> &'a Value {
    value.get(key).unwrap_or(&Value::Null)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// DSSE allows both alphabets (envelope.md).
fn decode(value: &Value) -> Option<Vec<u8>> {
    let standard = value.as_str()?.replace('-', "+").replace('_', "/");
    BASE64.decode(standard.as_str()).ok()
}

/// What is signed of an envelope, the "pre-authentication encoding" (DSSE, protocol.md).
pub fn encode(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let (type_bytes, payload_bytes) = (payload_type.len(), payload.len());
    let head = format!("DSSEv1 {type_bytes} {payload_type} {payload_bytes} ");
    [head.as_bytes(), payload].concat()
}
