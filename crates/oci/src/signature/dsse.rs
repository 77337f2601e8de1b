//! Sigstore bundles: a statement about an image (in-toto) in a signed envelope (DSSE). The default of
//! cosign since version 3. Transparency logs and time stamps in a bundle are ignored.

use base64::Engine as _;
use serde_json::Value;

use super::{Key, SignatureError};
use crate::{BASE64, digest::Digest, document};

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
    for kind in ["certificate", "x509CertificateChain"] {
        if !at(&bundle, &format!("/verificationMaterial/{kind}")).is_null() {
            return Err(SignatureError::Keyless);
        }
    }
    let payload = decode(at(&bundle, "/dsseEnvelope/payload"));
    let payload = payload.ok_or_else(|| invalid("no DSSE envelope"))?;
    let payload_type = at(&bundle, "/dsseEnvelope/payloadType");
    let message = encode(payload_type.as_str().unwrap_or_default(), &payload);
    let signatures = at(&bundle, "/dsseEnvelope/signatures").as_array().into_iter().flatten();
    let signatures = signatures.take(MAX_SIGNATURES).filter_map(|one| decode(at(one, "/sig")));
    let signatures: Vec<_> = signatures.collect();
    if signatures.is_empty() {
        return Err(invalid("no signature"));
    }
    // Before the payload is parsed: unsigned bytes are not parsed.
    let key = keys.iter().find(|key| signatures.iter().any(|one| key.has_signed(&message, one)));
    let key = key.ok_or_else(|| {
        let hint = at(&bundle, "/verificationMaterial/publicKey/hint");
        let named = keys.iter().find(|key| key.is_ed25519 && *hint == key.hint());
        named.map_or(SignatureError::OtherKey, |key| SignatureError::Ed25519ph(key.to_string()))
    })?;
    let statement: Value = serde_json::from_slice(&payload)
        .map_err(|error| SignatureError::Payload(error.to_string()))?;
    for (name, found, expected) in [
        ("payload type", payload_type, PAYLOAD),
        ("type", at(&statement, "/_type"), STATEMENT),
        ("predicate", at(&statement, "/predicateType"), PREDICATE),
    ] {
        if found != expected {
            return Err(SignatureError::Payload(format!("its {name} is {found}")));
        }
    }
    let subjects = at(&statement, "/subject").as_array().map(Vec::as_slice).unwrap_or_default();
    let digests = subjects.iter().map(|one| at(one, "/digest/sha256"));
    let digests = digests.map(|hex| format!("sha256:{}", hex.as_str().unwrap_or_default()));
    if digests.clone().any(|digest| digest == image.to_string()) {
        return Ok(key);
    }
    Err(SignatureError::OtherImage(document::list(digests)))
}

/// The value at a JSON pointer, otherwise null.
fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

/// DSSE allows both alphabets (envelope.md).
fn decode(text: &Value) -> Option<Vec<u8>> {
    BASE64.decode(text.as_str()?.replace('-', "+").replace('_', "/")).ok()
}

/// What is signed of an envelope, the "pre-authentication encoding" (DSSE, protocol.md).
pub fn encode(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let (type_bytes, payload_bytes) = (payload_type.len(), payload.len());
    let head = format!("DSSEv1 {type_bytes} {payload_type} {payload_bytes} ");
    [head.as_bytes(), payload].concat()
}
