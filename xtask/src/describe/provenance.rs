//! The provenance of a build: an unsigned in-toto statement with a SLSA predicate.
//! <https://slsa.dev/spec/v1.0/provenance>

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    manifest::{Manifest, SourceEntry},
    purl,
};
use crate::host::output;

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// Defines the external and internal parameters. Raise the number if they change.
const BUILD_TYPE: &str = "urn:ocidd:xtask:build:1";
/// The builder: this program, on any machine.
const BUILDER: &str = "urn:ocidd:xtask";

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement<'a> {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: Vec<Resource<'a>>,
    predicate_type: &'static str,
    predicate: Predicate<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Predicate<'a> {
    build_definition: Definition<'a>,
    run_details: Run<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Definition<'a> {
    build_type: &'static str,
    external_parameters: Value,
    internal_parameters: Value,
    resolved_dependencies: Vec<Resource<'a>>,
}

#[derive(Debug, Serialize)]
struct Run<'a> {
    builder: Value,
    byproducts: Vec<Resource<'a>>,
}

/// A resource descriptor of in-toto.
#[derive(Debug, Serialize)]
struct Resource<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    digest: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Value>,
}

impl<'a> Resource<'a> {
    fn new(name: &'a str, sha256: &str) -> Self {
        Self { name, uri: None, digest: json!({ "sha256": sha256 }), annotations: None }
    }
}

/// The provenance of the outputs in `manifest`. `others` are names and contents of byproducts.
pub fn statement<'a>(manifest: &'a Manifest, others: &'a [(String, String)]) -> Statement<'a> {
    let Manifest { inputs, kernel, times, .. } = manifest;
    let outputs = manifest.outputs.iter();
    let byproducts =
        others.iter().map(|(name, text)| Resource::new(name, &output::digest_of(text.as_bytes())));
    Statement {
        kind: STATEMENT,
        subject: outputs.map(|(name, output)| Resource::new(name, &output.sha256)).collect(),
        predicate_type: PREDICATE,
        predicate: Predicate {
            build_definition: Definition {
                build_type: BUILD_TYPE,
                // Set by the user.
                external_parameters: json!({
                    "arch": manifest.arch,
                    "fsMtime": times.fs_mtime,
                    "kernelBuildTimestamp": times.kernel_build_timestamp,
                    "kernelConfig": kernel.options,
                    "profile": kernel.profile,
                    "sources": inputs.set,
                }),
                // Determined by the machine. The project's files may differ from the commit.
                internal_parameters: json!({
                    "files": inputs.files,
                    "kernelKey": kernel.key,
                    "tools": manifest.tools,
                }),
                resolved_dependencies: project(manifest)
                    .into_iter()
                    .chain(inputs.sources.iter().map(source))
                    .collect(),
            },
            run_details: Run {
                builder: json!({
                    "id": BUILDER,
                    "version": { "xtask": env!("CARGO_PKG_VERSION") },
                }),
                byproducts: byproducts.collect(),
            },
        },
    }
}

/// The project itself. Without a URI: the remote of a clone does not determine its content.
fn project(manifest: &Manifest) -> Option<Resource<'_>> {
    let commit = manifest.commit.as_ref()?;
    Some(Resource {
        name: "ocidd",
        uri: None,
        digest: json!({ "gitCommit": commit.id }),
        annotations: Some(json!({ "clean": commit.clean })),
    })
}

fn source(source: &SourceEntry) -> Resource<'_> {
    let is_url = purl::is_url(&source.origin);
    let uri = if is_url { source.origin.clone() } else { purl::of_source(source) };
    Resource { uri: Some(uri), ..Resource::new(&source.name, &source.sha256) }
}

#[cfg(test)]
mod tests;
