//! OCI image layouts (OCI image spec, image-layout.md): blobs are files named by their digests,
//! names are annotations in `index.json`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    fs::{File, OpenOptions},
    io,
    io::{Read, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use tempfile::NamedTempFile;

use crate::{
    digest::{Digest, HashingReader},
    document,
    document::{Annotations, Document},
    error::{Error, Result},
    partial,
    partial::{Complete, PREFIX, Partial},
};

const INDEX: &str = "index.json";
/// Marks a layout. A shared lock on it protects blobs that no name refers to yet.
const MARKER: &str = "oci-layout";
const MARKER_TEXT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
const BLOBS: &str = "blobs/sha256";
/// The minimum length of a shortened digest.
const MIN_DIGITS: usize = 6;

/// For `map_err`: `doing` failed for `path`.
fn at<'a>(doing: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Error + 'a {
    move |source| Error::Io { doing, path: path.to_owned(), source }
}

/// What [`Store::collect`] removed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Freed {
    pub blobs: u64,
    pub bytes: u64,
}

/// An open layout. Garbage is not collected while another process has it open.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    marker: File,
}

impl Store {
    /// Opens the layout in `folder`, or creates it.
    pub fn open(folder: &Path) -> Result<Self> {
        if !folder.join(MARKER).exists() {
            create(folder)?;
        }
        Self::open_existing(folder)
    }

    /// Opens an existing layout.
    pub fn open_existing(folder: &Path) -> Result<Self> {
        let error = at("opening the store", folder);
        let marker = File::open(folder.join(MARKER)).map_err(&error)?;
        marker.lock_shared().map_err(&error)?;
        fs::create_dir_all(folder.join(BLOBS)).map_err(&error)?;
        Ok(Self { folder: folder.to_owned(), marker })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All images. An image that lost its name keeps its entry.
    pub fn entries(&self) -> Result<Vec<Descriptor>> {
        Ok(self.read_index()?.manifests().clone())
    }

    /// Finds an image by name, digest or shortened digest.
    pub fn resolve(&self, name: &str) -> Result<Option<Descriptor>> {
        let entries = self.entries()?;
        if let Some(entry) = entries.iter().find(|entry| name_of(entry) == Some(name)) {
            return Ok(Some(entry.clone()));
        }
        let digits = name.strip_prefix("sha256:").unwrap_or(name);
        if digits.len() < MIN_DIGITS || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Ok(None);
        }
        let matches = |entry: &Descriptor| entry.digest().digest().starts_with(digits);
        // Reversed, because of entries with the same digest the first one counts.
        let found = entries.into_iter().rev().filter(matches).map(without_name);
        let mut found: BTreeMap<_, _> =
            found.map(|entry| (entry.digest().to_string(), entry)).collect();
        match found.len() {
            0 | 1 => Ok(found.pop_first().map(|(_, entry)| entry)),
            count => Err(Error::AmbiguousDigits { count, digits: digits.to_owned() }),
        }
    }

    /// Adds an entry for an image. A name moves to this image from any other.
    pub fn keep(&self, image: &Descriptor, name: Option<&str>) -> Result<()> {
        self.change_index(|entries| {
            if name.is_some() {
                entries.retain(|known| name_of(known) != name);
            } else if entries.iter().any(|known| known.digest() == image.digest()) {
                return;
            }
            entries.push(with_name(image.clone(), name));
        })
    }

    /// Removes a name but not its image. Returns false if the name does not exist.
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

    /// Removes an image and all its names. [`Self::collect`] removes its blobs.
    pub fn forget(&self, digest: &Digest) -> Result<()> {
        let digest = digest.to_string();
        self.change_index(|entries| entries.retain(|entry| entry.digest().as_ref() != digest))
    }

    /// The manifests that refer to `subject`.
    pub fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let subject = subject.to_string();
        let mut found = Vec::new();
        for entry in self.entries()? {
            let document = self.read_document(&entry)?;
            let about = document.as_ref().and_then(Document::subject);
            if about.is_some_and(|about| about.digest().as_ref() == subject) {
                found.push(without_name(entry));
            }
        }
        Ok(found)
    }

    /// Whether a blob is a file of the right size. Its content is not verified.
    pub fn has(&self, blob: &Descriptor) -> bool {
        self.open_blob(blob).is_ok()
    }

    /// Reads a manifest or index. `None` for other entries, which a layout may contain, and for
    /// missing blobs, because a layout may contain a part of an index.
    fn read_document(&self, entry: &Descriptor) -> Result<Option<Document>> {
        let media_type = entry.media_type().as_ref();
        let path = self.path(&document::digest_of(entry)?);
        if !document::is_document(media_type) || fs::symlink_metadata(path).is_err() {
            return Ok(None);
        }
        Ok(Some(Document::parse(&self.read(entry)?, media_type)?))
    }

    /// Reads and verifies a small blob.
    pub fn read(&self, blob: &Descriptor) -> Result<Vec<u8>> {
        let path = self.path(&document::digest_of(blob)?);
        let mut bytes = Vec::new();
        self.open_blob(blob)?.read_to_end(&mut bytes).map_err(at("reading", &path))?;
        verify(path, Digest::of(&bytes), blob)?;
        Ok(bytes)
    }

    /// Opens a blob, which the caller must verify. It has to be a regular file of the right size,
    /// because others may write to the layout.
    pub fn open_blob(&self, blob: &Descriptor) -> Result<File> {
        let path = self.path(&document::digest_of(blob)?);
        let open = || {
            let file = partial::open(OpenOptions::new().read(true), &path)?;
            Ok((file.metadata()?, file))
        };
        let (metadata, file) = open().map_err(at("opening", &path))?;
        if metadata.is_file() && metadata.len() == blob.size() {
            return Ok(file);
        }
        Err(Error::DamagedSize { path, found: metadata.len(), expected: blob.size() })
    }

    /// Opens a blob and verifies its digest.
    pub fn open_verified(&self, blob: &Descriptor) -> Result<File> {
        let mut file = self.open_blob(blob)?;
        let path = self.path(&document::digest_of(blob)?);
        let (hasher, _) = HashingReader::new(&file).drain().map_err(at("reading", &path))?;
        file.rewind().map_err(at("reading", &path))?;
        verify(path, hasher.finish(), blob)?;
        Ok(file)
    }

    /// Copies a blob to an unfinished file in `directory`.
    pub fn copy_blob(&self, blob: &Descriptor, directory: &Path) -> Result<Complete> {
        let digest = document::digest_of(blob)?;
        let mut from = HashingReader::new(self.open_blob(blob)?);
        let mut copy = || {
            let mut partial = Partial::open(directory, &digest)?;
            partial.clear()?;
            io::copy(&mut from, partial.file())?;
            Ok(partial)
        };
        let partial = copy().map_err(at("copying a blob to", directory))?;
        let path = self.path(&digest);
        partial
            .complete(from.finish().0)
            .map_err(|found| Error::Damaged { path, found: found.to_string() })
    }

    /// Adds a blob. Returns its digest and size.
    pub fn add(&self, from: impl Read) -> Result<(Digest, u64)> {
        let mut file = self.unfinished()?;
        let mut from = HashingReader::new(from);
        io::copy(&mut from, file.as_file_mut()).map_err(at("copying to", &self.folder))?;
        let (digest, size) = from.finish();
        self.finish(file, &digest)?;
        Ok((digest, size))
    }

    /// Adds a manifest, and the empty config if it has that. Other blobs must exist already.
    pub fn add_manifest(&self, manifest: &ImageManifest) -> Result<Descriptor> {
        let bytes = document::to_bytes(manifest)?;
        if manifest.config().media_type().as_ref() == document::EMPTY {
            self.add(document::EMPTY_JSON)?;
        }
        self.add(bytes.as_slice())?;
        document::describe(document::MANIFEST, &bytes)
    }

    /// Creates a file for [`Self::finish`].
    pub fn unfinished(&self) -> Result<NamedTempFile> {
        let folder = self.folder.join(BLOBS);
        partial::builder().tempfile_in(&folder).map_err(at("creating a file in", &folder))
    }

    /// Turns a file into the blob of this digest, which the caller has verified.
    pub fn finish(&self, file: NamedTempFile, digest: &Digest) -> Result<()> {
        let path = self.path(digest);
        persist(file, &path).map_err(at("writing", &path))
    }

    /// The directory of the blobs, and of unfinished ones.
    pub fn blobs(&self) -> PathBuf {
        self.folder.join(BLOBS)
    }

    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(BLOBS).join(hex(digest))
    }

    /// Removes every blob that is not reachable from an entry, and incomplete files. Fails if
    /// another process has the layout open, because it may be adding blobs.
    pub fn collect(self) -> Result<Freed> {
        self.marker.unlock().map_err(at("locking the store", &self.folder))?;
        if self.marker.try_lock().is_err() {
            return Err(Error::InUse(self.folder));
        }
        let mut reachable = BTreeSet::new();
        for entry in self.entries()? {
            self.mark(&entry, &mut reachable)?;
        }
        let folder = self.folder.join(BLOBS);
        let error = at("removing blobs from", &folder);
        let mut freed = Freed::default();
        for file in fs::read_dir(&folder).map_err(&error)? {
            let file = file.map_err(&error)?;
            let name = file.file_name().to_string_lossy().into_owned();
            let is_blob = name.starts_with(PREFIX) || name.len() == 64;
            if is_blob && !reachable.contains(&name) {
                freed.bytes += file.metadata().map_err(&error)?.len();
                freed.blobs += 1;
                fs::remove_file(file.path()).map_err(&error)?;
            }
        }
        Ok(freed)
    }

    /// Collects the blobs of an image.
    fn mark(&self, image: &Descriptor, reachable: &mut BTreeSet<String>) -> Result<()> {
        if !reachable.insert(image.digest().digest().to_owned()) {
            return Ok(());
        }
        match self.read_document(image)? {
            Some(Document::Index(index)) => {
                index.manifests().iter().try_for_each(|manifest| self.mark(manifest, reachable))?;
            }
            Some(Document::Manifest(manifest)) => {
                let blobs = manifest.layers().iter().chain([manifest.config()]);
                reachable.extend(blobs.map(|blob| blob.digest().digest().to_owned()));
            }
            None => {}
        }
        Ok(())
    }

    fn read_index(&self) -> Result<ImageIndex> {
        let path = self.folder.join(INDEX);
        let text = fs::read(&path).map_err(at("reading", &path))?;
        document::parse_index(&text)
            .map_err(|source| Error::LayoutIndex { path, source: source.into() })
    }

    fn change_index(&self, change: impl FnOnce(&mut Vec<Descriptor>)) -> Result<()> {
        let blobs = self.folder.join(BLOBS);
        let lock = File::open(&blobs).map_err(at("locking", &blobs))?;
        lock.lock().map_err(at("locking", &blobs))?;
        let mut index = self.read_index()?;
        let mut entries = index.manifests().clone();
        change(&mut entries);
        index.set_manifests(entries);
        replace(&self.folder, INDEX, &document::to_bytes(&index)?)
    }
}

/// Creates an empty layout. Safe if several processes create it at once.
fn create(folder: &Path) -> Result<()> {
    let error = at("creating the store", folder);
    fs::create_dir_all(folder).map_err(&error)?;
    let lock = File::open(folder).map_err(&error)?;
    lock.lock().map_err(&error)?;
    if folder.join(MARKER).exists() {
        return Ok(());
    }
    if folder.join(INDEX).exists() {
        return Err(Error::NotALayout(folder.to_owned()));
    }
    fs::create_dir_all(folder.join(BLOBS)).map_err(&error)?;
    let empty = document::index_of(Vec::new(), Annotations::new());
    replace(folder, INDEX, &document::to_bytes(&empty)?)?;
    replace(folder, MARKER, MARKER_TEXT.as_bytes())
}

/// The name of an entry.
pub fn name_of(entry: &Descriptor) -> Option<&str> {
    document::annotation(entry, document::REF_NAME)
}

fn with_name(entry: Descriptor, name: Option<&str>) -> Descriptor {
    let mut annotations: Annotations =
        entry.annotations().clone().unwrap_or_default().into_iter().collect();
    annotations.remove(document::REF_NAME);
    annotations.extend(name.map(|name| (document::REF_NAME.to_owned(), name.to_owned())));
    document::with_annotations(entry, annotations)
}

fn without_name(entry: Descriptor) -> Descriptor {
    with_name(entry, None)
}

fn hex(digest: &Digest) -> String {
    digest.to_string().split_off("sha256:".len())
}

/// Whether the content of a blob at `path` has the digest of its descriptor.
fn verify(path: PathBuf, found: Digest, blob: &Descriptor) -> Result<()> {
    if found == document::digest_of(blob)? {
        return Ok(());
    }
    Err(Error::Damaged { path, found: found.to_string() })
}

/// Writes a file completely or not at all.
fn replace(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = folder.join(name);
    let write = || {
        let mut file = partial::builder().tempfile_in(folder)?;
        file.write_all(bytes)?;
        persist(file, &path)
    };
    write().map_err(at("writing", &path))
}

fn persist(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests;
