//! A set that `publish` pushed to a registry: every form of it, and the documents that refer to it.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use oci::{
    digest::Digest,
    document,
    document::{Descriptor, Document},
    layout::Store,
};
use registry::{auth::Access, location::Location, repository::Fetched, session::Session};

use crate::{
    config::Profile,
    host::{arch::Arch, report::hinted},
    publish,
    publish::{
        ReleaseInfo, layout,
        layout::Published,
        release::{BUILD_MANIFEST, PROVENANCE, Release, SBOM, SUMS},
    },
    verify::against::{Rebuild, Request, Set},
};

/// The types of the artifacts that `publish` attaches. Others, such as signatures, are not part of
/// a publication.
const ATTACHED: [&str; 4] = [BUILD_MANIFEST, PROVENANCE, SBOM, SUMS];

#[derive(Debug)]
pub struct Publication {
    pub session: Session,
    pub repository: String,
    /// As `publish` was given it: the tag without the suffix of the profile.
    pub version: String,
    pub source: Option<String>,
}

impl Publication {
    /// The publication under a tag. `source` is the URL that `publish` was given.
    pub fn open(
        reference: &str,
        profile: Profile,
        session: Session,
        source: Option<String>,
    ) -> Result<Self> {
        let (repository, tag) = publish::split(reference)?;
        let suffix = profile.suffix();
        let Some(version) = tag.strip_suffix(&suffix).map(str::to_owned) else {
            let fact = format!("'{tag}' is not a tag of profile {profile}");
            let hint = format!("use a tag that ends in {suffix}, or another --profile");
            return Err(hinted(fact, hint));
        };
        Ok(Self { session, repository: repository.to_owned(), version, source })
    }

    fn place(&self, tag: &str) -> Result<Location<'_>> {
        let reference = format!("{}:{tag}", self.repository);
        Ok(Location::open(&self.session, &reference, Access::Pull)?)
    }

    /// The document under a tag.
    fn read(&self, tag: &str) -> Result<(Location<'_>, Fetched)> {
        let mut place = self.place(tag)?;
        let reading = || format!("reading '{}:{tag}'", self.repository);
        let document = place.resolve().with_context(reading)?;
        Ok((place, document))
    }

    fn tag(&self, profile: Profile, arch: Option<Arch>) -> String {
        let arch = arch.map(|arch| format!("-{}", arch.oci())).unwrap_or_default();
        format!("{}{}{arch}", self.version, profile.suffix())
    }
}

/// The digests of the attached documents, and all types that each claims to have: a list of them
/// may differ from the document.
fn attached(place: &mut Location<'_>, about: &Descriptor) -> Result<Vec<(Digest, Vec<String>)>> {
    let mut found = Vec::new();
    for listed in place.referrers(&document::digest_of(about)?)? {
        let types = match place.read_manifest(&listed)?.parse()? {
            Document::Manifest(it) => [it.artifact_type().clone(), listed.artifact_type().clone()],
            Document::Index(it) => [it.artifact_type().clone(), listed.artifact_type().clone()],
        };
        let types = types.into_iter().flatten().map(|kind| kind.to_string());
        found.push((document::digest_of(&listed)?, types.collect()));
    }
    Ok(found)
}

impl Set for Publication {
    fn check(&self, request: &Request<'_>) -> Result<()> {
        let tag = self.tag(request.profile, None);
        let Document::Index(index) = self.read(&tag)?.1.parse()? else {
            let fact = format!("'{}:{tag}' is not an image index", self.repository);
            return Err(hinted(fact, "use the reference that `publish` was given"));
        };
        let arch = |entry: &Descriptor| {
            let platform = entry.platform().as_ref();
            platform.map_or("none".to_owned(), |platform| platform.architecture().to_string())
        };
        let found: Vec<String> = index.manifests().iter().map(arch).collect();
        let expected: Vec<&str> = request.archs.iter().map(|arch| arch.oci()).collect();
        if found == expected {
            return Ok(());
        }
        let (found, expected) = (text::escape(&found.join(", ")), expected.join(", "));
        let fact =
            format!("'{}:{tag}' has entries for {found}; expected {expected}", self.repository);
        Err(hinted(fact, "select all architectures of the publication with --arch"))
    }

    fn manifest(&self, arch: Arch, profile: Profile) -> Result<Vec<u8>> {
        let tag = self.tag(profile, Some(arch));
        let (mut place, document) = self.read(&tag)?;
        let about = document::digest_of(&document.descriptor)?;
        for listed in place.referrers(&about)? {
            if let Document::Manifest(manifest) = place.read_manifest(&listed)?.parse()?
                && manifest.artifact_type().as_ref().is_some_and(|it| it.as_ref() == BUILD_MANIFEST)
                && let [layer] = manifest.layers().as_slice()
            {
                return Ok(place.read_blob(layer)?);
            }
        }
        bail!("'{}:{tag}' has no build manifest", self.repository)
    }

    fn compare(&self, release: &Release, out: &Path, rebuild: &dyn Rebuild) -> Result<Vec<String>> {
        let store = &Store::open(&out.join("layout"))?;
        let info = ReleaseInfo { version: &self.version, source: self.source.as_deref() };
        let all = layout::write(store, release, &info)?;
        let (mut lines, mut others) = (Vec::new(), Vec::new());
        for ours in &all {
            let Some(tag) = &ours.tag else { continue };
            let (mut place, theirs) = self.read(tag)?;
            rebuild.require_equal(tag, &ours.bytes, &theirs.bytes)?;
            lines.push(format!("{}  {}:{tag}", ours.descriptor.digest(), self.repository));
            let mut missing: Vec<_> = all.iter().filter(|other| other.is_about(ours)).collect();
            for (digest, types) in attached(&mut place, &ours.descriptor)? {
                let is_ours =
                    |it: &&Published| it.descriptor.digest().as_ref() == digest.to_string();
                let other = format!("{digest} of type {}", text::escape(&types.join(", ")));
                if let Some(at) = missing.iter().position(is_ours) {
                    missing.remove(at);
                } else if types.iter().any(|kind| ATTACHED.contains(&kind.as_str())) {
                    bail!("'{tag}' has a document that is not of the rebuilt set: {other}");
                } else {
                    others.push(other);
                }
            }
            if let Some(other) = missing.first() {
                bail!("'{tag}' has no {}, which is attached when it is published", other.name());
            }
        }
        // The documents are equal, so these are the rebuilt blobs if the registry has their bytes.
        let mut place = self.place(&self.tag(release.profile, None))?;
        for manifest in all.iter().filter_map(|ours| ours.manifest.as_ref()) {
            for blob in manifest.layers().iter().chain([manifest.config()]) {
                let path = out.join(blob.digest().digest());
                if !path.exists() {
                    place.save_blob(blob, &path)?;
                }
            }
        }
        if !others.is_empty() {
            lines.push(format!("not verified: {}", others.join("; ")));
        }
        Ok(lines)
    }
}
