//! A folder that holds images: an OCI image layout (OCI image spec, image-layout.md), which other programs read and write too. Blobs lie under
//! their digests; names stand in `index.json`.

use crate::digest::Digest;
use crate::document;
use crate::document::Annotations;
use crate::document::Artifact;
use crate::names;
use crate::tally::Tally;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use oci_spec::image::Descriptor;
use oci_spec::image::ImageIndex;
use std::fs;
use std::fs::File;
use std::fs::Permissions;
use std::io;
use std::io::Read;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use tempfile::NamedTempFile;

mod garbage;

pub use garbage::Freed;

/// Says which layout this is. Locked as long as somebody adds blobs that no name leads to yet.
const MARKER: &str = "oci-layout";
const MARKER_TEXT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
const INDEX: &str = "index.json";
const BLOBS: &str = "blobs/sha256";
/// How the names of unfinished files begin.
const UNFINISHED: &str = ".unfinished-";
/// The fewest digits that name an image; `list` prints twelve.
const FEWEST_DIGITS: usize = 6;

/// An open store. While it is open no garbage is collected in it.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    marker: File,
}

impl Store {
    /// The store in `folder`, made where there is none.
    pub fn open(folder: &Path) -> Result<Self> {
        if !folder.join(MARKER).exists() {
            create(folder).with_context(|| format!("opening the store {}", folder.display()))?;
        }
        Self::open_existing(folder)
    }

    /// The store in `folder`, which has to be there.
    pub fn open_existing(folder: &Path) -> Result<Self> {
        let doing = || format!("opening the store {}", folder.display());
        let marker = File::open(folder.join(MARKER)).with_context(doing)?;
        marker.lock_shared().with_context(doing)?;
        fs::create_dir_all(folder.join(BLOBS)).with_context(doing)?;
        Ok(Self { folder: folder.to_owned(), marker })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the store has names for, or had: an image that lost its name keeps its entry.
    pub fn entries(&self) -> Result<Vec<Descriptor>> {
        Ok(self.read_index()?.manifests().clone())
    }

    /// The image of this name; or of this digest, which may be cut short.
    pub fn resolve(&self, name: &str) -> Result<Option<Descriptor>> {
        let entries = self.entries()?;
        if let Some(entry) = entries.iter().find(|entry| name_of(entry) == Some(name)) {
            return Ok(Some(entry.clone()));
        }
        let digits = name.strip_prefix("sha256:").unwrap_or(name);
        if digits.len() < FEWEST_DIGITS || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Ok(None);
        }
        let is_meant = |entry: &Descriptor| entry.digest().digest().starts_with(digits);
        let mut found: Vec<_> = entries.into_iter().filter(is_meant).map(without_name).collect();
        found.sort_by_key(|entry| entry.digest().to_string());
        found.dedup_by_key(|entry| entry.digest().to_string());
        match found.len() {
            0 | 1 => Ok(found.pop()),
            several => bail!(
                "{several} images have a digest that begins with '{digits}'; hint: write more of it"
            ),
        }
    }

    /// Gives an image a name, which any other image loses. Without a name it is only kept.
    pub fn keep(&self, image: &Descriptor, name: Option<&str>) -> Result<()> {
        self.change_index(|entries| {
            let mut entry = without_name(image.clone());
            let known = entries.iter().any(|known| known.digest() == entry.digest());
            if let Some(name) = name {
                entries.retain(|known| name_of(known) != Some(name));
                let mut annotations: Annotations =
                    entry.annotations().clone().unwrap_or_default().into_iter().collect();
                annotations.insert(names::REF_NAME.to_owned(), name.to_owned());
                entry = document::with_annotations(entry, annotations);
            } else if known {
                return;
            }
            entries.push(entry);
        })
    }

    /// Takes a name away; the image stays. False where there is no such name.
    pub fn untag(&self, name: &str) -> Result<bool> {
        let mut found = false;
        self.change_index(|entries| {
            let named = entries.iter().position(|entry| name_of(entry) == Some(name));
            let Some(entry) = named.map(|at| entries.remove(at)) else { return };
            found = true;
            if !entries.iter().any(|other| other.digest() == entry.digest()) {
                entries.push(without_name(entry));
            }
        })?;
        Ok(found)
    }

    /// Forgets an image with all its names; [`Self::collect`] frees its space.
    pub fn forget(&self, digest: &Digest) -> Result<()> {
        self.change_index(|entries| {
            entries.retain(|entry| entry.digest().to_string() != digest.to_string());
        })
    }

    /// The manifests that are about `subject`.
    pub fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let mut found = Vec::new();
        for entry in self.entries()? {
            if !self.has_document(&entry)? {
                continue;
            }
            let bytes = self.read(&entry)?;
            let document = document::Document::parse(&bytes, entry.media_type().as_ref())?;
            let about = document.subject().map(|about| about.digest().to_string());
            if about.is_some_and(|about| about == subject.to_string()) {
                found.push(without_name(entry));
            }
        }
        Ok(found)
    }

    pub fn has(&self, digest: &Digest) -> bool {
        self.path(digest).is_file()
    }

    /// Whether this is a manifest or an index, and here: a layout may name other things, and hold a part of an index.
    fn has_document(&self, entry: &Descriptor) -> Result<bool> {
        let is_document = document::is_document(entry.media_type().as_ref());
        Ok(is_document && self.has(&document::digest_of(entry)?))
    }

    /// A manifest, verified.
    pub fn read(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let digest = document::digest_of(descriptor)?;
        let path = self.path(&digest);
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let found = Digest::of(&bytes);
        ensure!(found == digest, "{} is damaged: its digest is {found}", path.display());
        Ok(bytes)
    }

    /// A blob as it lies there. Nothing is verified: who is sent it does that.
    pub fn open_blob(&self, digest: &Digest) -> Result<File> {
        let path = self.path(digest);
        File::open(&path).with_context(|| format!("opening {}", path.display()))
    }

    /// Takes a blob in; returns its digest and size.
    pub fn add(&self, from: impl Read) -> Result<(Digest, u64)> {
        let mut file = self.unfinished()?;
        let mut from = Tally::new(from);
        io::copy(&mut from, file.as_file_mut()).context("copying into the store")?;
        let (digest, size) = from.finish();
        self.finish(file, &digest)?;
        Ok((digest, size))
    }

    /// Takes a manifest in. What it consists of is here, but for the config of those that need none.
    pub fn add_artifact(&self, artifact: &Artifact) -> Result<Descriptor> {
        let bytes = artifact.to_bytes()?;
        self.add(names::EMPTY_JSON)?;
        self.add(bytes.as_slice())?;
        document::describe(names::MANIFEST, &bytes)
    }

    /// A file that may become a blob.
    pub fn unfinished(&self) -> Result<NamedTempFile> {
        let folder = self.folder.join(BLOBS);
        builder()
            .tempfile_in(&folder)
            .with_context(|| format!("making a file in {}", folder.display()))
    }

    /// Makes a written file the blob of this digest, which the caller has checked.
    pub fn finish(&self, file: NamedTempFile, digest: &Digest) -> Result<()> {
        let path = self.path(digest);
        file.as_file().sync_all().with_context(|| format!("writing {}", path.display()))?;
        file.persist(&path).with_context(|| format!("writing {}", path.display()))?;
        Ok(())
    }

    /// Makes what a transfer has left in [`Self::partial`], and checked, the blob of this digest.
    pub fn adopt(&self, partial: &Path, digest: &Digest) -> Result<()> {
        let path = self.path(digest);
        let doing = || format!("writing {}", path.display());
        File::open(partial).and_then(|file| file.sync_all()).with_context(doing)?;
        fs::rename(partial, &path).with_context(doing)
    }

    /// Where a blob that is on its way is kept; it outlives us, so that a later transfer goes on where this one ended.
    pub fn partial(&self, digest: &Digest) -> PathBuf {
        self.folder.join(BLOBS).join(format!("{UNFINISHED}{}", hex(digest)))
    }

    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(BLOBS).join(hex(digest))
    }

    fn read_index(&self) -> Result<ImageIndex> {
        let path = self.folder.join(INDEX);
        let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        document::parse_index(&text).with_context(|| format!("reading {}", path.display()))
    }

    fn change_index(&self, change: impl FnOnce(&mut Vec<Descriptor>)) -> Result<()> {
        let lock = File::open(self.folder.join(BLOBS)).context("locking the store")?;
        lock.lock().context("locking the store")?;
        let mut index = self.read_index()?;
        let mut entries = index.manifests().clone();
        change(&mut entries);
        index.set_manifests(entries);
        replace(&self.folder, INDEX, &document::to_bytes(&index)?)
            .with_context(|| format!("writing {INDEX} of {}", self.folder.display()))
    }
}

/// Makes an empty store. Of several who do that at once one does it, and nobody empties what another has made.
fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let lock = File::open(folder)?;
    lock.lock().context("locking the store")?;
    if folder.join(MARKER).exists() {
        return Ok(());
    }
    ensure!(
        !folder.join(INDEX).exists(),
        "it has an {INDEX} and no {MARKER}: it is no OCI image layout"
    );
    fs::create_dir_all(folder.join(BLOBS))?;
    let empty = document::index_of(Vec::new(), Annotations::new());
    replace(folder, INDEX, &document::to_bytes(&empty)?)?;
    replace(folder, MARKER, MARKER_TEXT.as_bytes())?;
    Ok(())
}

/// The name of an entry.
pub fn name_of(entry: &Descriptor) -> Option<&str> {
    document::annotation(entry, names::REF_NAME)
}

fn without_name(entry: Descriptor) -> Descriptor {
    let mut annotations: Annotations =
        entry.annotations().clone().unwrap_or_default().into_iter().collect();
    annotations.remove(names::REF_NAME);
    document::with_annotations(entry, annotations)
}

fn hex(digest: &Digest) -> String {
    digest.to_string().trim_start_matches("sha256:").to_owned()
}

fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    // As any other file: others may want to read the store.
    builder.prefix(UNFINISHED).permissions(Permissions::from_mode(0o666));
    builder
}

/// Writes a file at once or not at all.
fn replace(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = builder().tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(folder.join(name))?;
    Ok(())
}

#[cfg(test)]
mod tests;
