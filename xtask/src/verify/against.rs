//! Holds a published set against a rebuild of it. Goes in: the set, and who builds. Comes out: nothing, or why they cannot be equal, or where they differ.

use crate::output;
use crate::report;
use crate::reproduce;
use crate::verify::fetch::Set;
use crate::verify::inputs::Builder;
use crate::verify::published::Published;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;

/// A file that is not what was published.
#[derive(Debug)]
pub(super) struct Mismatch {
    pub(super) name: String,
    /// Both digests, and where the files begin to differ.
    pub(super) told: String,
    pub(super) ours: Vec<u8>,
    pub(super) theirs: Vec<u8>,
}

/// The first boot file of the set that `builder` does not give, byte for byte; `None` where it gives all of them.
pub(super) fn compare(
    set: &Set,
    published: &Published,
    builder: &dyn Builder,
) -> Result<Option<Mismatch>> {
    // A manifest that lies about its own files says nothing that is worth an hour of building.
    let mut files = Vec::new();
    for (name, sha256) in &published.outputs {
        files.push((name.as_str(), set.verified(name, sha256)?));
    }
    ensure!(
        ["initramfs-", "vmlinuz-"]
            .iter()
            .all(|kind| files.iter().any(|(name, _)| name.starts_with(kind))),
        "the manifest names no initramfs or no kernel among its outputs"
    );
    report::step("the published files are those of their manifest");
    let inputs =
        builder.inputs(published).context("finding out what a rebuild would be made of")?;
    let note = inputs.note(published);
    if let Some(note) = &note {
        report::warn(note);
    }
    let faults = inputs.faults(published);
    if !faults.is_empty() {
        let faults: Vec<String> = faults.into_iter().chain(note).collect();
        bail!(
            "the outputs cannot be equal, since the inputs are not:\n{}\nhint: check out the commit of the published build, and use the tools and sources it names",
            faults.join("\n")
        );
    }
    // In the order of names, so the initramfs comes first, which takes a minute where the kernel takes many.
    for (name, theirs) in files {
        let (ours, difference) = if name.starts_with("initramfs-") {
            let ours = builder.initramfs()?;
            let difference = reproduce::initramfs_difference(&ours, &theirs);
            (ours, difference.unwrap_or_default())
        } else if name.starts_with("vmlinuz-") {
            (builder.kernel()?, None)
        } else {
            continue;
        };
        let digest = output::digest_of(&ours);
        if ours == theirs {
            report::step(format_args!("{name} is the same bytes: {digest}"));
            continue;
        }
        let difference = difference.or_else(|| reproduce::content_difference(&ours, &theirs));
        let told = format!(
            "{name} is {digest} when rebuilt, published was {}: {}{}",
            output::digest_of(&theirs),
            difference.unwrap_or_default(),
            note.map(|note| format!(" ({note})")).unwrap_or_default()
        );
        return Ok(Some(Mismatch { name: name.to_owned(), told, ours, theirs }));
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
