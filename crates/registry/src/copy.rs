//! Copies images between locations. Blobs that the target has are skipped. The name is written
//! last, so it never refers to an incomplete image.

use std::collections::BTreeSet;

use oci::{document, document::Document, signature};
use oci_spec::image::Descriptor;

use crate::{
    error::{During as _, Result},
    location::Location,
    repository::Fetched,
};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CopyScope {
    Image,
    /// The image with its referrers and its signatures.
    WithReferrers,
}

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
    let (image, copied) = copy_unnamed(from, to, scope)?;
    to.add_named(&image).during(|| doing(from, to))?;
    Ok((image.descriptor, copied))
}

/// Copies the image at `from` to the repository or layout of `to`, under its digest only.
pub fn copy_unnamed(
    from: &mut Location<'_>,
    to: &mut Location<'_>,
    scope: CopyScope,
) -> Result<(Fetched, Copied)> {
    let found = from.resolve()?;
    let doing = doing(from, to);
    let mut copier = Copier { from, to, copied: Copied::default(), seen: BTreeSet::new() };
    let done = copier.copy_manifest(&found).and_then(|()| match scope {
        CopyScope::Image => Ok(()),
        CopyScope::WithReferrers => copier.copy_referrers(&found),
    });
    done.during(|| doing)?;
    Ok((found, copier.copied))
}

fn doing(from: &Location<'_>, to: &Location<'_>) -> String {
    format!("copying {} to {}", from.location(), to.location())
}

struct Copier<'a, 'f, 't> {
    from: &'a mut Location<'f>,
    to: &'a mut Location<'t>,
    copied: Copied,
    /// The parts of indexes that were copied, without and with referrers. Each is copied once.
    seen: BTreeSet<(bool, String)>,
}

impl Copier<'_, '_, '_> {
    /// Copies the referrers and signatures of an image, and of its manifests. The image is there.
    fn copy_referrers(&mut self, image: &Fetched) -> Result<()> {
        let digest = document::digest_of(&image.descriptor)?;
        let tag = signature::tag_of(&digest);
        if let Some(signatures) = self.from.sibling(&tag)?.find()? {
            self.copy_parts(&signatures)?;
            self.to.sibling(&tag)?.add_named(&signatures)?;
        }
        for referrer in self.from.referrers(&digest)? {
            let referrer = self.from.read_manifest(&referrer)?;
            // Check the manifest itself: a list could form a cycle.
            let about = referrer.parse()?;
            if about.subject().is_some_and(|about| about.digest() == image.descriptor.digest()) {
                self.copy_manifest(&referrer)?;
                self.to.keep(&referrer.descriptor)?;
                self.copy_referrers(&referrer)?;
            }
        }
        if let Document::Index(index) = image.parse()? {
            for part in index.manifests() {
                if self.is_new(part, true) {
                    let part = self.from.read_manifest(part)?;
                    self.copy_referrers(&part)?;
                }
            }
        }
        Ok(())
    }

    fn is_new(&mut self, part: &Descriptor, with_referrers: bool) -> bool {
        self.seen.insert((with_referrers, part.digest().to_string()))
    }

    fn copy_manifest(&mut self, manifest: &Fetched) -> Result<()> {
        self.copy_parts(manifest)?;
        self.to.add_manifest(manifest)
    }

    /// Copies the blobs of a manifest, or the manifests of an index.
    fn copy_parts(&mut self, manifest: &Fetched) -> Result<()> {
        match manifest.parse()? {
            Document::Index(index) => {
                for part in index.manifests() {
                    if self.is_new(part, false) && !self.to.has_manifest(part)? {
                        let part = self.from.read_manifest(part)?;
                        self.copy_manifest(&part)?;
                    }
                }
            }
            Document::Manifest(manifest) => {
                for blob in manifest.layers().iter().chain([manifest.config()]) {
                    if self.to.has_blob(blob)? {
                        self.copied.present += 1;
                        continue;
                    }
                    self.copied.blobs += 1;
                    self.copied.bytes += blob.size();
                    self.to.copy_blob(blob, self.from)?;
                }
            }
        }
        Ok(())
    }
}
