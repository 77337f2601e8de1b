//! What no name leads to any more, and what a broken transfer left.

use super::BLOBS;
use super::Store;
use super::UNFINISHED;
use crate::document::Document;
use anyhow::Context as _;
use anyhow::Result;
use oci_spec::image::Descriptor;
use std::collections::BTreeSet;
use std::fs;

/// What collecting garbage has freed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Freed {
    pub blobs: u64,
    pub bytes: u64,
}

impl Store {
    /// Removes every blob that no entry leads to. Err while somebody else has the store open, who may be adding some.
    pub fn collect(self) -> Result<Freed> {
        let in_use = || {
            format!(
                "{} is in use by another ocidd; hint: wait for it to end",
                self.folder.display()
            )
        };
        self.marker.unlock().context("locking the store")?;
        self.marker.try_lock().with_context(in_use)?;
        let mut kept = BTreeSet::new();
        for entry in self.entries()? {
            self.mark(&entry, &mut kept)?;
        }
        let folder = self.folder.join(BLOBS);
        let doing = || format!("clearing {}", folder.display());
        let mut freed = Freed::default();
        for file in fs::read_dir(&folder).with_context(doing)? {
            let file = file.with_context(doing)?;
            let name = file.file_name().to_string_lossy().into_owned();
            let is_ours = name.starts_with(UNFINISHED) || name.len() == 64;
            if is_ours && !kept.contains(&name) {
                freed.bytes += file.metadata().with_context(doing)?.len();
                freed.blobs += 1;
                fs::remove_file(file.path()).with_context(doing)?;
            }
        }
        Ok(freed)
    }

    /// Notes down what an image consists of. What is no manifest, or not here, leads nowhere.
    fn mark(&self, image: &Descriptor, kept: &mut BTreeSet<String>) -> Result<()> {
        let is_new = kept.insert(image.digest().digest().to_owned());
        if !is_new || !self.has_document(image)? {
            return Ok(());
        }
        let bytes = self.read(image)?;
        match Document::parse(&bytes, image.media_type().as_ref())? {
            Document::Index(index) => {
                index.manifests().iter().try_for_each(|manifest| self.mark(manifest, kept))
            }
            Document::Manifest(manifest) => {
                let parts = manifest.layers().iter().chain([manifest.config()]);
                kept.extend(parts.map(|part| part.digest().digest().to_owned()));
                Ok(())
            }
        }
    }
}
