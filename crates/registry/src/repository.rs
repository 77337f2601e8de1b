//! Reads and writes one repository of a registry (OCI distribution spec). Requests are retried.

use std::{io::Write as _, path::Path, sync::Arc};

use oci::{
    digest::{Digest, Hasher},
    document,
    document::{Annotations, Document},
    manifest::Layer,
    partial::{Complete, Partial},
    reference::{Repository, Version},
    size::{Transfer, length_of},
};
use oci_spec::image::{Descriptor, ImageIndex};
use serde::Deserialize;
use ureq::http::Method;

use crate::{
    blob::Blob,
    endpoint::{Access, Endpoint},
    error::{During as _, Error, Result},
    http::{Client, Payload, read_body},
    mirrors,
    session::Session,
    update,
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
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fetched {
    pub descriptor: Descriptor,
    pub bytes: Vec<u8>,
}

impl Fetched {
    pub fn index(index: &ImageIndex) -> Result<Self> {
        let bytes = document::to_bytes(index)?;
        Ok(Self { descriptor: document::describe(document::INDEX, &bytes)?, bytes })
    }

    pub fn parse(&self) -> Result<Document> {
        Ok(Document::parse(&self.bytes, self.descriptor.media_type().as_ref())?)
    }
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

    /// Fetches a blob to a file in `directory`, resuming an earlier transfer.
    pub fn fetch_blob(
        &mut self,
        blob: &Descriptor,
        directory: &Path,
        transfer: &dyn Transfer,
    ) -> Result<Complete> {
        let expected = document::digest_of(blob)?;
        let doing = || format!("fetching {expected} to {}", directory.display());
        let mut partial = Partial::open(directory, &expected).during(doing)?;
        let (mut hasher, mut at) = partial.resume(blob.size()).during(doing)?;
        if at == blob.size() && hasher.clone().finish() != expected {
            partial.clear().during(doing)?;
            (hasher, at) = (Hasher::default(), 0);
        }
        transfer.add(at);
        let found = self.download(blob, (at, hasher), |bytes| {
            partial.file().write_all(bytes).during(doing)?;
            transfer.add(length_of(bytes));
            Ok(())
        })?;
        partial.complete(found).map_err(|found| Error::BlobDigest { found, expected })
    }

    /// A small blob, verified.
    pub fn read_blob(&mut self, blob: &Descriptor) -> Result<Vec<u8>> {
        let expected = document::digest_of(blob)?;
        let mut content = Vec::new();
        let found = self.download(blob, (0, Hasher::default()), |bytes| {
            content.extend_from_slice(bytes);
            if length_of(&content) > LIST_LIMIT_BYTES {
                return Err(Error::Protocol(format!("blob {expected} is too large")));
            }
            Ok(())
        })?;
        if found == expected {
            return Ok(content);
        }
        Err(Error::Protocol(format!("blob digest is {found}, expected {expected}")))
    }

    /// Fetches the rest of a blob, of which `start` is known. Returns the digest of the whole.
    fn download(
        &mut self,
        blob: &Descriptor,
        start: (u64, Hasher),
        mut write: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<Digest> {
        if start.0 == blob.size() && start.0 > 0 {
            return Ok(start.1.finish());
        }
        let layer =
            Layer { size_bytes: Some(blob.size()), ..Layer::of_blob(document::digest_of(blob)?) };
        let (own, backoff) = (self.endpoint.clone(), self.session.backoff());
        let mut from = Blob::open(Vec::new(), own, &layer, backoff, start)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            match from.fetch(&mut buffer)? {
                0 => return Ok(from.digest()),
                length => write(buffer.get(..length).unwrap_or_default())?,
            }
        }
    }

    /// The progress display of a blob.
    pub fn transfer(&self, doing: &str, blob: &Descriptor) -> Result<Box<dyn Transfer + 'a>> {
        let digest = document::digest_of(blob)?.to_string();
        let label = format!("{doing} {}", document::title_of(blob).unwrap_or(&digest));
        Ok(self.session.observer().transfer(&label, blob.size()))
    }

    /// Pushes a manifest under a tag or its digest.
    pub fn push_manifest(&mut self, version: &Version, manifest: &Fetched) -> Result<()> {
        let Fetched { descriptor, bytes } = manifest;
        let doing = format!("pushing the manifest of {}:{version}", self.repository);
        let media_type = descriptor.media_type().to_string();
        let lists_referrers = self.with_retry(&doing, |endpoint| {
            let url = endpoint.url(&format!("manifests/{version}"));
            let headers = [("content-type", media_type.as_str())];
            let response = endpoint.send(&Method::PUT, &url, &headers, &Payload::Bytes(bytes))?;
            match endpoint.expect(201, response) {
                Ok(response) => Ok(response.headers().contains_key("oci-subject")),
                // distribution reads a blob's link while another push writes it.
                Err(Error::Status(error)) if error.has_code("DIGEST_INVALID") => {
                    Err(Error::Interrupted(error.to_string()))
                }
                Err(error) => Err(error),
            }
        })?;
        let document = manifest.parse()?;
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
        let version = Version::Tag(subject.to_tag());
        let mut entry = descriptor.clone();
        if let Document::Manifest(manifest) = document {
            let config = manifest.config().media_type();
            entry.set_artifact_type(Some(
                manifest.artifact_type().clone().unwrap_or_else(|| config.clone()),
            ));
            entry.set_annotations(manifest.annotations().clone());
        }
        let change = |remote: &mut Self, current: Option<&Fetched>| {
            let mut entries = match current.map(Fetched::parse).transpose()? {
                Some(Document::Index(index)) => index.manifests().clone(),
                Some(Document::Manifest(_)) => {
                    let (tag, repository) = (subject.to_tag(), remote.repository.to_string());
                    return Err(Error::ReferrersTag { tag, repository });
                }
                None => Vec::new(),
            };
            if entries.iter().any(|other| other.digest() == entry.digest()) {
                return Ok(None);
            }
            entries.push(entry.clone());
            Ok(Some(Fetched::index(&document::index_of(entries, Annotations::new()))?))
        };
        let write = |remote: &mut Self, next: &Fetched| remote.push_manifest(&version, next);
        update::update(self, |remote| remote.fetch(&version), write, change).map(drop)
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
            let found = self.fetch(&Version::Tag(subject.to_tag()))?;
            return Ok(match found.as_ref().map(Fetched::parse).transpose()? {
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
