//! One repository in a registry, to read and to write (OCI distribution spec). Everything that may be sent again is, as with_retry as an install.

use crate::blob::Blob;
use crate::endpoint::Endpoint;
use crate::endpoint::Payload;
use crate::error::HttpError;
use crate::error::status_of;
use crate::mirrors;
use crate::observer::Observer;
use crate::retry;
use crate::retry::Backoff;
use crate::retry::RetryPolicy;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use oci::digest::Digest;
use oci::digest::Hasher;
use oci::digest::HashingReader;
use oci::document;
use oci::document::Document;
use oci::manifest::Layer;
use oci::reference::Repository;
use oci::reference::Version;
use oci::size::Transfer;
use oci_spec::image::Descriptor;
use serde::Deserialize;
use std::fs::OpenOptions;
use std::io::Read as _;
use std::io::Write as _;
use std::path::Path;
use ureq::http::Method;

/// The tags of one answer.
const TAGS_PER_PAGE: u32 = 1000;
const LIST_LIMIT_BYTES: u64 = 16 << 20;

/// A repository, and the right to do something with it.
#[derive(Clone)]
pub struct Remote<'a> {
    pub endpoint: Endpoint,
    pub repository: Repository,
    pub policy: RetryPolicy,
    pub observer: &'a dyn Observer,
    /// The most bytes of a blob in one request.
    pub chunk_bytes: u64,
}

/// A manifest or an image index with what it is named by.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub descriptor: Descriptor,
    pub bytes: Vec<u8>,
}

impl Remote<'_> {
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The value of the `Authorization` header that the registry wanted to see, if it wanted one.
    pub fn authorization(&self) -> Option<&str> {
        self.endpoint.authorization()
    }

    pub fn blob_url(&self, digest: &str) -> String {
        self.endpoint.url(&format!("blobs/{digest}"))
    }

    /// The manifest of this tag or digest, verified. None where there is none.
    pub fn fetch(&mut self, version: &Version) -> Result<Option<Fetched>> {
        let doing = format!("asking {} for {version}", self.repository.registry);
        let answer =
            self.with_retry(&doing, |endpoint| match mirrors::fetch_answer(endpoint, version) {
                Err(error) if status_of(&error) == Some(404) => Ok(None),
                other => other.map(Some),
            });
        let Some(answer) = answer.context(doing.clone())? else { return Ok(None) };
        answer.verify(version).context(doing)?;
        let media_type = document::media_type_of(&answer.bytes, &answer.media_type);
        let descriptor = document::describe(&media_type, &answer.bytes)?;
        Ok(Some(Fetched { descriptor, bytes: answer.bytes }))
    }

    pub fn has_blob(&mut self, digest: &Digest) -> Result<bool> {
        self.exists(&format!("blobs/{digest}"))
    }

    pub fn has_manifest(&mut self, digest: &Digest) -> Result<bool> {
        self.exists(&format!("manifests/{digest}"))
    }

    fn exists(&mut self, path: &str) -> Result<bool> {
        let doing = format!("asking {} for {path}", self.repository.registry);
        self.with_retry(&doing, |endpoint| {
            let accept = [("accept", oci::manifest::ACCEPT)];
            let response = endpoint.head(path, &accept)?;
            match response.status().as_u16() {
                200 => Ok(true),
                404 => Ok(false),
                _ => Err(endpoint.refused(response).into()),
            }
        })
        .context(doing)
    }

    /// Fetches a blob to `path`, and goes on where an earlier transfer ended. What does not have the digest is removed.
    pub fn fetch_blob(
        &mut self,
        blob: &Descriptor,
        path: &Path,
        transfer: &dyn Transfer,
    ) -> Result<()> {
        let layer =
            Layer { size_bytes: Some(blob.size()), ..Layer::of_blob(document::digest_of(blob)?) };
        let doing = || format!("fetching {} to {}", layer.digest, path.display());
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .with_context(doing)?;
        let (mut hasher, mut at) = HashingReader::new(&file).drain().with_context(doing)?;
        if at >= blob.size() {
            if hasher.clone().finish() == layer.digest {
                return Ok(());
            }
            file.set_len(0).with_context(doing)?;
            (hasher, at) = (Hasher::default(), 0);
        }
        transfer.add(at);
        let endpoints = vec![self.endpoint.clone()];
        let tries = Backoff::new(self.policy);
        let mut from = Blob::open_after(endpoints, &layer, tries, self.observer, (at, hasher))?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            let length = from.read(&mut buffer).with_context(doing)?;
            if length == 0 {
                break;
            }
            let bytes = buffer.get(..length).unwrap_or_default();
            file.write_all(bytes).with_context(doing)?;
            transfer.add(oci::size::length_of(bytes));
        }
        let found = oci::digest::Digested::digest(&from);
        if found == layer.digest {
            return Ok(());
        }
        std::fs::remove_file(path).with_context(doing)?;
        bail!("blob digest is {found}, it should be {}; what came was removed", layer.digest);
    }

    /// A small blob, verified.
    pub fn read_blob(&mut self, blob: &Descriptor) -> Result<Vec<u8>> {
        let folder = tempfile::tempdir().context("making a folder for a blob")?;
        let path = folder.path().join("blob");
        self.fetch_blob(blob, &path, &oci::size::Counter::default())?;
        std::fs::read(&path).with_context(|| format!("reading {}", path.display()))
    }

    /// Pushes a manifest under a tag, or under its digest alone.
    pub fn push_manifest(
        &mut self,
        version: &Version,
        descriptor: &Descriptor,
        bytes: &[u8],
    ) -> Result<()> {
        let doing = format!("pushing the manifest of {}:{version}", self.repository);
        let media_type = descriptor.media_type().to_string();
        let knows_referrers = self
            .with_retry(&doing, |endpoint| {
                let url = endpoint.url(&format!("manifests/{version}"));
                let headers = [("content-type", media_type.as_str())];
                let response = endpoint.send(&Method::PUT, &url, &headers, &Payload::of(bytes))?;
                if response.status() != 201 {
                    return Err(endpoint.refused(response).into());
                }
                Ok(response.headers().contains_key("oci-subject"))
            })
            .context(doing)?;
        let document = Document::parse(bytes, &media_type)?;
        match document.subject() {
            Some(subject) if !knows_referrers => {
                self.note_referrer(&document::digest_of(subject)?, &document, descriptor)
            }
            _ => Ok(()),
        }
    }

    /// Deletes a manifest, or the tag alone.
    pub fn delete(&mut self, version: &Version) -> Result<()> {
        let doing = format!("deleting {version} from {}", self.repository);
        self.with_retry(&doing, |endpoint| {
            let url = endpoint.url(&format!("manifests/{version}"));
            let response = endpoint.send(&Method::DELETE, &url, &[], &Payload::Nothing)?;
            match response.status().as_u16() {
                200 | 202 | 204 => Ok(()),
                405 => Err(HttpError::useless(format!(
                    "registry {} does not delete (405); hint: its operator has to allow it",
                    endpoint.host()
                ))
                .into()),
                // What the registry that most others are made from says of tags up to its second version.
                400 if matches!(version, Version::Tag(_)) => Err(HttpError::useless(format!(
                    "registry {} deletes no tags (400); hint: name the image by its digest, which `ocidd image inspect --remote` tells",
                    endpoint.host()
                ))
                .into()),
                _ => Err(endpoint.refused(response).into()),
            }
        })
        .context(doing)
    }

    pub fn list_tags(&mut self) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Tags {
            // Null where there are none, in some registries.
            tags: Option<Vec<String>>,
        }
        let doing = format!("asking {} for its tags", self.repository);
        let mut tags: Vec<String> = Vec::new();
        loop {
            let last = tags.last().map(|tag| format!("&last={tag}")).unwrap_or_default();
            let path = format!("tags/list?n={TAGS_PER_PAGE}{last}");
            let page = self.with_retry(&doing, |endpoint| {
                let response = endpoint.get(&path, &[])?;
                if response.status() != 200 {
                    return Err(endpoint.refused(response).into());
                }
                let goes_on = response.headers().contains_key("link");
                Ok((read_limited(response)?, goes_on))
            });
            let (bytes, goes_on) = page.with_context(|| doing.clone())?;
            let page: Tags = serde_json::from_slice(&bytes).with_context(|| doing.clone())?;
            let page = page.tags.unwrap_or_default();
            let is_last = page.is_empty() || !goes_on;
            tags.extend(page);
            if is_last {
                // The spec wants them sorted; not every registry does it.
                tags.sort();
                return Ok(tags);
            }
        }
    }

    /// Does something again as long as that may help.
    pub(crate) fn with_retry<T>(
        &mut self,
        doing: &str,
        mut act: impl FnMut(&mut Endpoint) -> Result<T>,
    ) -> Result<T> {
        retry::with_retry(self.policy, doing, self.observer, || act(&mut self.endpoint))
    }
}

impl std::fmt::Debug for Remote<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Remote({})", self.repository)
    }
}

pub fn read_limited(response: crate::http::Response) -> Result<Vec<u8>> {
    let body = response.into_body().into_with_config().limit(LIST_LIMIT_BYTES).read_to_vec();
    body.map_err(|error| HttpError::broken(format!("reading an answer: {error}")).into())
}
