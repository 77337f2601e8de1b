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
    sign,
};

/// Maximum number of signatures of one manifest that are verified.
const MAX_SIGNATURES: usize = 64;

/// An image that may be signed.
#[derive(Clone, Debug)]
pub struct Own(Fetched);

/// An image index with a new entry, and with entries that a registry or layout had.
#[derive(Debug)]
pub struct Extended {
    pub index: Fetched,
    pub kept: Vec<Descriptor>,
    entry: Descriptor,
    before: Option<Digest>,
}

impl Own {
    /// An image of the local store.
    pub fn read(store: &Store, name: &str) -> Result<Self> {
        let (location, directory) = (name.to_owned(), store.folder().to_owned());
        let descriptor = store.resolve(name)?.ok_or(Error::NotInLayout { location, directory })?;
        Ok(Self(Fetched { bytes: store.read(&descriptor)?, descriptor }))
    }

    /// An index whose other entries `key` has signed, each by itself or as a part of the index
    /// that was extended.
    pub fn index(extended: &Extended, tag: &Location<'_>, key: &Key) -> Result<Self> {
        if let Some(before) = &extended.before
            && is_signed(tag, before, key)?
        {
            return Ok(Self(extended.index.clone()));
        }
        let mut index = document::index_of(Vec::new(), Annotations::new());
        let mut unsigned = Vec::new();
        for entry in &extended.kept {
            if !is_signed(tag, &document::digest_of(entry)?, key)? {
                unsigned.push(describe(entry));
            }
            index = index::with_entry(Some(index), entry.clone());
        }
        if !unsigned.is_empty() {
            let entries = document::list(unsigned.into_iter());
            return Err(Error::ForeignEntries { location: tag.location().to_owned(), entries });
        }
        // Without the annotations of the index, which nothing has signed.
        Fetched::index(&index::with_entry(Some(index), extended.entry.clone())).map(Self)
    }

    /// An index with entries of others that the author agrees to sign.
    pub fn foreign_index(extended: &Extended) -> Self {
        Self(extended.index.clone())
    }

    pub fn document(&self) -> &Fetched {
        &self.0
    }
}

/// Adds `image` for `platform` to the index at `tag`, or to a new one.
pub fn extend(
    current: Option<&Fetched>,
    tag: &str,
    platform: &Platform,
    image: &Own,
) -> Result<Extended> {
    let index = match current.map(Fetched::parse).transpose()? {
        None => None,
        Some(Document::Index(index)) => Some(index),
        Some(Document::Manifest(_)) => return Err(Error::NotAnIndex(tag.to_owned())),
    };
    let before = current.map(|found| document::digest_of(&found.descriptor)).transpose()?;
    let entry = index::entry_for(platform, &image.0.descriptor, &image.0.bytes)?;
    let index = index::with_entry(index, entry.clone());
    let kept = index.manifests().iter().filter(|other| **other != entry).cloned().collect();
    Ok(Extended { index: Fetched::index(&index)?, kept, entry, before })
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
    let layers = sign::layers_of(&mut signatures).during(doing)?;
    for layer in layers.iter().filter(|layer| signature::is_payload(layer)).take(MAX_SIGNATURES) {
        let Ok(claim) = signature::parse_layer(layer) else { continue };
        let payload = signatures.read_blob(layer).during(doing)?;
        if claim.verify(&payload, image, std::slice::from_ref(key)).is_ok() {
            return Ok(true);
        }
    }
    Ok(false)
}
