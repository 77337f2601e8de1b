//! What may be signed. A signature covers only what this program made or read from local files,
//! and what the same key has signed before; never what a registry sent.

use oci::{
    digest::Digest,
    document,
    document::{Annotations, Document},
    index,
    layout::Store,
    platform::Platform,
    signature,
    signature::Key,
};
use oci_spec::image::Descriptor;

use crate::{
    error::{During as _, Error, Result},
    location::Location,
    repository::Fetched,
    signatures::MAX_SIGNATURES,
};

/// An image that may be signed.
#[derive(Clone, Debug)]
pub struct Own(Fetched);

impl Own {
    /// An image of the local store.
    pub fn read(store: &Store, name: &str) -> Result<Self> {
        let (location, directory) = (name.to_owned(), store.folder().to_owned());
        let descriptor = store.resolve(name)?.ok_or(Error::NotInLayout { location, directory })?;
        Ok(Self(Fetched { bytes: store.read(&descriptor)?, descriptor }))
    }

    /// Adds the image for `platform` to `current`, the index at `tag`. Without a key, the author
    /// agrees to all other entries. Otherwise `key` must have signed each of them, or the index.
    /// Returns the new index and the other entries.
    pub fn add_to_index(
        &self,
        current: Option<&Fetched>,
        tag: &Location<'_>,
        platform: &Platform,
        key: Option<&Key>,
    ) -> Result<(Self, Vec<Descriptor>)> {
        let mut index = match current.map(Fetched::parse).transpose()? {
            None => document::index_of(Vec::new(), Annotations::new()),
            Some(Document::Index(index)) => index,
            Some(Document::Manifest(_)) => {
                return Err(Error::NotAnIndex(tag.location().to_owned()));
            }
        };
        let entry = index::entry_for(platform, &self.0.descriptor, &self.0.bytes)?;
        let mut kept = index::with_entry(Some(index.clone()), entry.clone()).manifests().clone();
        kept.retain(|other| *other != entry);
        if let (Some(key), Some(current)) = (key, current)
            && !is_signed(tag, &document::digest_of(&current.descriptor)?, key)?
        {
            let mut unsigned = Vec::new();
            for other in &kept {
                if !is_signed(tag, &document::digest_of(other)?, key)? {
                    unsigned.push(describe(other));
                }
            }
            if !unsigned.is_empty() {
                let entries = document::list(unsigned.into_iter());
                return Err(Error::ForeignEntries { location: tag.location().to_owned(), entries });
            }
            // Without the annotations of the index, which nothing has signed.
            index = document::index_of(kept.clone(), Annotations::new());
        }
        Ok((Self(Fetched::index(&index::with_entry(Some(index), entry))?), kept))
    }

    pub fn document(&self) -> &Fetched {
        &self.0
    }
}

/// The platform and digest of an entry.
pub fn describe(entry: &Descriptor) -> String {
    let platform = entry.platform().as_ref().map(Platform::from_spec);
    let platform = platform.map_or("no platform".to_owned(), |platform| platform.to_string());
    format!("{platform} ({})", entry.digest())
}

/// Whether one of the signatures under the tag for `image` is by `key`.
fn is_signed(tag: &Location<'_>, image: &Digest, key: &Key) -> Result<bool> {
    let doing = || format!("verifying the signatures of {image}");
    let mut signatures = tag.sibling(&signature::tag_of(image))?;
    let layers = signatures_in(signatures.find().during(doing)?.as_ref()).during(doing)?;
    for layer in layers.iter().filter(|layer| signature::is_payload(layer)).take(MAX_SIGNATURES) {
        let Ok(claim) = signature::parse_layer(layer) else { continue };
        let payload = signatures.read_blob(layer).during(doing)?;
        if claim.verify(&payload, image, std::slice::from_ref(key)).is_ok() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The signatures in a document.
pub(crate) fn signatures_in(signatures: Option<&Fetched>) -> Result<Vec<Descriptor>> {
    match signatures.map(Fetched::parse).transpose()? {
        Some(Document::Manifest(manifest)) => Ok(manifest.layers().clone()),
        Some(Document::Index(_)) | None => Ok(Vec::new()),
    }
}
