//! Blobs on their way from one place to another, by way of files.

use super::Inner;
use super::Place;
use crate::digest::Digest;
use crate::image::document;
use crate::image::meter::Meter;
use crate::image::remote::Local;
use crate::image::tally::Tally;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use oci_spec::image::Descriptor;
use std::fs::File;
use std::io;
use std::io::Seek as _;
use std::path::Path;
use std::path::PathBuf;

impl Place<'_> {
    /// A small blob, verified.
    pub fn read_blob(&mut self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        match &mut self.inner {
            Inner::Layout { store, .. } => store.read(descriptor),
            Inner::Remote { remote, .. } => remote.read_blob(descriptor),
        }
    }

    pub(in crate::image) fn has_blob(&mut self, digest: &Digest) -> Result<bool> {
        match &mut self.inner {
            Inner::Layout { store, .. } => Ok(store.has(digest)),
            Inner::Remote { remote, .. } => remote.has_blob(digest),
        }
    }

    /// A blob as a file, fetched to `scratch` where it is not one yet.
    pub(in crate::image) fn blob_file(
        &mut self,
        blob: &Descriptor,
        scratch: &Path,
    ) -> Result<File> {
        let digest = document::digest_of(blob)?;
        match &mut self.inner {
            Inner::Layout { store, .. } => store.open_blob(&digest),
            Inner::Remote { remote, .. } => {
                let label =
                    format!("fetching {}", document::title_of(blob).unwrap_or(&digest.to_string()));
                let meter =
                    Meter { report: self.session.report(), label, total_bytes: blob.size() };
                meter.during(|counter| remote.fetch_blob(blob, scratch, counter))
            }
        }
    }

    /// A blob as a file at `path`, verified. Of a registry's, what is there already is gone on with.
    pub fn save_blob(&mut self, blob: &Descriptor, path: &Path) -> Result<()> {
        let mut file = self.blob_file(blob, path)?;
        if let Inner::Layout { .. } = self.inner {
            let doing = || format!("writing {}", path.display());
            let digest = document::digest_of(blob)?;
            let mut from = Tally::new(&mut file);
            let mut to = File::create(path).with_context(doing)?;
            io::copy(&mut from, &mut to).with_context(doing)?;
            let (found, _) = from.finish();
            if found != digest {
                std::fs::remove_file(path).with_context(doing)?;
                bail!("blob digest is {found}, it should be {digest}");
            }
        }
        Ok(())
    }

    /// Where a blob on its way here is kept meanwhile: in the place itself where that is a folder.
    pub(in crate::image) fn partial(&self, digest: &Digest) -> Option<PathBuf> {
        match &self.inner {
            Inner::Layout { store, .. } => Some(store.partial(digest)),
            Inner::Remote { .. } => None,
        }
    }

    /// Makes what was kept meanwhile, and is whole and verified by now, a blob.
    pub(in crate::image) fn adopt(&self, digest: &Digest) -> Result<()> {
        match &self.inner {
            Inner::Layout { store, .. } => store.adopt(digest),
            Inner::Remote { .. } => Ok(()),
        }
    }

    /// Takes a blob in that is not here yet. The digest is checked, here or there.
    pub(in crate::image) fn add_blob(&mut self, blob: &Descriptor, file: &File) -> Result<()> {
        let digest = document::digest_of(blob)?;
        match &mut self.inner {
            Inner::Layout { store, .. } => {
                let mut file = file;
                file.rewind().context("reading a blob again")?;
                let (found, _) = store.add(file)?;
                if found != digest {
                    bail!("blob digest is {found}, it should be {digest}");
                }
                Ok(())
            }
            Inner::Remote { remote, .. } => {
                let label =
                    format!("pushing {}", document::title_of(blob).unwrap_or(&digest.to_string()));
                let meter =
                    Meter { report: self.session.report(), label, total_bytes: blob.size() };
                let local = Local { file, digest, size_bytes: blob.size() };
                meter.during(|counter| remote.push_blob(&local, counter))
            }
        }
    }

    /// Whether the registry could take a blob from another repository of its own.
    pub(in crate::image) fn mount(&mut self, blob: &Descriptor, from: &Place<'_>) -> Result<bool> {
        match (&mut self.inner, &from.inner) {
            (Inner::Remote { remote, .. }, Inner::Remote { remote: other, .. })
                if remote.repository().registry == other.repository().registry =>
            {
                remote.mount_blob(&document::digest_of(blob)?, &other.repository().name)
            }
            _ => Ok(false),
        }
    }
}
