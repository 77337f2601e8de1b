//! A registry as the installer needs it: resolve a reference to one layer, open that layer's bytes.
//!
//! The calls and their answers are the OCI distribution spec's, "Pulling manifests" and "Pulling blobs". A mirror is asked only for what a
//! digest names, and for signatures, which prove themselves: it can withhold bytes but never change them. What a tag means is the image's own
//! registry's to say.

pub(crate) mod auth;
mod blob;
pub(crate) mod challenge;
pub(crate) mod content_range;
pub(crate) mod credentials;
pub(crate) mod endpoint;
pub(crate) mod index;
pub(crate) mod manifest;
mod platform;
pub(crate) mod retry;
mod signatures;

pub use blob::Blob;
pub use credentials::AUTH_FILE;
pub use credentials::Credentials;
pub use platform::BadPlatform;
pub use platform::Platform;
pub use retry::Patience;
pub use signatures::NotSigned;
pub use signatures::Signed;

use crate::digest::Digest;
use crate::event::Listener;
use crate::http::Client;
use crate::plan::Image;
use crate::reference::ManifestReference;
use crate::reference::Repository;
use crate::reference::Version;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use auth::Access;
use endpoint::Endpoint;
use manifest::Document;
use retry::Tries;
use std::sync::Arc;

/// The largest manifest that is read. The spec asks registries to take 4 MiB at least, so clients make none larger.
const MANIFEST_LIMIT_BYTES: u64 = 4 << 20;

/// The disk image as the registry knows it. All but the digest is known from a manifest only, and the annotations only where a publisher has set them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Layer {
    pub digest: Digest,
    /// A bare blob tells it only when it is opened.
    pub size_bytes: Option<u64>,
    pub media_type: Option<String>,
    /// A file name.
    pub title: Option<String>,
    /// What the publisher says of the unpacked disk image; not verified.
    pub raw_size_bytes: Option<u64>,
    pub raw_digest: Option<Digest>,
}

impl Layer {
    /// A layer of which nobody says more.
    pub fn of_blob(digest: Digest) -> Self {
        Self {
            digest,
            size_bytes: None,
            media_type: None,
            title: None,
            raw_size_bytes: None,
            raw_digest: None,
        }
    }
}

/// What a reference leads to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resolved {
    pub layer: Layer,
    /// The manifest that names the layer, and before it the index that names the manifest. A bare blob has neither.
    pub manifests: Vec<Digest>,
}

/// One repository, in its own registry and in mirrors of it.
#[derive(Debug)]
pub struct Registry {
    /// The mirrors in the order in which they are asked, then the repository's own registry.
    endpoints: Vec<Endpoint>,
    patience: Patience,
}

impl Registry {
    /// Asks nobody yet. `mirrors` are hosts; each machine asks them in an order of its own, so that a fleet spreads over them.
    pub fn new(
        repository: &Repository,
        mirrors: &[String],
        client: &Client,
        credentials: Credentials,
        patience: Patience,
    ) -> Self {
        let mut hosts: Vec<(u32, &String)> =
            mirrors.iter().map(|host| (retry::random(), host)).collect();
        hosts.sort_unstable();
        let hosts = hosts.into_iter().map(|(_, host)| host).chain([&repository.registry]);
        let credentials = Arc::new(credentials);
        let endpoints = hosts.map(|host| {
            let repository = Repository { registry: host.clone(), name: repository.name.clone() };
            Endpoint::new(client.clone(), repository, Arc::clone(&credentials), Access::Pull)
        });
        Self { endpoints: endpoints.collect(), patience }
    }

    /// The one disk layer that `image` names.
    pub fn resolve(
        &mut self,
        image: &Image,
        platform: &Platform,
        listener: &dyn Listener,
    ) -> Result<Resolved> {
        match image {
            Image::Blob(blob) => {
                Ok(Resolved { layer: Layer::of_blob(blob.digest), manifests: Vec::new() })
            }
            Image::Manifest(reference) => self
                .resolve_manifest(reference, platform, listener)
                .with_context(|| format!("resolving {reference}")),
        }
    }

    /// Asks for the layer's bytes. What comes is not verified yet.
    pub fn open<'a>(self, layer: &Layer, listener: &'a dyn Listener) -> Result<Blob<'a>> {
        Blob::open(self.endpoints, layer, Tries::new(self.patience), listener)
    }

    fn resolve_manifest(
        &mut self,
        reference: &ManifestReference,
        platform: &Platform,
        listener: &dyn Listener,
    ) -> Result<Resolved> {
        match self.fetch_manifest(&reference.version, listener)? {
            (digest, Document::Disk(layer)) => Ok(Resolved { layer, manifests: vec![digest] }),
            (digest, Document::Index(entries)) => {
                let mut resolved = self.follow(&entries, platform, listener)?;
                resolved.manifests.insert(0, digest);
                Ok(resolved)
            }
        }
    }

    fn follow(
        &mut self,
        entries: &[index::Entry],
        platform: &Platform,
        listener: &dyn Listener,
    ) -> Result<Resolved> {
        let entry = index::choose(entries, platform)?;
        let doing = || format!("following the image index to {}", entry.digest);
        let digest: Digest = entry.digest.parse().with_context(doing)?;
        match self.fetch_manifest(&Version::Digest(digest), listener).with_context(doing)? {
            (digest, Document::Disk(layer)) => Ok(Resolved { layer, manifests: vec![digest] }),
            // Nobody publishes disk images so; an index may otherwise lead on for ever.
            (_, Document::Index(_)) => bail!(
                "{} leads to another image index; hint: name a manifest by its digest, as in oci.tag=…@sha256:…",
                doing()
            ),
        }
    }

    fn fetch_manifest(
        &mut self,
        version: &Version,
        listener: &dyn Listener,
    ) -> Result<(Digest, Document)> {
        let own = self.endpoints.len().saturating_sub(1);
        let mut current = if matches!(version, Version::Digest(_)) { 0 } else { own };
        let mut tries = Tries::new(self.patience);
        loop {
            let endpoint = self.endpoints.get_mut(current).context("finding a registry")?;
            let host = endpoint.host().to_owned();
            match fetch_manifest_from(endpoint, version) {
                Ok(document) => return Ok(document),
                Err(error) if current < own => {
                    listener.warn(format!("mirror {host}: {error:#}; asking the next registry"));
                    current += 1;
                }
                Err(error) => {
                    tries.wait(error, &format!("asking {host} for a manifest"), listener)?;
                }
            }
        }
    }
}

/// A manifest and the digest of its bytes, whatever anybody says of them.
fn fetch_manifest_from(endpoint: &mut Endpoint, version: &Version) -> Result<(Digest, Document)> {
    let answer = fetch_answer(endpoint, version)?;
    let document = manifest::parse(&answer.bytes, &answer.media_type);
    if let Err(mismatch) = answer.verify(version) {
        // A web page in place of a manifest is better told as such.
        document?;
        return Err(mismatch);
    }
    Ok((answer.digest, document?))
}

/// A manifest or an image index as a registry sends it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) bytes: Vec<u8>,
    /// The `Content-Type`.
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    /// What the registry says the digest is.
    named: Option<String>,
}

impl Answer {
    /// Whether these are the bytes that were asked for.
    pub(crate) fn verify(&self, version: &Version) -> Result<()> {
        let wanted = match version {
            Version::Digest(digest) => Some(*digest),
            // The registry's own header is checked too: it tells a proxy that changes what it passes on.
            Version::Tag(_) => self
                .named
                .as_ref()
                .map(|text| text.parse())
                .transpose()
                .context("reading the header Docker-Content-Digest")?,
        };
        match wanted.filter(|wanted| *wanted != self.digest) {
            Some(wanted) => bail!("manifest digest is {}, it should be {wanted}", self.digest),
            None => Ok(()),
        }
    }
}

/// Asks for a manifest or an image index. Its digest is not verified yet.
pub(crate) fn fetch_answer(endpoint: &mut Endpoint, version: &Version) -> Result<Answer> {
    let response =
        endpoint.get(&format!("manifests/{version}"), &[("accept", manifest::ACCEPT)])?;
    if response.status() != 200 {
        return Err(endpoint.refused(response).into());
    }
    let header = |name: &str| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let (media_type, named) = (header("content-type"), header("docker-content-digest"));
    let bytes =
        response.into_body().into_with_config().limit(MANIFEST_LIMIT_BYTES).read_to_vec().map_err(
            |error| crate::http::HttpError::broken(format!("reading the manifest: {error}")),
        )?;
    let digest = Digest::of(&bytes);
    Ok(Answer { bytes, media_type: media_type.unwrap_or_default(), digest, named })
}
