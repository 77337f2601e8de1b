//! Where images are stored: a repository of a registry or an OCI image layout, with one interface.

use std::{fs::File, path::Path};

use oci::{
    digest::Digest,
    document,
    layout::Store,
    reference::{ManifestReference, Version},
};
use oci_spec::image::Descriptor;

use crate::{
    endpoint::Access,
    error::{During as _, Error, Result},
    repository::{Fetched, Remote},
    session::Session,
    update,
    upload::Local,
};

/// The prefix of image layouts, like skopeo's.
const LAYOUT: &str = "oci:";

/// The directory and the name of `oci:DIRECTORY[:NAME]`; `None` if the location is a reference. The
/// directory ends at the first colon, so the name can be a reference.
fn parse_layout(location: &str) -> Result<Option<(&Path, Option<&str>)>> {
    // `oci://` is a registry in other programs. It is parsed as a reference, which rejects it.
    let layout = location.strip_prefix(LAYOUT).filter(|layout| !layout.starts_with("//"));
    let Some(layout) = layout else { return Ok(None) };
    let (directory, name) = layout.split_once(':').unwrap_or((layout, ""));
    if directory.is_empty() {
        return Err(Error::NoDirectory(location.to_owned()));
    }
    Ok(Some((Path::new(directory), Some(name).filter(|name| !name.is_empty()))))
}

/// A tag, digest or name in an open repository or layout.
#[derive(Debug)]
pub struct Location<'a> {
    inner: Inner<'a>,
    /// As written by the user.
    text: String,
}

#[derive(Debug)]
enum Inner<'a> {
    Remote { remote: Box<Remote<'a>>, version: Version },
    Layout { store: Store, name: Option<String> },
}

impl<'a> Location<'a> {
    /// Opens `REGISTRY/REPOSITORY:TAG`, `…@sha256:…` or `oci:DIRECTORY[:NAME]`. Creates the layout,
    /// except for [`Access::Pull`].
    pub fn open(session: &'a Session, location: &str, access: Access) -> Result<Self> {
        let inner = if let Some((directory, name)) = parse_layout(location)? {
            let store = match access {
                Access::Pull => Store::open_existing(directory)?,
                Access::Push | Access::Delete => Store::open(directory)?,
            };
            Inner::Layout { store, name: name.map(str::to_owned) }
        } else {
            let reference: ManifestReference = location.parse()?;
            let remote = Box::new(Remote::open(session, &reference.repository, access)?);
            Inner::Remote { remote, version: reference.version }
        };
        Ok(Self { inner, text: location.to_owned() })
    }

    /// A name in an open store.
    pub fn in_store(store: Store, name: &str) -> Self {
        let inner = Inner::Layout { store, name: Some(name.to_owned()) };
        Self { inner, text: name.to_owned() }
    }

    /// The repository, or the whole location of a layout.
    pub fn repository(&self) -> String {
        match &self.inner {
            Inner::Remote { remote, .. } => remote.repository.to_string(),
            Inner::Layout { .. } => self.text.clone(),
        }
    }

    /// Another tag of the same repository or layout.
    pub fn sibling(&self, tag: &str) -> Result<Location<'a>> {
        let (inner, text) = match &self.inner {
            Inner::Remote { remote, .. } => (
                Inner::Remote { remote: remote.clone(), version: Version::Tag(tag.to_owned()) },
                format!("{}:{tag}", remote.repository),
            ),
            Inner::Layout { store, .. } => {
                let text = format!("oci:{}:{tag}", store.folder().display());
                let store = Store::open_existing(store.folder())?;
                (Inner::Layout { store, name: Some(tag.to_owned()) }, text)
            }
        };
        Ok(Location { inner, text })
    }

    pub fn location(&self) -> &str {
        &self.text
    }

    /// The document at this location. An error if there is none.
    pub fn resolve(&mut self) -> Result<Fetched> {
        let found = self.find()?;
        let location = self.text.clone();
        found.ok_or_else(|| match &self.inner {
            Inner::Remote { remote, .. } => {
                Error::NotInRegistry { location, repository: remote.repository.to_string() }
            }
            Inner::Layout { store, .. } => {
                Error::NotInLayout { location, directory: store.folder().to_owned() }
            }
        })
    }

    /// The document at this location, if there is one.
    pub fn find(&mut self) -> Result<Option<Fetched>> {
        match &mut self.inner {
            Inner::Remote { remote, version } => remote.fetch(version),
            Inner::Layout { store, name } => {
                let descriptor = match name {
                    Some(name) => store.resolve(name)?,
                    None => only_image(store)?,
                };
                let Some(descriptor) = descriptor else { return Ok(None) };
                Ok(Some(Fetched { bytes: store.read(&descriptor)?, descriptor }))
            }
        }
    }

    fn either<T>(
        &mut self,
        layout: impl FnOnce(&Store) -> Result<T, oci::Error>,
        registry: impl FnOnce(&mut Remote<'a>) -> Result<T>,
    ) -> Result<T> {
        match &mut self.inner {
            Inner::Layout { store, .. } => Ok(layout(store)?),
            Inner::Remote { remote, .. } => registry(remote),
        }
    }

    /// A manifest by its digest.
    pub fn read_manifest(&mut self, descriptor: &Descriptor) -> Result<Fetched> {
        let digest = document::digest_of(descriptor)?;
        let fetch = |remote: &mut Remote<'_>| {
            let repository = remote.repository.to_string();
            let location = format!("{repository}@{digest}");
            let found = remote.fetch(&Version::Digest(digest))?;
            Ok(found.ok_or(Error::NotInRegistry { location, repository })?.bytes)
        };
        let bytes = self.either(|store| store.read(descriptor), fetch)?;
        Ok(Fetched { descriptor: descriptor.clone(), bytes })
    }

    /// A small blob, verified.
    pub fn read_blob(&mut self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        self.either(|store| store.read(descriptor), |remote| remote.read_blob(descriptor))
    }

    pub fn referrers(&mut self, subject: &Digest) -> Result<Vec<Descriptor>> {
        self.either(|store| store.referrers(subject), |remote| remote.referrers(subject))
    }

    /// Whether a manifest and its parts exist.
    pub fn has_manifest(&mut self, manifest: &Descriptor) -> Result<bool> {
        let digest = document::digest_of(manifest)?;
        // A layout may contain a manifest without its blobs.
        self.either(|_store| Ok(false), |remote| remote.exists("manifests", &digest))
    }

    /// Stores a manifest under its digest.
    pub fn add_manifest(&mut self, manifest: &Fetched) -> Result<()> {
        let version = Version::Digest(document::digest_of(&manifest.descriptor)?);
        let push = |remote: &mut Remote<'_>| remote.push_manifest(&version, manifest);
        self.either(|store| store.add(manifest.bytes.as_slice()).map(drop), push)
    }

    /// Keeps an unnamed manifest, such as a referrer, in a layout. Registries keep all of them.
    pub fn keep(&mut self, descriptor: &Descriptor) -> Result<()> {
        self.either(|store| store.keep(descriptor, None), |_| Ok(()))
    }

    /// Stores a manifest under the tag, digest or name of this location.
    pub fn add_named(&mut self, manifest: &Fetched) -> Result<()> {
        let descriptor = &manifest.descriptor;
        match &mut self.inner {
            Inner::Layout { store, name } => {
                store.add(manifest.bytes.as_slice())?;
                Ok(store.keep(descriptor, name.as_deref())?)
            }
            Inner::Remote { remote, version } => {
                if let Version::Digest(digest) = version
                    && *digest != document::digest_of(descriptor)?
                {
                    let (location, found) = (self.text.clone(), descriptor.digest().to_string());
                    return Err(Error::OtherDigest { location, found });
                }
                remote.push_manifest(version, manifest)
            }
        }
    }

    /// Changes the document at this location, which other programs may change at the same time.
    pub fn update<E: From<Error>>(
        &mut self,
        change: impl FnMut(&mut Self, Option<&Fetched>) -> Result<Option<Fetched>, E>,
    ) -> Result<Option<Fetched>, E> {
        update::update(self, Self::find, Self::add_named, change)
    }

    pub fn remote(&mut self) -> Option<(&mut Remote<'a>, &Version)> {
        match &mut self.inner {
            Inner::Remote { remote, version } => Some((remote, version)),
            Inner::Layout { .. } => None,
        }
    }

    pub fn has_blob(&mut self, blob: &Descriptor) -> Result<bool> {
        let digest = document::digest_of(blob)?;
        self.either(|store| Ok(store.has(blob)), |remote| remote.exists("blobs", &digest))
    }

    /// Copies a blob to a file, resuming an earlier transfer. The digest is verified.
    pub fn save_blob(&mut self, blob: &Descriptor, path: &Path) -> Result<()> {
        let doing = || format!("writing {}", path.display());
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        let fetch = |remote: &mut Remote<'_>| {
            let transfer = remote.transfer("fetching", blob)?;
            remote.fetch_blob(blob, directory, transfer.as_ref())
        };
        let complete = self.either(|store| store.copy_blob(blob, directory), fetch)?;
        complete.rename(path).during(doing)
    }

    /// Copies a missing blob from another location. The digest is verified.
    pub fn copy_blob(&mut self, blob: &Descriptor, from: &mut Location<'_>) -> Result<()> {
        let digest = document::digest_of(blob)?;
        let remote = match &mut self.inner {
            Inner::Layout { store, .. } => return from.save_blob(blob, &store.path(&digest)),
            Inner::Remote { remote, .. } => remote,
        };
        // The open store protects the file from a garbage collection.
        let (store, fetched);
        let file = match &mut from.inner {
            Inner::Layout { store, .. } => store.open_verified(blob)?,
            Inner::Remote { remote: other, .. } => {
                let is_same_host = remote.repository.registry == other.repository.registry;
                if is_same_host && remote.mount_blob(&digest, &other.repository.name) {
                    return Ok(());
                }
                store = remote.session.store()?;
                fetched = store.unfinished()?.into_temp_path();
                from.save_blob(blob, &fetched)?;
                File::open(&fetched)?
            }
        };
        let local = Local { file: &file, digest, size_bytes: blob.size() };
        // Only now: its rate must not include the time that fetching took.
        let transfer = remote.transfer("pushing", blob)?;
        remote.push_blob(&local, transfer.as_ref())
    }
}

/// The only image of a layout.
fn only_image(store: &Store) -> Result<Option<Descriptor>> {
    let mut entries = store.entries()?;
    match entries.len() {
        0 | 1 => Ok(entries.pop()),
        count => Err(Error::SeveralImages { directory: store.folder().to_owned(), count }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_layouts() {
        for (text, directory, name) in [
            ("oci:images", "images", None),
            ("oci:images:", "images", None),
            ("oci:/srv/images:os-1", "/srv/images", Some("os-1")),
            ("oci:images:registry.example:5000/os:1", "images", Some("registry.example:5000/os:1")),
            ("oci:images:sha256:00", "images", Some("sha256:00")),
        ] {
            assert_eq!(parse_layout(text).unwrap(), Some((Path::new(directory), name)), "{text}");
        }
    }

    #[test]
    fn parses_references_and_rejects_the_rest() {
        for text in ["registry.example/os:1", "localhost:5000/a/b:1"] {
            assert_eq!(parse_layout(text).unwrap(), None, "{text}");
            text.parse::<ManifestReference>().unwrap();
        }
        for text in ["", "os", "/srv/images", "oci://registry.example/os:1"] {
            assert_eq!(parse_layout(text).unwrap(), None, "{text}");
            text.parse::<ManifestReference>().unwrap_err();
        }
        for text in ["oci:", "oci::name"] {
            parse_layout(text).unwrap_err();
        }
    }
}
