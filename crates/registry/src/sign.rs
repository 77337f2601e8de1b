//! Signs images like cosign with a key, in both of its formats: a signed JSON payload with the
//! digest, stored under a tag made of the digest and as a referrer (cosign's "Signature
//! Specification"), and a Sigstore bundle as a referrer. Signatures are deterministic.

use base64::Engine as _;
use oci::{
    BASE64,
    digest::Digest,
    document,
    document::{Annotations, Document},
    layout::Store,
    signature,
    signature::dsse,
    signing_key::SigningKey,
};
use oci_spec::image::Descriptor;
use serde_json::json;

use crate::{
    copy,
    copy::CopyScope,
    error::{During as _, Error, Result},
    location::Location,
    own::Own,
    repository::Fetched,
};

/// cosign stores signatures as images, so the config has an image's media type.
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// Signs an image at `location` and keeps its other signatures. `repository` is signed as the name
/// of the image.
pub fn sign(
    location: &Location<'_>,
    image: &Own,
    repository: &str,
    key: &SigningKey,
) -> Result<()> {
    let image = &image.document().descriptor;
    let digest = document::digest_of(image)?;
    let doing = || format!("signing {repository}@{digest}");
    let directory = tempfile::tempdir().during(doing)?;
    let store = Store::open(directory.path())?;
    let payload = payload(repository, &digest)?;
    let made = BASE64.encode(key.sign(&payload));
    let layer = document::with_annotations(
        document::describe(signature::PAYLOAD, &payload)?,
        Annotations::from([(signature::SIGNATURE.to_owned(), made)]),
    );
    let subject = document::descriptor(image.media_type().as_ref(), digest, image.size())?;
    let mut signatures = location.sibling(&signature::tag_of(&digest))?;
    store.add(payload.as_slice())?;
    let mut made = Location::in_store(Store::open(directory.path())?, "");
    let add = |signatures: &mut Location<'_>, current: Option<&Fetched>| {
        let mut layers = layers_of(current)?;
        if !layers.contains(&layer) {
            layers.push(layer.clone());
        }
        let config = config(&layers)?;
        let described = document::describe(CONFIG, &config)?;
        let mut listing = document::manifest(described, layers, Annotations::new())?;
        listing.set_artifact_type(Some(signature::ARTIFACT.into()));
        listing.set_subject(Some(subject.clone()));
        let bytes = document::to_bytes(&listing)?;
        if current.is_some_and(|current| current.bytes == bytes) {
            return Ok::<_, Error>(None);
        }
        let manifest = document::describe(document::MANIFEST, &bytes)?;
        store.add(config.as_slice())?;
        for blob in listing.layers().iter().chain([listing.config()]) {
            if !signatures.has_blob(blob)? {
                signatures.copy_blob(blob, &mut made)?;
            }
        }
        Ok(Some(Fetched { descriptor: manifest, bytes }))
    };
    signatures.update(add).during(doing)?;
    let bundle = bundle(&digest, key)?;
    store.add(bundle.as_slice())?;
    let layers = vec![document::describe(dsse::BUNDLE, &bundle)?];
    // cosign reads these annotations instead of the bundle.
    let annotations = [("content", "dsse-envelope"), ("predicateType", dsse::PREDICATE)]
        .map(|(key, value)| (format!("dev.sigstore.bundle.{key}"), value.to_owned()));
    let mut manifest = document::artifact(dsse::BUNDLE, layers, annotations.into())?;
    manifest.set_subject(Some(subject));
    let manifest = store.add_manifest(&manifest)?;
    store.keep(&manifest, None)?;
    let mut made = Location::in_store(store, manifest.digest().as_ref());
    copy::copy_unnamed(&mut made, &mut signatures, CopyScope::Image).during(doing)?;
    signatures.keep(&manifest)
}

/// A bundle with a signed statement about an image.
fn bundle(image: &Digest, key: &SigningKey) -> Result<Vec<u8>> {
    let hex = image.to_string().replace("sha256:", "");
    let statement = document::to_bytes(&json!({
        "_type": dsse::STATEMENT,
        "subject": [{ "digest": { "sha256": hex } }],
        "predicateType": dsse::PREDICATE,
        "predicate": {},
    }))?;
    let signature = key.sign(&dsse::encode(dsse::PAYLOAD, &statement));
    let public = key.public().map_err(std::io::Error::other)?;
    Ok(document::to_bytes(&json!({
        "mediaType": dsse::BUNDLE,
        "verificationMaterial": { "publicKey": { "hint": public.hint() } },
        "dsseEnvelope": {
            "payload": BASE64.encode(statement),
            "payloadType": dsse::PAYLOAD,
            "signatures": [{ "sig": BASE64.encode(signature) }],
        },
    }))?)
}

/// The signed payload, formatted like cosign's.
fn payload(repository: &str, image: &Digest) -> Result<Vec<u8>> {
    Ok(document::to_bytes(&json!({
        "critical": {
            "identity": { "docker-reference": repository },
            "image": { "docker-manifest-digest": image.to_string() },
            "type": signature::KIND,
        },
        "optional": null,
    }))?)
}

/// The existing signatures.
fn layers_of(signatures: Option<&Fetched>) -> Result<Vec<Descriptor>> {
    match signatures.map(Fetched::parse).transpose()? {
        Some(Document::Manifest(manifest)) => Ok(manifest.layers().clone()),
        Some(Document::Index(_)) | None => Ok(Vec::new()),
    }
}

fn config(layers: &[Descriptor]) -> Result<Vec<u8>> {
    let digests: Vec<String> = layers.iter().map(|layer| layer.digest().to_string()).collect();
    let never = "0001-01-01T00:00:00Z";
    Ok(document::to_bytes(&json!({
        "architecture": "",
        "config": {},
        "created": never,
        "history": layers.iter().map(|_| json!({ "created": never })).collect::<Vec<_>>(),
        "os": "",
        "rootfs": { "type": "layers", "diff_ids": digests },
    }))?)
}
