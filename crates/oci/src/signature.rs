//! Signatures in the format of cosign (`SIGNATURE_SPEC.md`): listed by a manifest, verified with a
//! trusted key. `docker-reference` is ignored, because copies and mirrors contain the same bytes.

mod key;
#[cfg(test)]
mod tests;

use base64::Engine as _;
pub use key::{Key, KeyError};
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use serde::Deserialize;
use thiserror::Error;

use crate::{BASE64, digest::Digest, document, error::Result};

/// The media type of signed payloads.
pub const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation of a payload that contains its signature.
pub const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// The artifact type of manifests that list signatures.
pub const ARTIFACT: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
/// The artifact type that newer tools use, without its version.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
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
    /// The signed blob.
    pub payload: Digest,
    signature: Vec<u8>,
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

/// A referrer that contains signatures.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Referrer {
    /// A manifest that lists signatures.
    Signatures(Digest),
    /// A signature or attestation in the newer format, which is not supported.
    Bundle(String),
}

/// The signatures that a manifest lists. Each can be invalid by itself.
pub fn parse_manifest(bytes: &[u8]) -> Result<Vec<Result<Claim, SignatureError>>> {
    let manifest: ImageManifest = document::parse_json(bytes, "manifest of signatures")?;
    let layers = manifest.layers().iter().filter(|layer| is_payload(layer));
    Ok(layers.map(parse_layer).collect())
}

pub fn is_payload(layer: &Descriptor) -> bool {
    layer.media_type().as_ref() == PAYLOAD
}

/// The signature of a payload.
pub fn parse_layer(layer: &Descriptor) -> Result<Claim, SignatureError> {
    let payload = document::digest_of(layer)
        .map_err(|invalid| SignatureError::Digest(invalid.to_string()))?;
    if layer.size() > PAYLOAD_LIMIT_BYTES {
        return Err(SignatureError::Size(layer.size()));
    }
    let text = document::annotation(layer, SIGNATURE).ok_or(SignatureError::NoSignature)?;
    let signature = BASE64.decode(text).map_err(|_quotes_its_input| SignatureError::Base64)?;
    Ok(Claim { payload, signature })
}

/// The signatures among the referrers of a manifest.
pub fn parse_referrers(bytes: &[u8]) -> Result<Vec<Referrer>> {
    let index: ImageIndex = document::parse_json(bytes, "list of referrers")?;
    let mut referrers = Vec::new();
    for entry in index.manifests() {
        let artifact = entry.artifact_type().as_ref().map(AsRef::as_ref).unwrap_or_default();
        if artifact == ARTIFACT {
            referrers.push(Referrer::Signatures(document::digest_of(entry)?));
        } else if artifact.starts_with(BUNDLE) {
            referrers.push(Referrer::Bundle(entry.digest().to_string()));
        }
    }
    Ok(referrers)
}

impl Claim {
    /// Returns the one of `keys` that signed `payload`, which must name `image`.
    pub fn verify<'a>(
        &self,
        payload: &[u8],
        image: &Digest,
        keys: &'a [Key],
    ) -> Result<&'a Key, SignatureError> {
        // Before the payload is parsed: unsigned bytes are not parsed.
        let key = keys.iter().find(|key| key.has_signed(payload, &self.signature));
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
