//! What is about a manifest: the registry's own list of it, or one that clients keep under a tag (OCI distribution spec, "Listing Referrers").

use crate::repository::Remote;
use crate::repository::read_limited;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use oci::digest::Digest;
use oci::document;
use oci::document::Annotations;
use oci::document::Document;
use oci::reference::Version;
use oci_spec::image::Descriptor;

impl Remote<'_> {
    /// Where the registry keeps no list of what refers to a manifest, its clients do, in an index under a tag (distribution spec, "Pushing
    /// Manifests with Subject").
    pub fn note_referrer(
        &mut self,
        subject: &Digest,
        document: &Document,
        descriptor: &Descriptor,
    ) -> Result<()> {
        let tag = subject.to_tag();
        let mut entries = match self.fallback_document(&tag)? {
            Some(Document::Index(index)) => index.manifests().clone(),
            Some(Document::Manifest(_)) => bail!(
                "the tag '{tag}' of {}, where clients list what is about an image, is something else; hint: delete it",
                self.repository
            ),
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

    /// What is about `subject`, by the registry's own list or by that under a tag.
    pub fn referrers(&mut self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let doing = format!("asking {} what is about {subject}", self.repository.registry);
        let listed = self.with_retry(&doing, |endpoint| {
            let accept = [("accept", document::INDEX)];
            let response = endpoint.get(&format!("referrers/{subject}"), &accept)?;
            match response.status().as_u16() {
                200 => read_limited(response).map(Some),
                // Not all say 404 where they know nothing of it.
                400 | 404 | 405 | 501 => Ok(None),
                _ => Err(endpoint.refused(response).into()),
            }
        });
        let Some(bytes) = listed.context(doing.clone())? else {
            return Ok(match self.fallback_document(&subject.to_tag())? {
                Some(Document::Index(index)) => index.manifests().clone(),
                Some(Document::Manifest(_)) | None => Vec::new(),
            });
        };
        let index = document::parse_index(&bytes).context(doing)?;
        Ok(index.manifests().clone())
    }
}
