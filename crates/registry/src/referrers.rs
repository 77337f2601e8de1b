//! Referrers of a manifest: the list of the registry, or the one that clients keep under a tag (OCI
//! distribution spec, "Listing Referrers").

use oci::{
    digest::Digest,
    document,
    document::{Annotations, Document},
    reference::Version,
};
use oci_spec::image::Descriptor;

use crate::{
    error::{During as _, Error, Result},
    http::read_body,
    repository::{LIST_LIMIT_BYTES, Remote},
};

impl Remote<'_> {
    /// Adds a referrer to the index under a tag, for registries that keep no list (distribution
    /// spec, "Pushing Manifests with Subject").
    pub fn add_referrer(
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
}
