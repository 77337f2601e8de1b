//! Parses the manifest of a published build.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow, ensure};
use clap::ValueEnum as _;
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    config::{
        Profile,
        env::{Settings, parse_kernel_options},
    },
    describe::{
        Manifest,
        manifest::{Commit, Output},
    },
    host::{arch::Arch, output, report::hinted},
    sources::SourceSet,
};

/// The inputs of a build that a rebuild must have in common with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Inputs {
    /// `None` without a repository.
    pub commit: Option<Commit>,
    /// `version, sha256` of each source, by its name.
    pub sources: BTreeMap<String, String>,
    /// The version or JSON description of each tool.
    pub tools: BTreeMap<String, String>,
    /// The digests of the project's files that affect the build.
    pub files: BTreeMap<String, String>,
    /// The digest of all inputs of the kernel.
    pub kernel_key: String,
}

/// The parts of a manifest that a rebuild and its comparison need.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Published {
    pub arch: Arch,
    pub profile: Profile,
    pub set: SourceSet,
    pub inputs: Inputs,
    /// The times and kernel options to build with.
    pub settings: Settings,
    /// The digests of the published files.
    pub outputs: BTreeMap<String, String>,
}

impl Published {
    pub fn parse(text: &str) -> Result<Self> {
        let manifest = Manifest::parse(text)?;
        let (arch, profile, set) = (&manifest.arch, &manifest.kernel.profile, &manifest.inputs.set);
        let sources = manifest.inputs.sources.iter();
        Ok(Self {
            arch: Arch::ALL
                .into_iter()
                .find(|known| known.oci() == arch)
                .ok_or_else(|| anyhow!("the manifest is for '{arch}'; known: amd64, arm64"))?,
            profile: Profile::from_str(profile, false)
                .map_err(|fact| anyhow!("the manifest's profile '{profile}': {fact}"))?,
            set: SourceSet::from_str(set, false)
                .map_err(|fact| anyhow!("the manifest's source set '{set}': {fact}"))?,
            settings: settings(&manifest)?,
            outputs: outputs(&manifest)?,
            inputs: Inputs {
                sources: sources
                    .map(|source| describe_source(&source.name, &source.version, &source.sha256))
                    .collect(),
                tools: tools(&manifest)?,
                commit: manifest.commit,
                files: manifest.inputs.files,
                kernel_key: manifest.kernel.key,
            },
        })
    }
}

/// Name and description of a source.
pub fn describe_source(name: &str, version: &str, sha256: &str) -> (String, String) {
    (name.to_owned(), format!("{version}, {sha256}"))
}

/// The tools by name. A value that is not a string is converted to JSON.
fn tools(manifest: &Manifest) -> Result<BTreeMap<String, String>> {
    let tools = serde_json::to_value(&manifest.tools).context("reading the manifest's tools")?;
    let describe = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let tools = tools.as_object().into_iter().flatten();
    Ok(tools.map(|(name, value)| (name.clone(), describe(value))).collect())
}

fn settings(manifest: &Manifest) -> Result<Settings> {
    let time = |name: &str, text: &str| -> Result<Timestamp> {
        text.parse().with_context(|| format!("reading '{name}' of the manifest, '{text}'"))
    };
    let fs_mtime = time("fs_mtime", &manifest.times.fs_mtime)?;
    Ok(Settings {
        fs_mtime: u32::try_from(fs_mtime.as_second())
            .with_context(|| format!("reading 'fs_mtime' of the manifest, '{fs_mtime}'"))?,
        kernel_timestamp: time("kernel_build_timestamp", &manifest.times.kernel_build_timestamp)?,
        kernel_config: checked_options(&manifest.kernel.options)?,
    })
}

/// Rejects arguments of `KERNEL_CONFIG` that could run programs: a shell script of the kernel
/// passes them to `sed`.
fn checked_options(words: &[String]) -> Result<Vec<String>> {
    let is_safe = |letter: char| letter.is_ascii_alphanumeric() || " -_.,=/+@()".contains(letter);
    if let Some(word) = words.iter().find(|word| !word.chars().all(is_safe)) {
        return Err(hinted(
            format!(
                "the manifest's kernel option '{word}' contains characters that could run programs"
            ),
            "if you trust it, build with KERNEL_CONFIG instead",
        ));
    }
    parse_kernel_options(words)
        .map_err(|error| anyhow!("reading the kernel options of the manifest: {error}"))?;
    Ok(words.to_vec())
}

fn outputs(manifest: &Manifest) -> Result<BTreeMap<String, String>> {
    let output = |(name, Output { sha256, .. }): (&String, &Output)| {
        let is_digest = output::is_sha256(&sha256.to_ascii_lowercase());
        ensure!(is_digest, "the manifest contains the invalid SHA-256 '{sha256}'");
        Ok((name.clone(), sha256.clone()))
    };
    manifest.outputs.iter().map(output).collect()
}

#[cfg(test)]
pub mod tests {
    use serde_json::json;

    use super::*;
    pub(in crate::verify) use crate::describe::example::value as manifest;

    #[test]
    fn reads_a_manifest() {
        let read = Published::parse(&manifest().to_string()).unwrap();
        assert_eq!(
            (read.arch, read.profile, read.set),
            (Arch::X86_64, Profile::Hw, SourceSet::Debian)
        );
        assert_eq!((read.settings.fs_mtime, read.settings.kernel_timestamp.as_second()), (9, 7));
        assert_eq!(read.settings.kernel_config, ["--enable", "CONFIG_NVME"]);
        assert_eq!(read.inputs.sources["busybox-static"], format!("1, {}", "ab".repeat(32)));
        assert_eq!(read.inputs.commit, Some(Commit { clean: true, id: "12".to_owned() }));
        assert_eq!(read.outputs["initramfs-amd64.gz"], "ab".repeat(32));
        assert_eq!((read.inputs.tools["rustc"].as_str(), read.inputs.tools.len()), ("rustc 1", 8));
    }

    #[test]
    fn rejects_unusable_manifests() {
        for (pointer, value, fact) in [
            ("/arch", json!("riscv64"), "is for 'riscv64'"),
            ("/kernel/profile", json!("big"), "profile 'big'"),
            ("/kernel/options", json!(["--enable", "A:w /etc/passwd"]), "could run programs"),
            ("/kernel/options", json!(["--refresh"]), "reading the kernel options"),
            ("/inputs/set", json!("mirror"), "source set 'mirror'"),
            ("/times/fs_mtime", json!("1960-01-01T00:00:00Z"), "'fs_mtime'"),
            ("/outputs", json!({ "vmlinuz": { "bytes": 1, "sha256": "abc" } }), "invalid SHA-256"),
            ("/inputs/sources", json!([{}]), "missing field"),
            ("/schema", json!(2), "schema 2"),
        ] {
            let mut manifest = manifest();
            *manifest.pointer_mut(pointer).unwrap() = value;
            let error = format!("{:#}", Published::parse(&manifest.to_string()).unwrap_err());
            assert!(error.contains(fact), "{error}");
        }
    }
}
