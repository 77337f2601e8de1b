//! Fetches a set from a registry: one that `publish` pushed, or an artifact with titled layers.

use super::is_plain;
use crate::describe::Manifest;
use crate::host::arch::Arch;
use crate::publish::BUILD_MANIFEST;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use oci::document;
use oci::document::Descriptor;
use oci::document::Document;
use registry::auth::Access;
use registry::http::Tls;
use registry::location::Location;
use registry::session::Session;
use registry::session::Settings;
use std::path::Path;
use tempfile::TempDir;

/// Saves the files of the set in a temporary directory.
pub fn fetch(reference: &str, archs: &[Arch]) -> Result<TempDir> {
    let host = reference.split(['/', ':']).next().unwrap_or_default();
    let is_here = matches!(host, "localhost" | "127.0.0.1");
    let tls = if is_here { Tls::Plain } else { Tls::Required };
    let session = Session::new(
        Settings { tls, ..Settings::default() },
        Box::new(crate::host::report::Console),
    );
    let mut place = Location::open(&session, reference, Access::Pull)?;
    let folder = tempfile::tempdir().context("creating a directory for an artifact")?;
    let found = place.resolve()?;
    match Document::parse(&found.bytes, found.descriptor.media_type().as_ref())? {
        Document::Manifest(_) => save(&mut place, &found.descriptor, folder.path())?,
        Document::Index(index) => {
            let wanted = |entry: &&Descriptor| {
                let platform = entry.platform().as_ref();
                let named = platform.map(|platform| platform.architecture().to_string());
                named.is_some_and(|named| archs.iter().any(|arch| arch.oci() == named))
            };
            let entries: Vec<_> = index.manifests().iter().filter(wanted).collect();
            ensure!(
                !entries.is_empty(),
                "the image index contains nothing for these architectures"
            );
            entries.into_iter().try_for_each(|entry| save(&mut place, entry, folder.path()))?;
        }
    }
    Ok(folder)
}

/// Saves the files of one manifest under the names in its build manifest, else under their titles.
fn save(place: &mut Location<'_>, manifest: &Descriptor, folder: &Path) -> Result<()> {
    let bytes = place.read_manifest(manifest)?;
    let Document::Manifest(parsed) = Document::parse(&bytes, manifest.media_type().as_ref())?
    else {
        bail!("the image index refers to another image index");
    };
    let Some((name, text)) = build_manifest(place, manifest)? else {
        return save_titled(place, parsed.layers(), folder);
    };
    std::fs::write(folder.join(&name), &text).with_context(|| format!("writing {name}"))?;
    let build = Manifest::parse(&text).with_context(|| format!("reading {name}"))?;
    for (name, output) in &build.outputs {
        ensure!(is_plain(name), "invalid file name '{name}'");
        let digest = format!("sha256:{}", output.sha256);
        let layer = parsed.layers().iter().find(|layer| layer.digest().to_string() == digest);
        let layer = layer.with_context(|| {
            format!("layer {digest} for {name} of the build manifest not found in the manifest")
        })?;
        place.save_blob(layer, &folder.join(name))?;
    }
    Ok(())
}

/// Name and text of the build manifest that refers to a published manifest.
fn build_manifest(
    place: &mut Location<'_>,
    about: &Descriptor,
) -> Result<Option<(String, String)>> {
    for referrer in place.referrers(&document::digest_of(about)?)? {
        let bytes = place.read_manifest(&referrer)?;
        let Document::Manifest(parsed) = Document::parse(&bytes, referrer.media_type().as_ref())?
        else {
            continue;
        };
        let artifact_type = parsed.artifact_type().as_ref().map(ToString::to_string);
        let Some([layer]) = Some(parsed.layers().as_slice()) else { continue };
        if artifact_type.as_deref() != Some(BUILD_MANIFEST) {
            continue;
        }
        let name = document::title_of(layer).filter(|name| is_plain(name));
        let name = name.context("the build manifest has no name")?.to_owned();
        let text =
            String::from_utf8(place.read_blob(layer)?).context("reading the build manifest")?;
        return Ok(Some((name, text)));
    }
    Ok(None)
}

fn save_titled(place: &mut Location<'_>, layers: &[Descriptor], folder: &Path) -> Result<()> {
    for layer in layers {
        let Some(title) = document::title_of(layer) else { continue };
        ensure!(is_plain(title), "the title '{title}' of a layer is not a valid file name");
        place.save_blob(layer, &folder.join(title))?;
    }
    Ok(())
}
