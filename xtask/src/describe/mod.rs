//! Describes a build in three files next to its outputs: manifest, SBOM and provenance. The same
//! build gives the same text: without paths of the machine and time of day.

mod components;
mod crates;
#[cfg(test)]
#[path = "tests/example.rs"]
pub mod example;
mod facts;
pub mod manifest;
mod provenance;
mod purl;
mod sbom;

use anyhow::{Context as _, Result};
use crates::Crates;
use facts::HostFacts;
pub use facts::{Facts, commit, label};
pub use manifest::Manifest;
use serde::Serialize;

use crate::{
    config::Profile,
    host::{arch::Arch, output, project},
};

/// The file names of manifest, SBOM and provenance.
pub fn file_names(arch: Arch, profile: Profile) -> [String; 3] {
    let label = label(arch, profile);
    [
        format!("manifest-{label}.json"),
        format!("sbom-{label}.spdx.json"),
        format!("provenance-{label}.intoto.json"),
    ]
}

/// Writes manifest, SBOM and provenance of a build to `out/`.
pub fn write(facts: &Facts<'_>) -> Result<()> {
    let host = HostFacts::of(facts)?;
    let programs: Vec<&str> = facts.image.programs.keys().map(String::as_str).collect();
    let crates = Crates::linked_into(&programs, &facts.image.toolchain.target)?;
    for (name, text) in describe(facts, &host, &crates)? {
        output::write(&project::out().join(name), text.as_bytes())?;
    }
    Ok(())
}

/// The names and contents of manifest, SBOM and provenance.
fn describe(facts: &Facts<'_>, host: &HostFacts, crates: &Crates) -> Result<Vec<(String, String)>> {
    let [manifest_name, sbom_name, provenance_name] = file_names(facts.arch, facts.profile);
    let manifest = facts.to_manifest(host)?;
    let sbom = sbom::document(facts, &manifest, crates).context("writing the SBOM")?;
    let mut files = vec![(manifest_name, json(&manifest)?), (sbom_name, json(&sbom)?)];
    let statement = provenance::statement(&manifest, &files);
    files.push((provenance_name, json(&statement)?));
    Ok(files)
}

/// Indented JSON with a final newline.
fn json(value: &impl Serialize) -> Result<String> {
    let mut text = serde_json::to_string_pretty(value).context("writing JSON")?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests;
