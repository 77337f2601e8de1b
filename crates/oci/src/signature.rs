//! Signatures of manifests as cosign makes them with a key: what a manifest of signatures lists, what a signed payload says, and whether both fit
//! a manifest and a trusted key. Pure.
//!
//! The form is cosign's `SIGNATURE_SPEC.md`. Where an image was when it was signed (`docker-reference`) is not compared: a copy or a mirror is as
//! good as what it is a copy of, and the digest names the same bytes everywhere.

mod key;
#[cfg(test)]
mod sample_keys;
#[cfg(test)]
pub mod samples;
#[cfg(feature = "sign")]
pub mod signing_key;
#[cfg(test)]
mod tests;

pub use key::BadKey;
pub use key::Key;

use crate::BASE64;
use crate::digest::BadDigest;
use crate::digest::Digest;
use anyhow::Context as _;
use anyhow::Result;
use base64::Engine as _;
use oci_spec::image::Descriptor;
use oci_spec::image::ImageIndex;
use oci_spec::image::ImageManifest;
use serde::Deserialize;
use thiserror::Error;

/// A layer that holds what is signed.
pub const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation of such a layer that holds the signature.
pub const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// A manifest of signatures, where it refers to what is signed.
pub const ARTIFACT: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
/// What newer tools push in its place, in any version.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
/// What a payload says that it is.
pub const KIND: &str = "cosign container image signature";

/// The largest payload that is looked at. Usual ones have 300 bytes; who signs may add annotations.
pub const PAYLOAD_LIMIT_BYTES: u64 = 64 << 10;

/// The tag that the signatures of a manifest have in its repository.
pub fn tag_of(image: &Digest) -> String {
    format!("{}.sig", image.to_tag())
}

/// A signature as a manifest lists it; nobody has looked at what it signs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    /// The blob that is signed.
    pub payload: Digest,
    signature: Vec<u8>,
}

/// Why a signature does not count.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Unfit {
    #[error("the layer names its payload wrongly: {0}")]
    Digest(#[from] BadDigest),
    #[error("its payload has {0} bytes, more than the {PAYLOAD_LIMIT_BYTES} that are looked at")]
    Size(u64),
    #[error("the layer has no annotation {SIGNATURE}")]
    NoSignature,
    #[error("the annotation {SIGNATURE} is no base64")]
    Base64,
    #[error("no trusted key has made it, or its payload was changed")]
    OtherKey,
    #[error("a trusted key has signed something else: {0}")]
    Payload(String),
    #[error("it was made for {0}")]
    OtherImage(String),
}

/// What a signature says of an image. Whatever else is in it does not matter.
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

/// What refers to a manifest, as far as it is about signatures.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Referrer {
    /// A manifest of signatures.
    Signatures(Digest),
    /// A signature or a statement in the format of newer tools, which is not read here.
    Bundle(String),
}

/// The signatures that a manifest lists, each by itself right or wrong.
pub fn parse_manifest(bytes: &[u8]) -> Result<Vec<Result<Claim, Unfit>>> {
    let manifest: ImageManifest =
        serde_json::from_slice(bytes).context("reading a manifest of signatures")?;
    let layers = manifest.layers().iter().filter(|layer| layer.media_type().as_ref() == PAYLOAD);
    Ok(layers.map(parse_layer).collect())
}

fn parse_layer(layer: &Descriptor) -> Result<Claim, Unfit> {
    let payload = layer.digest().to_string().parse()?;
    if layer.size() > PAYLOAD_LIMIT_BYTES {
        return Err(Unfit::Size(layer.size()));
    }
    let annotations = layer.annotations().as_ref();
    let text = annotations.and_then(|all| all.get(SIGNATURE)).ok_or(Unfit::NoSignature)?;
    let signature = BASE64.decode(text).map_err(|_quotes_what_it_found| Unfit::Base64)?;
    Ok(Claim { payload, signature })
}

/// What is about signatures in the answer of the referrers API, or in the index that stands for it.
pub fn parse_referrers(bytes: &[u8]) -> Result<Vec<Referrer>> {
    let index: ImageIndex =
        serde_json::from_slice(bytes).context("reading the list of referrers")?;
    let mut referrers = Vec::new();
    for entry in index.manifests() {
        let artifact = entry.artifact_type().as_ref().map(AsRef::as_ref).unwrap_or_default();
        let digest = entry.digest().to_string();
        if artifact == ARTIFACT {
            let digest = digest.parse().context("reading the list of referrers")?;
            referrers.push(Referrer::Signatures(digest));
        } else if artifact.starts_with(BUNDLE) {
            referrers.push(Referrer::Bundle(digest));
        }
    }
    Ok(referrers)
}

impl Claim {
    /// The one of `keys` that has signed `payload`, which has to say that it is about `image`.
    pub fn verify<'a>(
        &self,
        payload: &[u8],
        image: &Digest,
        keys: &'a [Key],
    ) -> Result<&'a Key, Unfit> {
        // Before the payload is read: what nobody has signed is not worth a parser's trouble.
        let key = keys.iter().find(|key| key.has_signed(payload, &self.signature));
        let key = key.ok_or(Unfit::OtherKey)?;
        let critical = parse_payload(payload)?;
        if critical.kind != KIND {
            return Err(Unfit::Payload(format!("it is a '{}'", critical.kind)));
        }
        if critical.image.digest != image.to_string() {
            return Err(Unfit::OtherImage(critical.image.digest));
        }
        Ok(key)
    }
}

pub fn parse_payload(bytes: &[u8]) -> Result<Critical, Unfit> {
    let payload: Payload =
        serde_json::from_slice(bytes).map_err(|error| Unfit::Payload(error.to_string()))?;
    Ok(payload.critical)
}
