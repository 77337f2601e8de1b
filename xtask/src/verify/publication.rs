//! A set that `publish` pushed to a registry: every form of it, and the documents that refer to it.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use archive::read::printable;
use oci::{
    document,
    document::{Descriptor, Document},
    layout::Store,
};
use oci_spec::image::ImageManifest;
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

/// A blob that is larger than twice ours and this is not fetched to describe the difference.
const MARGIN_BYTES: u64 = 1 << 20;

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

    fn tag(&self, profile: Profile, arch: Option<Arch>) -> String {
        let arch = arch.map(|arch| format!("-{}", arch.oci())).unwrap_or_default();
        format!("{}{}{arch}", self.version, profile.suffix())
    }
}

/// An attached document, and all types that it claims to have: a list of them may differ from it.
type Attached = (Vec<String>, Fetched);

fn attached(place: &mut Location<'_>, about: &Descriptor) -> Result<Vec<Attached>> {
    let mut found = Vec::new();
    for listed in place.referrers(&document::digest_of(about)?)? {
        let fetched = place.read_manifest(&listed)?;
        let own = match fetched.parse()? {
            Document::Manifest(it) => {
                [it.artifact_type().clone(), Some(it.config().media_type().clone())]
            }
            Document::Index(it) => [it.artifact_type().clone(), None],
        };
        let types = own.into_iter().chain([listed.artifact_type().clone()]).flatten();
        found.push((types.map(|kind| kind.to_string()).collect(), fetched));
    }
    Ok(found)
}

/// Compares a document and its blobs. If layers differ, the error is about the first one.
fn require_equal(
    place: &mut Location<'_>,
    (ours, theirs): (&Published, &Fetched),
    store: &Store,
    rebuild: &dyn Rebuild,
) -> Result<()> {
    let name = ours.name();
    let parts = |it: &ImageManifest| [&[it.config().clone()], it.layers().as_slice()].concat();
    if let (Some(ours), Ok(Document::Manifest(theirs))) = (&ours.manifest, theirs.parse()) {
        for (ours, theirs) in parts(ours).iter().zip(parts(&theirs)) {
            let path = store.folder().join(theirs.digest().digest());
            // A much larger one may be anything. The documents differ.
            if theirs.size() > 2 * ours.size() + MARGIN_BYTES {
                continue;
            }
            let fetching = || format!("fetching a blob of {name}");
            if !path.exists() {
                place.save_blob(&theirs, &path).with_context(fetching)?;
            }
            let theirs = std::fs::read(&path).with_context(fetching)?;
            let name = format!("{name}-{}", document::title_of(ours).unwrap_or("blob"));
            rebuild.require_equal(&name, &store.read(ours)?, &theirs)?;
        }
    }
    rebuild.require_equal(name, &ours.bytes, &theirs.bytes)
}

impl Set for Publication {
    fn check(&self, request: &Request<'_>) -> Result<()> {
        let tag = self.tag(request.profile, None);
        let Document::Index(index) = self.place(&tag)?.resolve()?.parse()? else {
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
        let (found, expected) = (printable(&found.join(", ")), expected.join(", "));
        let fact =
            format!("'{}:{tag}' has entries for {found}; expected {expected}", self.repository);
        Err(hinted(fact, "select all architectures of the publication with --arch"))
    }

    fn manifest(&self, arch: Arch, profile: Profile) -> Result<Vec<u8>> {
        let tag = self.tag(profile, Some(arch));
        let mut place = self.place(&tag)?;
        let about = place.resolve()?.descriptor;
        for (types, fetched) in attached(&mut place, &about)? {
            if let Document::Manifest(manifest) = fetched.parse()?
                && types.iter().any(|kind| kind == BUILD_MANIFEST)
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
            let mut place = self.place(tag)?;
            let theirs = place.resolve()?;
            require_equal(&mut place, (ours, &theirs), store, rebuild)?;
            lines.push(format!("{}  {}:{tag}", ours.descriptor.digest(), self.repository));
            let mut missing: Vec<_> = all.iter().filter(|other| other.is_about(ours)).collect();
            for (types, theirs) in attached(&mut place, &ours.descriptor)? {
                let Some(at) = missing.iter().position(|other| types.contains(&other.kind()))
                else {
                    let kinds = printable(&types.join(", "));
                    let other = format!("{} of type {kinds}", theirs.descriptor.digest());
                    if types.iter().any(|kind| ATTACHED.contains(&kind.as_str())) {
                        bail!("'{tag}' has an unexpected document: {other}");
                    }
                    others.push(other);
                    continue;
                };
                require_equal(&mut place, (missing.remove(at), &theirs), store, rebuild)?;
            }
            if let Some(other) = missing.first() {
                bail!("'{tag}' has no {}, which is attached when it is published", other.name());
            }
        }
        if !others.is_empty() {
            lines.push(format!("not verified: {}", others.join("; ")));
        }
        Ok(lines)
    }
}
