//! The manifest of a build; `xtask/schema/manifest.schema.json` is its schema. Fields are sorted by
//! name, like in the file.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::host::report::hinted;

/// Version of the schema. Raise it, here and there, if readers of the old one would misread it.
pub const SCHEMA: u32 = 1;
const HINT: &str = "check out the commit of the manifest";

/// Inputs and outputs of a build. Digests are SHA-256 in 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The OCI name: `amd64`, `arm64`.
    pub arch: String,
    /// `None` if the project was not in a repository.
    pub commit: Option<Commit>,
    pub inputs: Inputs,
    pub kernel: Kernel,
    /// By file name.
    pub outputs: BTreeMap<String, Output>,
    pub schema: u32,
    pub times: Times,
    pub tools: Tools,
}

/// The state of the project's repository.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// Whether there were no changed and no untracked files.
    pub clean: bool,
    pub id: String,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// Digests of the project's files that determine the build, by path.
    pub files: BTreeMap<String, String>,
    /// Digests of the workspace's programs in the image, by package.
    pub programs: BTreeMap<String, String>,
    /// The source set of the image, as for `--sources`.
    pub set: String,
    /// Sorted by name.
    pub sources: Vec<SourceEntry>,
}

/// A file that is not part of the project.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SourceEntry {
    pub name: String,
    /// A URL, or the path of a package in Debian's archive.
    pub origin: String,
    pub sha256: String,
    pub version: String,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// The digest of the final configuration.
    pub config_sha256: String,
    /// The digest of everything that determined the kernel's bytes.
    pub key: String,
    /// The arguments in `KERNEL_CONFIG`.
    pub options: Vec<String>,
    pub profile: String,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    pub bytes: u64,
    pub sha256: String,
}

/// Times in RFC 3339 and UTC, as for the variables with these names.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Times {
    pub fs_mtime: String,
    pub kernel_build_timestamp: String,
}

/// Tools and their versions.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Tools {
    /// The C compiler of the programs.
    pub cc: String,
    pub kernel_cc: String,
    pub kernel_ld: String,
    /// The C library in the programs.
    pub libc: Libc,
    /// The linker of the programs: `rust-lld` or `cc`.
    pub linker: String,
    pub rust_target: String,
    pub rustc: String,
    /// The commit of the Rust compiler and its standard library.
    pub rustc_commit: String,
}

/// The C library that is linked into the programs.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Libc {
    /// `musl` or `glibc`.
    pub name: String,
    /// The digest of `libc.a`: distributions fix it without a new version. `None` for musl, like
    /// the version: both are determined by the version of the Rust compiler.
    pub sha256: Option<String>,
    pub version: Option<String>,
}

impl Manifest {
    /// Parses a manifest of this schema version.
    pub fn parse(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text).context("parsing the manifest")?;
        // First, because an error about a field of another schema version would be misleading.
        let schema = value.get("schema").ok_or_else(|| {
            hinted(format!("missing 'schema' in the manifest, expected {SCHEMA}"), HINT)
        })?;
        if *schema != SCHEMA {
            let fact = format!("the manifest has schema {schema}, supported: {SCHEMA}");
            return Err(hinted(fact, HINT));
        }
        serde_json::from_value(value).context("reading the manifest")
    }
}
