//! Signs images like cosign with a key: a signed JSON payload with the digest, stored under a tag
//! made of the digest and as a referrer (cosign's "Signature Specification"). Signatures are
//! deterministic.

use base64::Engine as _;
use oci::{
    BASE64, digest::Digest, document, document::Annotations, layout::Store, signature,
    signing_key::SigningKey,
};
use oci_spec::image::Descriptor;
use serde_json::json;

use crate::{
    error::{During as _, Error, Result},
    location::Location,
    own::{Own, signatures_in},
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
    let mut signatures = location.sibling(&signature::tag_of(&digest))?;
    store.add(payload.as_slice())?;
    let mut made = Location::in_store(Store::open(directory.path())?, "");
    let add = |signatures: &mut Location<'_>, current: Option<&Fetched>| {
        let mut layers = signatures_in(current)?;
        if !layers.contains(&layer) {
            layers.push(layer.clone());
        }
        let config = config(&layers)?;
        let described = document::describe(CONFIG, &config)?;
        let mut listing = document::manifest(described, layers, Annotations::new())?;
        listing.set_artifact_type(Some(signature::ARTIFACT.into()));
        let subject = document::descriptor(image.media_type().as_ref(), digest, image.size())?;
        listing.set_subject(Some(subject));
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
    signatures.update(add).during(doing).map(drop)
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
