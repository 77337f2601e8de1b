//! Blobs from one place to another. Whatever arrives has its digest, or the transfer fails.

use super::Inner;
use super::Location;
use crate::upload::Local;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use oci::digest::Digest;
use oci::digest::HashingReader;
use oci::document;
use oci::layout::Store;
use oci::size::Transfer;
use oci_spec::image::Descriptor;
use std::fs;
use std::fs::File;
use std::io;
use std::path::Path;

impl<'a> Location<'a> {
    pub fn has_blob(&mut self, digest: &Digest) -> Result<bool> {
        match &mut self.inner {
            Inner::Layout { store, .. } => Ok(store.has(digest)),
            Inner::Remote { remote, .. } => remote.has_blob(digest),
        }
    }

    /// Puts a blob of this place into a file. One that broke off in there before is gone on with.
    pub fn save_blob(&mut self, blob: &Descriptor, path: &Path) -> Result<()> {
        let transfer = self.transfer("fetching", blob)?;
        match &mut self.inner {
            Inner::Layout { store, .. } => save(store, &document::digest_of(blob)?, path),
            Inner::Remote { remote, .. } => remote.fetch_blob(blob, path, transfer.as_ref()),
        }
    }

    /// Takes a blob in that is not here yet.
    pub fn take_blob(&mut self, blob: &Descriptor, from: &mut Location<'_>) -> Result<()> {
        let digest = document::digest_of(blob)?;
        let transfer = self.transfer("pushing", blob)?;
        let remote = match &mut self.inner {
            Inner::Layout { store, .. } => {
                let partial = store.partial(&digest);
                from.save_blob(blob, &partial)?;
                return Ok(store.adopt(&partial, &digest)?);
            }
            Inner::Remote { remote, .. } => remote,
        };
        let folder = tempfile::tempdir().context("making a folder for a blob")?;
        let file = match &mut from.inner {
            Inner::Layout { store, .. } => store.open_blob(&digest)?,
            Inner::Remote { remote: other, .. } => {
                let is_beside = remote.repository().registry == other.repository().registry;
                if is_beside && remote.mount_blob(&digest, &other.repository().name) {
                    return Ok(());
                }
                let path = folder.path().join("blob");
                from.save_blob(blob, &path)?;
                File::open(&path).with_context(|| format!("opening {}", path.display()))?
            }
        };
        let local = Local { file: &file, digest, size_bytes: blob.size() };
        remote.push_blob(&local, transfer.as_ref())
    }

    fn transfer(&self, doing: &str, blob: &Descriptor) -> Result<Box<dyn Transfer + 'a>> {
        let digest = document::digest_of(blob)?.to_string();
        let label = format!("{doing} {}", document::title_of(blob).unwrap_or(&digest));
        Ok(self.session.observer().transfer(&label, blob.size()))
    }
}

fn save(store: &Store, digest: &Digest, path: &Path) -> Result<()> {
    let doing = || format!("writing {}", path.display());
    let mut from = HashingReader::new(store.open_blob(digest)?);
    let mut to = File::create(path).with_context(doing)?;
    io::copy(&mut from, &mut to).with_context(doing)?;
    let (found, _) = from.finish();
    if found != *digest {
        fs::remove_file(path).with_context(doing)?;
        bail!("blob digest is {found}, it should be {digest}");
    }
    Ok(())
}
