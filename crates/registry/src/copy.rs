//! Copies an image from one place to another, with all it consists of. What is there already is not sent again; the name comes last, so that it
//! never leads to something incomplete.

use crate::location::Location;
use crate::repository::Fetched;
use anyhow::Context as _;
use anyhow::Result;
use oci::document;
use oci::document::Document;
use oci::signature;
use oci_spec::image::Descriptor;

/// What belongs to an image.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Extent {
    Image,
    /// And what is about it: signatures, SBOMs, logs.
    WithReferrers,
}

/// What a copy came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Copied {
    pub blobs: u64,
    pub bytes: u64,
    /// Blobs that were there already.
    pub present: u64,
}

/// Copies what `from` is named for to the name of `to`. Returns its descriptor.
pub fn copy(
    from: &mut Location<'_>,
    to: &mut Location<'_>,
    extent: Extent,
) -> Result<(Descriptor, Copied)> {
    let (Fetched { descriptor, bytes }, copied) = copy_unnamed(from, to, extent)?;
    to.add_named(&descriptor, &bytes).with_context(|| doing(from, to))?;
    Ok((descriptor, copied))
}

/// Copies what `from` is named for to where `to` is, under its digest alone.
pub fn copy_unnamed(
    from: &mut Location<'_>,
    to: &mut Location<'_>,
    extent: Extent,
) -> Result<(Fetched, Copied)> {
    let found = from.resolve()?;
    let Fetched { descriptor, bytes } = &found;
    let mut copied = Copied::default();
    let mut all = || {
        copy_parts(from, to, descriptor, bytes, &mut copied)?;
        to.add_manifest(descriptor, bytes)?;
        match extent {
            Extent::Image => Ok(()),
            Extent::WithReferrers => copy_referrers(from, to, descriptor, bytes, &mut copied),
        }
    };
    all().with_context(|| doing(from, to))?;
    Ok((found, copied))
}

fn doing(from: &Location<'_>, to: &Location<'_>) -> String {
    format!("copying {} to {}", from.location(), to.location())
}

/// Copies what is about an image, and about its parts, to where that is already.
fn copy_referrers(
    from: &mut Location<'_>,
    to: &mut Location<'_>,
    image: &Descriptor,
    bytes: &[u8],
    copied: &mut Copied,
) -> Result<()> {
    let digest = document::digest_of(image)?;
    let tag = signature::tag_of(&digest);
    if let Some(signatures) = from.sibling(&tag)?.find()? {
        let (descriptor, bytes) = (&signatures.descriptor, &signatures.bytes);
        copy_parts(from, to, descriptor, bytes, copied)?;
        to.sibling(&tag)?.add_named(descriptor, bytes)?;
    }
    for referrer in from.referrers(&digest)? {
        let bytes = from.read_manifest(&referrer)?;
        // By its own word: a list that leads back to where it began would be followed for ever.
        let document = Document::parse(&bytes, referrer.media_type().as_ref())?;
        if document.subject().is_none_or(|about| about.digest() != image.digest()) {
            continue;
        }
        copy_parts(from, to, &referrer, &bytes, copied)?;
        to.add_manifest(&referrer, &bytes)?;
        to.keep(&referrer)?;
        copy_referrers(from, to, &referrer, &bytes, copied)?;
    }
    if let Document::Index(index) = Document::parse(bytes, image.media_type().as_ref())? {
        for part in index.manifests() {
            let bytes = from.read_manifest(part)?;
            copy_referrers(from, to, part, &bytes, copied)?;
        }
    }
    Ok(())
}

/// Copies what a manifest or an index consists of.
fn copy_parts(
    from: &mut Location<'_>,
    to: &mut Location<'_>,
    descriptor: &Descriptor,
    bytes: &[u8],
    copied: &mut Copied,
) -> Result<()> {
    match Document::parse(bytes, descriptor.media_type().as_ref())? {
        Document::Index(index) => {
            for part in index.manifests() {
                if to.has_manifest(&document::digest_of(part)?)? {
                    continue;
                }
                let bytes = from.read_manifest(part)?;
                copy_parts(from, to, part, &bytes, copied)?;
                to.add_manifest(part, &bytes)?;
            }
        }
        Document::Manifest(manifest) => {
            for blob in manifest.layers().iter().chain([manifest.config()]) {
                copy_blob(from, to, blob, copied)?;
            }
        }
    }
    Ok(())
}

fn copy_blob(
    from: &mut Location<'_>,
    to: &mut Location<'_>,
    blob: &Descriptor,
    copied: &mut Copied,
) -> Result<()> {
    let digest = document::digest_of(blob)?;
    if to.has_blob(&digest)? {
        copied.present += 1;
        return Ok(());
    }
    copied.blobs += 1;
    copied.bytes += blob.size();
    to.take_blob(blob, from)
}
