//! Reads and writes one repository of a registry (OCI distribution spec). Requests are retried.

use std::{fs, fs::OpenOptions, io::Write as _, path::Path, sync::Arc};

use oci::{
    digest::{Digest, Hasher, HashingReader},
    document,
    document::{Annotations, Document},
    manifest::Layer,
    reference::{Repository, Version},
    size::{Counter, Transfer, length_of},
};
use oci_spec::image::Descriptor;
use serde::Deserialize;
use tempfile::NamedTempFile;
use ureq::http::Method;

use crate::{
    blob::Blob,
    endpoint::{Access, Endpoint},
    error::{During as _, Error, Result},
    http::{Client, Payload, read_body},
    mirrors,
    session::Session,
};

/// Maximum number of tags in one answer.
const TAGS_PER_PAGE: u32 = 1000;
const LIST_LIMIT_BYTES: u64 = 16 << 20;

/// A repository that is opened for reading or writing.
#[derive(Clone, Debug)]
pub struct Remote<'a> {
    pub endpoint: Endpoint,
    pub repository: Repository,
    pub session: &'a Session,
}

/// A manifest or an image index with its descriptor.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub descriptor: Descriptor,
    pub bytes: Vec<u8>,
}

impl<'a> Remote<'a> {
    pub fn open(session: &'a Session, repository: &Repository, access: Access) -> Result<Self> {
        let client = Client::new(&session.network(), &session.certificates())?;
        let credentials = Arc::new(session.credentials(repository)?);
        let endpoint = Endpoint::new(client, repository.clone(), credentials, access);
        Ok(Self { endpoint, repository: repository.clone(), session })
    }

    /// The verified manifest of a tag or digest, if it exists.
    pub fn fetch(&mut self, version: &Version) -> Result<Option<Fetched>> {
        let doing = format!("asking {} for {version}", self.repository.registry);
        let answer =
            self.with_retry(&doing, |endpoint| match mirrors::fetch_answer(endpoint, version) {
                Err(Error::Status(error)) if error.status == 404 => Ok(None),
                other => other.map(Some),
            });
        let Some(answer) = answer? else { return Ok(None) };
        answer.verify(version).during(|| doing)?;
        let media_type = document::media_type_of(&answer.bytes, &answer.media_type);
        let descriptor = document::describe(&media_type, &answer.bytes)?;
        Ok(Some(Fetched { descriptor, bytes: answer.bytes }))
    }

    /// Whether `blobs` or `manifests` have a digest.
    pub fn exists(&mut self, kind: &str, digest: &Digest) -> Result<bool> {
        let path = format!("{kind}/{digest}");
        let doing = format!("asking {} for {path}", self.repository.registry);
        self.with_retry(&doing, |endpoint| {
            let accept = [("accept", oci::manifest::ACCEPT)];
            let response = endpoint.head(&path, &accept)?;
            match response.status().as_u16() {
                200 => Ok(true),
                404 => Ok(false),
                _ => Err(endpoint.rejected(response)),
            }
        })
    }

    /// Fetches a blob to `path`, resuming an earlier transfer. Removes a file with a wrong digest.
    pub fn fetch_blob(
        &mut self,
        blob: &Descriptor,
        path: &Path,
        transfer: &dyn Transfer,
    ) -> Result<()> {
        let layer =
            Layer { size_bytes: Some(blob.size()), ..Layer::of_blob(document::digest_of(blob)?) };
        let doing = || format!("fetching {} to {}", layer.digest, path.display());
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).open(path).during(doing)?;
        let (mut hasher, mut at) = HashingReader::new(&file).drain().during(doing)?;
        if at >= blob.size() {
            if hasher.clone().finish() == layer.digest {
                return Ok(());
            }
            file.set_len(0).during(doing)?;
            (hasher, at) = (Hasher::default(), 0);
        }
        transfer.add(at);
        let (own, backoff) = (self.endpoint.clone(), self.session.backoff());
        let mut from = Blob::open(Vec::new(), own, &layer, backoff, (at, hasher))?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            let length = from.fetch(&mut buffer).during(doing)?;
            if length == 0 {
                break;
            }
            let bytes = buffer.get(..length).unwrap_or_default();
            file.write_all(bytes).during(doing)?;
            transfer.add(length_of(bytes));
        }
        verify_file(path, from.digest(), layer.digest)
    }

    /// A small blob, verified.
    pub fn read_blob(&mut self, blob: &Descriptor) -> Result<Vec<u8>> {
        let file = NamedTempFile::new().during(|| "creating a file for a blob")?;
        self.fetch_blob(blob, file.path(), &Counter::default())?;
        fs::read(file.path()).during(|| format!("reading {}", file.path().display()))
    }

    /// The progress display of a blob.
    pub fn transfer(&self, doing: &str, blob: &Descriptor) -> Result<Box<dyn Transfer + 'a>> {
        let digest = document::digest_of(blob)?.to_string();
        let label = format!("{doing} {}", document::title_of(blob).unwrap_or(&digest));
        Ok(self.session.observer().transfer(&label, blob.size()))
    }

    /// Pushes a manifest under a tag or its digest.
    pub fn push_manifest(
        &mut self,
        version: &Version,
        descriptor: &Descriptor,
        bytes: &[u8],
    ) -> Result<()> {
        let doing = format!("pushing the manifest of {}:{version}", self.repository);
        let media_type = descriptor.media_type().to_string();
        let lists_referrers = self.with_retry(&doing, |endpoint| {
            let url = endpoint.url(&format!("manifests/{version}"));
            let headers = [("content-type", media_type.as_str())];
            let response = endpoint.send(&Method::PUT, &url, &headers, &Payload::Bytes(bytes))?;
            Ok(endpoint.expect(201, response)?.headers().contains_key("oci-subject"))
        })?;
        let document = Document::parse(bytes, &media_type)?;
        match document.subject() {
            Some(subject) if !lists_referrers => {
                self.add_referrer(&document::digest_of(subject)?, &document, descriptor)
            }
            _ => Ok(()),
        }
    }

    /// Deletes a manifest, or a tag only.
    pub fn delete(&mut self, version: &Version) -> Result<()> {
        let doing = format!("deleting {version} from {}", self.repository);
        self.with_retry(&doing, |endpoint| {
            let url = endpoint.url(&format!("manifests/{version}"));
            let response = endpoint.send(&Method::DELETE, &url, &[], &Payload::Empty)?;
            match response.status().as_u16() {
                200 | 202 | 204 => Ok(()),
                405 => Err(Error::DeleteUnsupported { host: endpoint.host().to_owned() }),
                // distribution's answer for tags up to version 2.
                400 if matches!(version, Version::Tag(_)) => {
                    Err(Error::TagDeleteUnsupported { host: endpoint.host().to_owned() })
                }
                _ => Err(endpoint.rejected(response)),
            }
        })
    }

    pub fn list_tags(&mut self) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Tags {
            // Some registries send null if there are none.
            tags: Option<Vec<String>>,
        }
        let doing = format!("asking {} for its tags", self.repository);
        let mut tags: Vec<String> = Vec::new();
        loop {
            let last = tags.last().map(|tag| format!("&last={tag}")).unwrap_or_default();
            let path = format!("tags/list?n={TAGS_PER_PAGE}{last}");
            let page = self.with_retry(&doing, |endpoint| {
                let response = endpoint.get(&path, &[])?;
                let response = endpoint.expect(200, response)?;
                let has_more = response.headers().contains_key("link");
                Ok((read_body(response, LIST_LIMIT_BYTES, "an answer")?, has_more))
            });
            let (bytes, has_more) = page?;
            let page: Tags = serde_json::from_slice(&bytes).during(|| doing.as_str())?;
            let page = page.tags.unwrap_or_default();
            let is_last = page.is_empty() || !has_more;
            tags.extend(page);
            if is_last {
                // The spec requires sorted tags, but not every registry sorts them.
                tags.sort();
                return Ok(tags);
            }
        }
    }

    /// Adds a referrer to the index under a tag, for registries that keep no list (distribution
    /// spec, "Pushing Manifests with Subject").
    fn add_referrer(
        &mut self,
        subject: &Digest,
        document: &Document,
        descriptor: &Descriptor,
    ) -> Result<()> {
        let tag = subject.to_tag();
        let mut entries = match self.fallback_document(&tag)? {
            Some(Document::Index(index)) => index.manifests().clone(),
            Some(Document::Manifest(_)) => {
                let repository = self.repository.to_string();
                return Err(Error::ReferrersTag { tag, repository });
            }
            None => Vec::new(),
        };
        if entries.iter().any(|entry| entry.digest() == descriptor.digest()) {
            return Ok(());
        }
        let mut entry = descriptor.clone();
        if let Document::Manifest(manifest) = document {
            let config = manifest.config().media_type();
            entry.set_artifact_type(Some(
                manifest.artifact_type().clone().unwrap_or_else(|| config.clone()),
            ));
            entry.set_annotations(manifest.annotations().clone());
        }
        entries.push(entry);
        let bytes = document::to_bytes(&document::index_of(entries, Annotations::new()))?;
        let index = document::describe(document::INDEX, &bytes)?;
        self.push_manifest(&Version::Tag(tag), &index, &bytes)
    }

    fn fallback_document(&mut self, tag: &str) -> Result<Option<Document>> {
        let Some(fetched) = self.fetch(&Version::Tag(tag.to_owned()))? else { return Ok(None) };
        Ok(Some(Document::parse(&fetched.bytes, fetched.descriptor.media_type().as_ref())?))
    }

    /// The referrers of `subject`, from the registry's list or the index under a tag.
    pub fn referrers(&mut self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let doing = format!("asking {} for the referrers of {subject}", self.repository.registry);
        let listed = self.with_retry(&doing, |endpoint| {
            let accept = [("accept", document::INDEX)];
            let response = endpoint.get(&format!("referrers/{subject}"), &accept)?;
            match response.status().as_u16() {
                200 => read_body(response, LIST_LIMIT_BYTES, "an answer").map(Some),
                // The statuses of registries without this API.
                400 | 404 | 405 | 501 => Ok(None),
                _ => Err(endpoint.rejected(response)),
            }
        });
        let Some(bytes) = listed? else {
            return Ok(match self.fallback_document(&subject.to_tag())? {
                Some(Document::Index(index)) => index.manifests().clone(),
                Some(Document::Manifest(_)) | None => Vec::new(),
            });
        };
        let index = document::parse_index(&bytes).during(|| doing)?;
        Ok(index.manifests().clone())
    }

    /// Retries `operation`; the error says that it happened while `doing`.
    pub(crate) fn with_retry<T>(
        &mut self,
        doing: &str,
        mut operation: impl FnMut(&mut Endpoint) -> Result<T>,
    ) -> Result<T> {
        let operation = || operation(&mut self.endpoint);
        self.session.backoff().run(doing, operation).during(|| doing)
    }
}

/// Removes a file with a wrong digest.
pub fn verify_file(path: &Path, found: Digest, expected: Digest) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    fs::remove_file(path).during(|| format!("removing {}", path.display()))?;
    Err(Error::BlobDigest { found, expected })
}
