//! Copies images between locations. Blobs that the target has are skipped. The name is written
//! last, so it never refers to an incomplete image.

use oci::{document, document::Document, signature};
use oci_spec::image::Descriptor;

use crate::{
    error::{During as _, Result},
    location::Location,
    repository::Fetched,
};

/// What is copied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CopyScope {
    Image,
    /// The image with its referrers and its signatures.
    WithReferrers,
}

/// The result of a copy.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Copied {
    pub blobs: u64,
    pub bytes: u64,
    /// Number of blobs that the target had.
    pub present: u64,
}

/// Copies the image at `from` to the name of `to`. Returns its descriptor.
pub fn copy(
    from: &mut Location<'_>,
    to: &mut Location<'_>,
    scope: CopyScope,
) -> Result<(Descriptor, Copied)> {
    let (Fetched { descriptor, bytes }, copied) = copy_unnamed(from, to, scope)?;
    to.add_named(&descriptor, &bytes).during(|| doing(from, to))?;
    Ok((descriptor, copied))
}

/// Copies the image at `from` to the repository or layout of `to`, under its digest only.
pub fn copy_unnamed(
    from: &mut Location<'_>,
    to: &mut Location<'_>,
    scope: CopyScope,
) -> Result<(Fetched, Copied)> {
    let found = from.resolve()?;
    let Fetched { descriptor, bytes } = &found;
    let mut copied = Copied::default();
    let mut copy_all = || {
        copy_parts(from, to, descriptor, bytes, &mut copied)?;
        to.add_manifest(descriptor, bytes)?;
        match scope {
            CopyScope::Image => Ok(()),
            CopyScope::WithReferrers => copy_referrers(from, to, descriptor, bytes, &mut copied),
        }
    };
    copy_all().during(|| doing(from, to))?;
    Ok((found, copied))
}

fn doing(from: &Location<'_>, to: &Location<'_>) -> String {
    format!("copying {} to {}", from.location(), to.location())
}

/// Copies the referrers and signatures of an image, and of its manifests. The image is there.
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
        // Check the manifest itself: a list could form a cycle.
        let document = Document::parse(&bytes, referrer.media_type().as_ref())?;
        if document.subject().is_none_or(|subject| subject.digest() != image.digest()) {
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

/// Copies the blobs of a manifest, or the manifests of an index.
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
                if to.has_manifest(part)? {
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
    if to.has_blob(blob)? {
        copied.present += 1;
        return Ok(());
    }
    copied.blobs += 1;
    copied.bytes += blob.size();
    to.copy_blob(blob, from)
}
