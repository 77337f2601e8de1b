//! The manifest as a value, which `xtask/schema/manifest.schema.json` describes to others. Text in, a checked manifest out, and back. Pure.
//! The fields stand in the order of their names, which is the order in the file.

use crate::manifest::asked::Libc;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The form of the manifest. Raise it, here and in the schema, when a reader of the old form would misunderstand the new one.
pub const SCHEMA: u32 = 1;

/// What a build was made of, and what it made. Digests are SHA-256, in 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// As OCI names it: `amd64`, `arm64`.
    pub arch: String,
    /// `None` where the project was no clone of a repository.
    pub commit: Option<Commit>,
    pub inputs: Inputs,
    pub kernel: Kernel,
    /// By the names of the files.
    pub outputs: BTreeMap<String, Output>,
    pub schema: u32,
    pub times: Times,
    pub tools: Tools,
}

/// The state of the project's repository.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// Whether no file differed from the commit, and none but ignored ones was there besides.
    pub clean: bool,
    pub id: String,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// The digests of the project's files that decide what is built, by their paths.
    pub files: BTreeMap<String, String>,
    /// The digests of the workspace's programs in the image, by package.
    pub programs: BTreeMap<String, String>,
    /// The set that the image's sources are from, as `--sources` takes it.
    pub set: String,
    /// In the order of their names.
    pub sources: Vec<SourceEntry>,
}

/// A file from elsewhere.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SourceEntry {
    pub name: String,
    /// A URL; of Debian's packages the path within the archive.
    pub origin: String,
    pub sha256: String,
    pub version: String,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// The digest of the final configuration.
    pub config_sha256: String,
    /// The digest of everything that decided the kernel's bytes.
    pub key: String,
    /// `KERNEL_CONFIG`, word by word.
    pub options: Vec<String>,
    pub profile: String,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    pub bytes: u64,
    pub sha256: String,
}

/// Times in RFC 3339 and UTC, as the variables of the same names take them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Times {
    pub fs_mtime: String,
    pub kernel_build_timestamp: String,
}

/// What the tools say of their versions.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Tools {
    /// The C compiler of the programs.
    pub cc: String,
    pub kernel_cc: String,
    pub kernel_ld: String,
    /// The C library in the programs.
    pub libc: Libc,
    /// What linked the programs: `rust-lld` or `cc`.
    pub linker: String,
    pub rust_target: String,
    pub rustc: String,
    /// The commit that the Rust compiler and its standard library were built from.
    pub rustc_commit: String,
}

impl Manifest {
    /// Reads a manifest of this form.
    pub fn parse(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text).context("parsing the manifest")?;
        // Before the fields are looked at: of a newer form, a message about one of them would lead astray.
        let schema = value
            .get("schema")
            .ok_or_else(|| anyhow!("the manifest has no 'schema', and {SCHEMA} is wanted  hint: an older xtask wrote it; check out the commit that it was made from"))?;
        if *schema != SCHEMA {
            bail!(
                "the manifest has schema {schema}, and this xtask reads {SCHEMA}  hint: check out the commit that the manifest was made from"
            );
        }
        serde_json::from_value(value).context("reading the manifest")
    }
}
