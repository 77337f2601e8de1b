//! Compares a published set with a rebuild of it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    config, describe,
    host::{output, project, report, report::hinted},
    initramfs::{parts, toolchain},
    inspect::diff,
    kernel,
    kernel::KernelRequest,
    verify::{
        difference,
        fetch::Set,
        published::{Inputs, Published, describe_source},
    },
};

pub const INITRAMFS: &str = "initramfs-";
const KERNEL: &str = "vmlinuz-";

/// Builds the boot files of a set with `build`, which takes their names, and compares. `inputs`
/// collects the inputs of `build`. `keep` stores both files if they differ, and returns where.
pub fn compare(
    set: &Set,
    published: &Published,
    inputs: impl FnOnce() -> Result<Inputs>,
    build: impl Fn(&str) -> Result<Vec<u8>>,
    keep: impl FnOnce(&str, &[u8], &[u8]) -> Result<String>,
) -> Result<()> {
    // Building takes up to an hour, so the published files are verified first.
    let mut files = Vec::new();
    for (name, sha256) in &published.outputs {
        files.push((name.as_str(), set.verified(name, sha256)?));
    }
    files.retain(|(name, _)| name.starts_with(INITRAMFS) || name.starts_with(KERNEL));
    ensure!(
        [INITRAMFS, KERNEL].iter().all(|kind| files.iter().any(|(name, _)| name.starts_with(kind))),
        "the outputs of the manifest lack an initramfs or a kernel"
    );
    report::step("the published files match their manifest");
    let inputs = inputs().context("collecting the inputs of a rebuild")?;
    let note = note(&inputs, &published.inputs);
    if let Some(note) = &note {
        report::warn(note);
    }
    let mut mismatches = mismatches(&inputs, &published.inputs);
    if !mismatches.is_empty() {
        mismatches.extend(note);
        let fact = "the outputs cannot be equal because the inputs differ";
        return Err(hinted(
            format!("{fact}:\n{}", mismatches.join("\n")),
            "check out the commit of the published build and use its tools and sources",
        ));
    }
    // Sorted by name: the initramfs, which builds in a minute, comes before the kernel.
    for (name, theirs) in files {
        let ours = build(name)?;
        let digest = output::digest_of(&ours);
        if ours == theirs {
            report::step(format_args!("{name} is the same bytes: {digest}"));
            continue;
        }
        // The published file may not be an archive at all.
        let difference = match difference::initramfs_difference(&ours, &theirs) {
            Ok(Some(difference)) => difference,
            _ => diff::content_difference(&ours, &theirs),
        };
        bail!(
            "{name} is {digest} when rebuilt, published was {}: {difference}{}; {}",
            output::digest_of(&theirs),
            note.map(|note| format!(" ({note})")).unwrap_or_default(),
            keep(name, &ours, &theirs)?
        );
    }
    Ok(())
}

/// The differences that make equal outputs impossible or unlikely.
fn mismatches(ours: &Inputs, theirs: &Inputs) -> Vec<String> {
    let mut mismatches = Vec::new();
    for (kind, theirs, ours) in [
        ("source", &theirs.sources, &ours.sources),
        ("tool", &theirs.tools, &ours.tools),
        ("file", &theirs.files, &ours.files),
    ] {
        for (name, theirs) in theirs {
            match ours.get(name) {
                Some(ours) if ours == theirs => {}
                Some(ours) => {
                    mismatches.push(format!("{kind} '{name}' is {ours}, published was {theirs}"));
                }
                // Newer manifests name more tools. The kernel's key covers those for the kernel.
                None if kind == "tool" => {}
                None => mismatches
                    .push(format!("{kind} '{name}' of the published build is missing here")),
            }
        }
    }
    if mismatches.is_empty() && ours.kernel_key != theirs.kernel_key {
        mismatches.push(format!(
            "the kernel's key is {}, published was {}: a fragment in kernel/, binutils or the \
             build steps differ",
            ours.kernel_key, theirs.kernel_key
        ));
    }
    mismatches
}

/// Differences that may explain different outputs, but need not cause them.
fn note(ours: &Inputs, theirs: &Inputs) -> Option<String> {
    let (ours, theirs) = (ours.commit.as_ref()?, theirs.commit.as_ref()?);
    let mut notes = Vec::new();
    if ours.id != theirs.id {
        notes.push(format!("this is commit {}, published was {}", ours.id, theirs.id));
    }
    for (name, commit) in [("this checkout", ours), ("the published build's checkout", theirs)] {
        if !commit.clean {
            notes.push(format!("{name} has uncommitted changes"));
        }
    }
    Some(notes.join("; ")).filter(|note| !note.is_empty())
}

/// The inputs of a build from this checkout, and the digests of the project's `files`.
pub fn own_inputs<'a>(
    request: &KernelRequest<'_>,
    files: impl Iterator<Item = &'a String>,
) -> Result<Inputs> {
    let config = config::read_image_config(request.arch)?;
    let parts = parts::obtain(&config, request.arch, request.sources)?;
    let (kernel, key) = kernel::inputs(request)?;
    let toolchain = toolchain::select(request.arch)?;
    let linker = if toolchain.lld.is_some() { "rust-lld" } else { "cc" };
    let tools = [
        ("cc", toolchain.cc_version),
        ("kernel_cc", kernel.compiler),
        ("linker", linker.to_owned()),
        ("rust_target", toolchain.target),
        ("rustc", toolchain.rustc),
    ];
    let mut digests = BTreeMap::new();
    // A name outside of the project must not even reveal whether the file exists.
    for name in files.filter(|name| !name.contains("..") && !name.starts_with('/')) {
        let path = project::root().join(name);
        if path.is_file() {
            digests.insert(name.clone(), output::digest(&path)?);
        }
    }
    let sources = parts.sources.iter().chain([&kernel.source]);
    Ok(Inputs {
        commit: describe::commit(&project::root()),
        sources: sources
            .map(|source| describe_source(&source.name, &source.version, &source.sha256))
            .collect(),
        tools: tools.map(|(name, version)| (name.to_owned(), version)).into(),
        files: digests,
        kernel_key: key.digest,
    })
}

#[cfg(test)]
mod tests;
