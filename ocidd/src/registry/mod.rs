//! A registry as the installer needs it: resolve a reference to one layer, open that layer's bytes. Nothing outside this folder opens a socket.
//!
//! The calls and their answers are the OCI distribution spec's, "Pulling manifests" and "Pulling blobs".

mod auth;
mod challenge;
mod manifest;
mod transport;

pub use transport::CertificateFiles;

use crate::digest::Digest;
use crate::pipeline::Compressed;
use crate::plan::Image;
use crate::plan::Tls;
use crate::reference::ManifestReference;
use crate::reference::Repository;
use crate::reference::Version;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use std::io::Read;
use transport::Response;
use transport::Transport;

/// The largest manifest that is read. The spec asks registries to take 4 MiB at least, so clients make none larger.
const MANIFEST_LIMIT_BYTES: u64 = 4 << 20;

/// The compressed disk image as the registry knows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Layer {
    pub digest: Digest,
    /// Known from a manifest; a bare blob tells it only when it is opened.
    pub size_bytes: Option<u64>,
}

/// One repository of one registry, and what we have to show there.
#[derive(Debug)]
pub struct Registry {
    transport: Transport,
    tls: Tls,
    repository: Repository,
    authorization: Option<String>,
}

impl Registry {
    pub fn new(repository: &Repository, tls: Tls, certificates: &CertificateFiles) -> Result<Self> {
        let transport = Transport::new(tls, certificates)?;
        Ok(Self { transport, tls, repository: repository.clone(), authorization: None })
    }

    /// The one disk layer that `image` names.
    pub fn resolve(&mut self, image: &Image) -> Result<Layer> {
        match image {
            Image::Blob(blob) => Ok(Layer { digest: blob.digest, size_bytes: None }),
            Image::Manifest(reference) => {
                self.fetch_manifest(reference).with_context(|| format!("resolving {reference}"))
            }
        }
    }

    /// Asks for the layer's bytes. What comes is not verified yet.
    pub fn open(&mut self, layer: &Layer) -> Result<Compressed<impl Read + Send + use<>>> {
        let registry = self.repository.registry.clone();
        let doing = || format!("fetching layer {} from {registry}", layer.digest);
        let response = self.get(&format!("blobs/{}", layer.digest), None).with_context(doing)?;
        let length = response.body().content_length();
        if let (Some(wanted), Some(found)) = (layer.size_bytes, length)
            && wanted != found
        {
            return Err(anyhow::anyhow!(
                "the registry offers {found} bytes, the manifest says {wanted}"
            ))
            .with_context(doing);
        }
        let reader = response.into_body().into_reader();
        Ok(Compressed { reader, digest: layer.digest, size_bytes: layer.size_bytes.or(length) })
    }

    fn fetch_manifest(&mut self, reference: &ManifestReference) -> Result<Layer> {
        let version = match &reference.version {
            Version::Tag(tag) => tag.clone(),
            Version::Digest(digest) => digest.to_string(),
        };
        let response = self.get(&format!("manifests/{version}"), Some(manifest::ACCEPT))?;
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let (media_type, named) = (header("content-type"), header("docker-content-digest"));
        let bytes = response
            .into_body()
            .into_with_config()
            .limit(MANIFEST_LIMIT_BYTES)
            .read_to_vec()
            .context("reading the manifest")?;
        let found = Digest::of(&bytes);
        // The registry's own header is checked too: it tells a proxy that changes what it passes on.
        let named = named
            .map(|text| text.parse::<Digest>())
            .transpose()
            .context("reading the header Docker-Content-Digest")?;
        let asked =
            if let Version::Digest(digest) = reference.version { Some(digest) } else { None };
        if let Some(wanted) = asked.or(named).filter(|wanted| *wanted != found) {
            bail!("manifest digest is {found}, it should be {wanted}");
        }
        manifest::parse(&bytes, media_type.as_deref().unwrap_or_default())
    }

    /// Gets a path below the repository, with a token where the registry wants one. Any status but 200 is an error.
    fn get(&mut self, path: &str, accept: Option<&str>) -> Result<Response> {
        let scheme = if self.tls == Tls::Plain { "http" } else { "https" };
        let url = format!(
            "{scheme}://{}/v2/{}/{path}",
            host_of(&self.repository.registry),
            self.repository.name
        );
        let mut response = self.transport.get(&url, accept, self.authorization.as_deref())?;
        if response.status() == 401 && self.authorization.is_none() {
            let challenge = challenge::from_headers(response.headers())?;
            self.authorization =
                Some(auth::fetch_token(&self.transport, &challenge, &self.repository)?);
            response = self.transport.get(&url, accept, self.authorization.as_deref())?;
        }
        if response.status() != 200 {
            bail!("{}", transport::refusal(response, &self.repository.registry));
        }
        Ok(response)
    }
}

/// Docker Hub's registry does not live at the name that its references bear.
fn host_of(registry: &str) -> &str {
    if matches!(registry, "docker.io" | "index.docker.io") {
        "registry-1.docker.io"
    } else {
        registry
    }
}
