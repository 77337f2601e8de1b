//! Compares a published set with a rebuild of it.

use crate::host::output;
use crate::host::report;
use crate::inspect::diff;
use crate::verify::fetch::Set;
use crate::verify::inputs::Builder;
use crate::verify::published::Published;
use crate::verify::twice;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;

/// A file that differs from the published one.
#[derive(Debug)]
pub struct Mismatch {
    pub name: String,
    /// Both digests and the first difference.
    pub description: String,
    pub ours: Vec<u8>,
    pub theirs: Vec<u8>,
}

/// The first boot file of the set that `builder` builds differently, or `None` if all are equal.
pub fn compare(
    set: &Set,
    published: &Published,
    builder: &dyn Builder,
) -> Result<Option<Mismatch>> {
    // Building takes up to an hour, so the published files are verified first.
    let mut files = Vec::new();
    for (name, sha256) in &published.outputs {
        files.push((name.as_str(), set.verified(name, sha256)?));
    }
    ensure!(
        ["initramfs-", "vmlinuz-"]
            .iter()
            .all(|kind| files.iter().any(|(name, _)| name.starts_with(kind))),
        "the outputs of the manifest lack an initramfs or a kernel"
    );
    report::step("the published files match their manifest");
    let inputs = builder.inputs(published).context("collecting the inputs of a rebuild")?;
    let note = inputs.note(published);
    if let Some(note) = &note {
        report::warn(note);
    }
    let mismatches = inputs.mismatches(published);
    if !mismatches.is_empty() {
        let mismatches: Vec<String> = mismatches.into_iter().chain(note).collect();
        bail!(
            "the outputs cannot be equal because the inputs differ:\n{}\nhint: check out the \
             commit of the published build and use its tools and sources",
            mismatches.join("\n")
        );
    }
    // Sorted by name: the initramfs, which builds in a minute, comes before the kernel.
    for (name, theirs) in files {
        let ours = if name.starts_with("initramfs-") {
            builder.initramfs()?
        } else if name.starts_with("vmlinuz-") {
            builder.kernel()?
        } else {
            continue;
        };
        let digest = output::digest_of(&ours);
        if ours == theirs {
            report::step(format_args!("{name} is the same bytes: {digest}"));
            continue;
        }
        // The published file may not be an archive at all.
        let difference = match twice::initramfs_difference(&ours, &theirs) {
            Ok(Some(difference)) => difference,
            _ => diff::content_difference(&ours, &theirs),
        };
        let description = format!(
            "{name} is {digest} when rebuilt, published was {}: {difference}{}",
            output::digest_of(&theirs),
            note.map(|note| format!(" ({note})")).unwrap_or_default()
        );
        return Ok(Some(Mismatch { name: name.to_owned(), description, ours, theirs }));
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
