//! The provenance of a build: an unsigned in-toto statement with a SLSA predicate.
//! <https://slsa.dev/spec/v1.0/provenance>

use super::manifest::Manifest;
use super::manifest::SourceEntry;
use super::manifest::Tools;
use super::purl;
use crate::host::output;
use serde::Serialize;
use std::collections::BTreeMap;

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// Defines `externalParameters` and `internalParameters`. Raise the number if they change.
const BUILD_TYPE: &str = "urn:ocidd:xtask:build:1";
/// The builder: this program, on any machine.
const BUILDER: &str = "urn:ocidd:xtask";

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement<'a> {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: Vec<Resource<'a>>,
    predicate_type: &'static str,
    predicate: Predicate<'a>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Predicate<'a> {
    build_definition: Definition<'a>,
    run_details: Run<'a>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Definition<'a> {
    build_type: &'static str,
    external_parameters: External<'a>,
    internal_parameters: Internal<'a>,
    resolved_dependencies: Vec<Resource<'a>>,
}

/// Parameters that the user sets.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct External<'a> {
    arch: &'a str,
    fs_mtime: &'a str,
    kernel_build_timestamp: &'a str,
    kernel_config: &'a [String],
    profile: &'a str,
    sources: &'a str,
}

/// Parameters that the machine determines.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Internal<'a> {
    /// Listed because the project's files may differ from the commit.
    files: &'a BTreeMap<String, String>,
    kernel_key: &'a str,
    tools: &'a Tools,
}

#[derive(Clone, Debug, Serialize)]
struct Run<'a> {
    builder: Builder<'a>,
    byproducts: Vec<Resource<'a>>,
}

#[derive(Clone, Debug, Serialize)]
struct Builder<'a> {
    id: &'static str,
    version: BTreeMap<&'static str, &'a str>,
}

/// A resource descriptor of in-toto.
#[derive(Clone, Debug, Serialize)]
struct Resource<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    digest: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, bool>,
}

impl<'a> Resource<'a> {
    fn new(name: &'a str, algorithm: &'static str, digest: &str) -> Self {
        Self {
            name,
            uri: None,
            digest: BTreeMap::from([(algorithm, digest.to_owned())]),
            annotations: BTreeMap::new(),
        }
    }
}

/// The provenance of the outputs in `manifest`. `others` are names and contents of byproducts.
pub fn statement<'a>(manifest: &'a Manifest, others: &'a [(String, String)]) -> Statement<'a> {
    let subject = manifest.outputs.iter();
    let byproducts = others
        .iter()
        .map(|(name, text)| Resource::new(name, "sha256", &output::digest_of(text.as_bytes())));
    Statement {
        kind: STATEMENT,
        subject: subject
            .map(|(name, output)| Resource::new(name, "sha256", &output.sha256))
            .collect(),
        predicate_type: PREDICATE,
        predicate: Predicate {
            build_definition: definition(manifest),
            run_details: Run {
                builder: Builder {
                    id: BUILDER,
                    version: BTreeMap::from([("xtask", env!("CARGO_PKG_VERSION"))]),
                },
                byproducts: byproducts.collect(),
            },
        },
    }
}

fn definition(manifest: &Manifest) -> Definition<'_> {
    Definition {
        build_type: BUILD_TYPE,
        external_parameters: External {
            arch: &manifest.arch,
            fs_mtime: &manifest.times.fs_mtime,
            kernel_build_timestamp: &manifest.times.kernel_build_timestamp,
            kernel_config: &manifest.kernel.options,
            profile: &manifest.kernel.profile,
            sources: &manifest.inputs.set,
        },
        internal_parameters: Internal {
            files: &manifest.inputs.files,
            kernel_key: &manifest.kernel.key,
            tools: &manifest.tools,
        },
        resolved_dependencies: project(manifest)
            .into_iter()
            .chain(manifest.inputs.sources.iter().map(source))
            .collect(),
    }
}

/// The project itself. Without a URI: the remote of a clone does not determine its content.
fn project(manifest: &Manifest) -> Option<Resource<'_>> {
    let commit = manifest.commit.as_ref()?;
    let annotations = BTreeMap::from([("clean", commit.clean)]);
    Some(Resource { annotations, ..Resource::new("ocidd", "gitCommit", &commit.id) })
}

fn source(source: &SourceEntry) -> Resource<'_> {
    let is_url = purl::is_url(&source.origin);
    let uri = if is_url { source.origin.clone() } else { purl::of_source(source) };
    Resource { uri: Some(uri), ..Resource::new(&source.name, "sha256", &source.sha256) }
}

#[cfg(test)]
mod tests;
