//! Where images lie: a registry's repository or an OCI image layout, read and written alike.

use crate::auth::Access;
use crate::repository::Fetched;
use crate::repository::Remote;
use crate::session::Session;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use name::Address;
use oci::digest::Digest;
use oci::document;
use oci::layout::Store;
use oci::reference::Version;
use oci_spec::image::Descriptor;

mod blobs;
mod name;

/// An open repository or layout, with what is looked for or put there.
#[derive(Debug)]
pub struct Location<'a> {
    inner: Inner<'a>,
    session: &'a Session,
    /// As the user wrote it.
    location: String,
}

#[derive(Debug)]
enum Inner<'a> {
    Remote { remote: Box<Remote<'a>>, version: Version },
    Layout { store: Store, name: Option<String> },
}

impl<'a> Location<'a> {
    /// Opens what [`Address`] describes. A layout that is written to is made where there is none.
    pub fn open(session: &'a Session, location: &str, access: Access) -> Result<Self> {
        let inner = match location.parse()? {
            Address::Layout { folder, name } => {
                let store = match access {
                    Access::Pull => Store::open_existing(&folder)?,
                    Access::Push | Access::Delete => Store::open(&folder)?,
                };
                Inner::Layout { store, name }
            }
            Address::Registry(reference) => {
                let remote = Box::new(session.remote(&reference.repository, access)?);
                Inner::Remote { remote, version: reference.version }
            }
        };
        Ok(Self { inner, session, location: location.to_owned() })
    }

    /// A name in a store that is open already.
    pub fn in_store(session: &'a Session, store: Store, name: &str) -> Self {
        let inner = Inner::Layout { store, name: Some(name.to_owned()) };
        Self { inner, session, location: name.to_owned() }
    }

    /// What the images here are known by.
    pub fn repository(&self) -> String {
        match &self.inner {
            Inner::Remote { remote, .. } => remote.repository().to_string(),
            Inner::Layout { .. } => self.location.clone(),
        }
    }

    /// Another tag of the same repository or layout.
    pub fn sibling(&self, tag: &str) -> Result<Location<'a>> {
        let (inner, location) = match &self.inner {
            Inner::Remote { remote, .. } => (
                Inner::Remote { remote: remote.clone(), version: Version::Tag(tag.to_owned()) },
                format!("{}:{tag}", remote.repository()),
            ),
            Inner::Layout { store, .. } => {
                let (store, folder) =
                    (Store::open_existing(store.folder())?, store.folder().display());
                let location = format!("oci:{folder}:{tag}");
                (Inner::Layout { store, name: Some(tag.to_owned()) }, location)
            }
        };
        Ok(Location { inner, session: self.session, location })
    }

    pub fn session(&self) -> &'a Session {
        self.session
    }

    pub fn location(&self) -> &str {
        &self.location
    }

    /// What this place is named for. Err where there is nothing.
    pub fn resolve(&mut self) -> Result<Fetched> {
        let found = self.find()?;
        found.ok_or_else(|| anyhow!("there is no '{}'{}", self.location, self.hint()))
    }

    /// What this place is named for, if it is there.
    pub fn find(&mut self) -> Result<Option<Fetched>> {
        match &mut self.inner {
            Inner::Remote { remote, version } => remote.fetch(version),
            Inner::Layout { store, name } => {
                let descriptor = match name {
                    Some(name) => store.resolve(name)?,
                    None => only(store)?,
                };
                let Some(descriptor) = descriptor else { return Ok(None) };
                Ok(Some(Fetched { bytes: store.read(&descriptor)?, descriptor }))
            }
        }
    }

    fn hint(&self) -> String {
        match &self.inner {
            Inner::Remote { remote, .. } => format!(
                " in the registry; hint: `ocidd image list {}` tells the tags",
                remote.repository()
            ),
            Inner::Layout { store, .. } => {
                format!(
                    "; hint: `ocidd image --store {} list` tells what there is",
                    store.folder().display()
                )
            }
        }
    }

    /// A manifest that this place holds, by its digest.
    pub fn read_manifest(&mut self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        match &mut self.inner {
            Inner::Layout { store, .. } => Ok(store.read(descriptor)?),
            Inner::Remote { remote, .. } => {
                let digest = document::digest_of(descriptor)?;
                let fetched = remote.fetch(&Version::Digest(digest))?;
                let fetched = fetched
                    .with_context(|| format!("{} has no manifest {digest}", remote.repository()))?;
                Ok(fetched.bytes)
            }
        }
    }

    /// A small blob, verified.
    pub fn read_blob(&mut self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        match &mut self.inner {
            Inner::Layout { store, .. } => Ok(store.read(descriptor)?),
            Inner::Remote { remote, .. } => remote.read_blob(descriptor),
        }
    }

    pub fn referrers(&mut self, subject: &Digest) -> Result<Vec<Descriptor>> {
        match &mut self.inner {
            Inner::Layout { store, .. } => Ok(store.referrers(subject)?),
            Inner::Remote { remote, .. } => remote.referrers(subject),
        }
    }

    pub fn has_manifest(&mut self, digest: &Digest) -> Result<bool> {
        match &mut self.inner {
            Inner::Layout { store, .. } => Ok(store.has(digest)),
            Inner::Remote { remote, .. } => remote.has_manifest(digest),
        }
    }

    /// Puts a manifest here under its digest.
    pub fn add_manifest(&mut self, descriptor: &Descriptor, bytes: &[u8]) -> Result<()> {
        match &mut self.inner {
            Inner::Layout { store, .. } => Ok(store.add(bytes).map(drop)?),
            Inner::Remote { remote, .. } => {
                let version = Version::Digest(document::digest_of(descriptor)?);
                remote.push_manifest(&version, descriptor, bytes)
            }
        }
    }

    /// Keeps a manifest that no name leads to: something about another. Registries do that by themselves.
    pub fn keep(&mut self, descriptor: &Descriptor) -> Result<()> {
        match &self.inner {
            Inner::Layout { store, .. } => Ok(store.keep(descriptor, None)?),
            Inner::Remote { .. } => Ok(()),
        }
    }

    /// Puts a manifest here under the name of this place.
    pub fn add_named(&mut self, descriptor: &Descriptor, bytes: &[u8]) -> Result<()> {
        match &mut self.inner {
            Inner::Layout { store, name } => {
                store.add(bytes)?;
                Ok(store.keep(descriptor, name.as_deref())?)
            }
            Inner::Remote { remote, version } => {
                if let Version::Digest(digest) = version
                    && *digest != document::digest_of(descriptor)?
                {
                    bail!(
                        "'{}' asks for another digest than {}",
                        self.location,
                        descriptor.digest()
                    );
                }
                remote.push_manifest(version, descriptor, bytes)
            }
        }
    }

    pub fn remote(&mut self) -> Option<(&mut Remote<'a>, &Version)> {
        match &mut self.inner {
            Inner::Remote { remote, version } => Some((remote, version)),
            Inner::Layout { .. } => None,
        }
    }
}

/// The only image of a layout that is named without one.
fn only(store: &Store) -> Result<Option<Descriptor>> {
    let mut entries = store.entries()?;
    match entries.len() {
        0 | 1 => Ok(entries.pop()),
        several => bail!(
            "{} holds {several} images; hint: name one, as in oci:{}:NAME",
            store.folder().display(),
            store.folder().display()
        ),
    }
}
