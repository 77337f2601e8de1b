//! Signatures in both formats of cosign, signed payloads (`SIGNATURE_SPEC.md`) and Sigstore bundles:
//! listed by a manifest, verified with a trusted key. `docker-reference` is ignored, because copies
//! and mirrors contain the same bytes.

pub mod dsse;
mod key;
#[cfg(test)]
mod tests;

use base64::Engine as _;
pub use key::{Key, KeyError};
use oci_spec::image::{Descriptor, ImageManifest};
use serde::Deserialize;
use thiserror::Error;

use crate::{BASE64, digest::Digest, document, error::Result};

/// The media type of signed payloads.
pub const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation of a payload that contains its signature.
pub const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// The artifact type of manifests that list signatures.
pub const ARTIFACT: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
/// The type that a payload states.
pub const KIND: &str = "cosign container image signature";

/// The maximum size of a payload. Usual ones have 300 bytes, but can contain annotations.
pub const PAYLOAD_LIMIT_BYTES: u64 = 64 << 10;

/// The tag of the signatures of a manifest.
pub fn tag_of(image: &Digest) -> String {
    format!("{}.sig", image.to_tag())
}

/// A listed signature, not verified yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    /// The signed blob, or the bundle.
    pub payload: Digest,
    pub size_bytes: u64,
    /// The signature of a payload. A bundle contains its own.
    signature: Option<Vec<u8>>,
}

/// Why a signature is rejected.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum SignatureError {
    #[error("payload: {0}")]
    Digest(String),
    #[error("its payload has {0} bytes, the maximum is {PAYLOAD_LIMIT_BYTES}")]
    Size(u64),
    #[error("the annotation {SIGNATURE} is missing")]
    NoSignature,
    #[error("the annotation {SIGNATURE} is not base64")]
    Base64,
    #[error("it was not made by a trusted key, or its payload was changed")]
    OtherKey,
    #[error("a trusted key signed something else: {0}")]
    Payload(String),
    #[error("it belongs to {0}")]
    OtherImage(String),
    #[error("reading the bundle: {0}")]
    Bundle(String),
    #[error("its signature is keyless, by a certificate; that is not supported")]
    Keyless,
    #[error(
        "it was changed, or made with Ed25519ph, which is not supported, by the trusted key {0}"
    )]
    Ed25519ph(String),
}

/// The part of a payload that is verified.
#[derive(Debug, Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Debug, Deserialize)]
pub struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Debug, Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// Whether manifests of this artifact type list signatures.
pub fn is_signature(artifact_type: &str) -> bool {
    artifact_type == ARTIFACT || artifact_type.starts_with(dsse::FAMILY)
}

/// The signatures that a manifest lists. Each can be invalid by itself.
pub fn parse_manifest(bytes: &[u8]) -> Result<Vec<Result<Claim, SignatureError>>> {
    let manifest: ImageManifest = document::parse_json(bytes, "manifest of signatures")?;
    let mut claims = Vec::new();
    for layer in manifest.layers() {
        claims.extend(parse_layer(layer));
    }
    Ok(claims)
}

/// The signature in a layer, if it contains one.
fn parse_layer(layer: &Descriptor) -> Option<Result<Claim, SignatureError>> {
    let media_type = layer.media_type().as_ref();
    let is_payload = media_type == PAYLOAD;
    (is_payload || media_type.starts_with(dsse::FAMILY)).then(|| {
        let payload = document::digest_of(layer)
            .map_err(|invalid| SignatureError::Digest(invalid.to_string()))?;
        let size_bytes = layer.size();
        if size_bytes > PAYLOAD_LIMIT_BYTES {
            return Err(SignatureError::Size(size_bytes));
        }
        if !is_payload {
            return Ok(Claim { payload, size_bytes, signature: None });
        }
        let text = document::annotation(layer, SIGNATURE).ok_or(SignatureError::NoSignature)?;
        let signature = BASE64.decode(text).map_err(|_quotes_its_input| SignatureError::Base64)?;
        Ok(Claim { payload, size_bytes, signature: Some(signature) })
    })
}

impl Claim {
    /// Returns the one of `keys` that signed `payload`, which must name `image`.
    pub fn verify<'a>(
        &self,
        payload: &[u8],
        image: &Digest,
        keys: &'a [Key],
    ) -> Result<&'a Key, SignatureError> {
        let Some(signature) = &self.signature else {
            return dsse::verify(payload, image, keys);
        };
        // Before the payload is parsed: unsigned bytes are not parsed.
        let key = keys.iter().find(|key| key.has_signed(payload, signature));
        let key = key.ok_or(SignatureError::OtherKey)?;
        let critical = parse_payload(payload)?;
        if critical.kind != KIND {
            return Err(SignatureError::Payload(format!("its type is '{}'", critical.kind)));
        }
        if critical.image.digest != image.to_string() {
            return Err(SignatureError::OtherImage(critical.image.digest));
        }
        Ok(key)
    }
}

pub fn parse_payload(bytes: &[u8]) -> Result<Critical, SignatureError> {
    let payload: Payload = serde_json::from_slice(bytes)
        .map_err(|error| SignatureError::Payload(error.to_string()))?;
    Ok(payload.critical)
}
