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
    repository::{Fetched, Remote, read_limited},
    update,
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
        let write = |remote: &mut Self, next: &Fetched| {
            remote.push_manifest(&version, &next.descriptor, &next.bytes)
        };
        update::update(self, |remote| remote.fetch(&version), write, change).map(drop)
    }

    /// The referrers of `subject`, from the registry's list or the index under a tag.
    pub fn referrers(&mut self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let doing = format!("asking {} for the referrers of {subject}", self.repository.registry);
        let listed = self.with_retry(&doing, |endpoint| {
            let accept = [("accept", document::INDEX)];
            let response = endpoint.get(&format!("referrers/{subject}"), &accept)?;
            match response.status().as_u16() {
                200 => read_limited(response).map(Some),
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
}
