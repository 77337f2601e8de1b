//! The SBOM of a build: an SPDX 2.3 document with the content of the outputs, their versions,
//! origins and declared licences. <https://spdx.github.io/spdx-spec/v2.3/>

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    components,
    crates::{Crate, Crates, Id},
    facts,
    facts::Facts,
    manifest::{Manifest, SourceEntry},
    purl,
    purl::purl,
};
use crate::{config::Members, host::output, initramfs::parts, sources::SourceSet};

/// The SPDX value for "unknown".
const NO_ASSERTION: &str = "NOASSERTION";
/// The document's own identifier.
const DOCUMENT: &str = "SPDXRef-DOCUMENT";

const CONTAINS: &str = "CONTAINS";
const GENERATED_FROM: &str = "GENERATED_FROM";
const STATIC_LINK: &str = "STATIC_LINK";

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    #[serde(rename = "SPDXID")]
    id: &'static str,
    creation_info: Value,
    data_license: &'static str,
    #[serde(rename = "documentNamespace")]
    namespace: String,
    name: String,
    packages: Vec<Value>,
    relationships: Vec<Relationship>,
    spdx_version: &'static str,
}

/// To be read as a sentence: element, relation, related element.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
struct Relationship {
    #[serde(rename = "spdxElementId")]
    element: String,
    #[serde(rename = "relationshipType")]
    relation: &'static str,
    #[serde(rename = "relatedSpdxElement")]
    related: String,
}

/// The content of the kernel and the initramfs of a build.
pub fn document(facts: &Facts<'_>, manifest: &Manifest, crates: &Crates) -> Result<Document> {
    let version = env!("CARGO_PKG_VERSION");
    let mut document = Document {
        id: DOCUMENT,
        creation_info: json!({
            // The time of day is never part of an output.
            "created": manifest.times.fs_mtime,
            "creators": [format!("Tool: ocidd-xtask-{version}")],
        }),
        data_license: "CC0-1.0",
        namespace: String::new(),
        name: format!("ocidd-{}", facts::label(facts.arch, facts.profile)),
        packages: manifest.inputs.sources.iter().map(source_package).collect(),
        relationships: Vec::new(),
        spdx_version: "SPDX-2.3",
    };
    let image = document.add_outputs(facts, manifest);
    document.add_programs(&image, manifest, crates);
    document.add_parts(&image, facts)?;
    let id = |package: &Value| package.get("SPDXID").map(Value::to_string);
    document.packages.sort_by_key(id);
    document.relationships.sort();
    // Unique to the document, and not random.
    let text = serde_json::to_vec(&document).context("writing the document")?;
    document.namespace = format!("urn:ocidd:sbom:{}", output::digest_of(&text));
    Ok(document)
}

impl Document {
    fn relate(&mut self, element: &str, relation: &'static str, related: &str) {
        self.relationships.push(Relationship {
            element: element.to_owned(),
            relation,
            related: related.to_owned(),
        });
    }

    /// Adds the files in `out/`. Returns the identifier of the initramfs.
    fn add_outputs(&mut self, facts: &Facts<'_>, manifest: &Manifest) -> String {
        let image = facts.image.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let source = &facts.kernel.source;
        for (name, output) in &manifest.outputs {
            let id = id(&[name]);
            self.relate(DOCUMENT, "DESCRIBES", &id);
            let is_kernel = name != image;
            if is_kernel {
                self.relate(&id, GENERATED_FROM, &source_id(&source.name));
            }
            let purpose = if is_kernel { "OPERATING-SYSTEM" } else { "ARCHIVE" };
            let fields = json!({
                "checksums": checksums(&output.sha256),
                "licenseDeclared": is_kernel.then_some(components::KERNEL_LICENCE),
                "packageFileName": name,
                "versionInfo": is_kernel.then_some(&source.version),
            });
            self.packages.push(package(&id, name, purpose, fields));
        }
        id(&[image])
    }

    /// Adds the programs of the workspace and everything linked into them.
    fn add_programs(&mut self, image: &str, manifest: &Manifest, crates: &Crates) {
        self.packages.extend(crates.all.iter().map(|(id, found)| crate_package(id, found)));
        let libraries = libraries(manifest);
        for (name, digest) in &manifest.inputs.programs {
            let id = id(&["program", name]);
            let program = crates.programs.get(name);
            for linked in program.iter().flat_map(|program| &program.crates) {
                self.relate(&id, STATIC_LINK, &crate_id(linked));
            }
            for (library, _) in &libraries {
                self.relate(&id, STATIC_LINK, library);
            }
            self.relate(image, CONTAINS, &id);
            let fields = json!({
                "checksums": checksums(digest),
                "licenseDeclared": program.and_then(|program| declared(&program.licence)),
                "versionInfo": program.map(|program| &program.version),
            });
            self.packages.push(package(&id, name, "APPLICATION", fields));
        }
        self.packages.extend(libraries.into_iter().map(|(_, library)| library));
    }

    /// Adds the files of the image that are from sources.
    fn add_parts(&mut self, image: &str, facts: &Facts<'_>) -> Result<()> {
        let found = &facts.image.parts;
        let mut databases = BTreeMap::new();
        if found.set == SourceSet::Upstream {
            for source in &found.sources {
                databases.insert(&source.name, components::read_database(&source.path)?);
            }
        }
        for (part, bytes) in &found.files {
            let id = id(&["file", &part.path]);
            self.relate(image, CONTAINS, &id);
            let piece = parts::piece(part, found.set);
            let source = piece
                .and_then(|piece| found.sources.iter().find(|source| source.name == piece.from));
            let (mut version, mut package_url) = (None, None);
            if let Some(source) = source {
                self.relate(&id, GENERATED_FROM, &source_id(&source.name));
                match (databases.get(&source.name), piece.map(|piece| &piece.members)) {
                    (None, _) => version = Some(source.version.as_str()),
                    (Some(database), Some(Members::One(member))) => {
                        if let Some((name, owned)) = components::owner(database, member) {
                            let arch = [("arch", facts.arch.cpu())];
                            package_url = Some(purl("apk/alpine", name, owned, &arch));
                            version = Some(owned);
                        }
                    }
                    (Some(_), _) => {}
                }
            }
            let (name, licence) = components::at(&part.path).unzip();
            let name = name.unwrap_or(&part.path);
            let is_debian_busybox = name == "busybox" && found.set == SourceSet::Debian;
            let fields = json!({
                "checksums": checksums(&output::digest_of(bytes)),
                "comment": is_debian_busybox.then_some(components::DEBIAN_BUSYBOX_COMMENT),
                "externalRefs": package_url.as_deref().map(references),
                "licenseDeclared": licence,
                "packageFileName": format!("./{}", part.path),
                "versionInfo": version,
            });
            self.packages.push(package(&id, name, "FILE", fields));
        }
        Ok(())
    }
}

/// A package with these fields; null fields are absent or have their default.
fn package(id: &str, name: &str, purpose: &str, fields: Value) -> Value {
    let mut package = json!({
        "SPDXID": id,
        "copyrightText": NO_ASSERTION,
        "downloadLocation": NO_ASSERTION,
        // A file list would require SHA-1, which is broken.
        "filesAnalyzed": false,
        "licenseConcluded": NO_ASSERTION,
        "licenseDeclared": NO_ASSERTION,
        "name": name,
        "primaryPackagePurpose": purpose,
    });
    if let (Value::Object(package), Value::Object(fields)) = (&mut package, fields) {
        package.extend(fields.into_iter().filter(|(_, value)| !value.is_null()));
    }
    package
}

fn checksums(sha256: &str) -> Value {
    json!([{ "algorithm": "SHA256", "checksumValue": sha256 }])
}

fn references(purl: &str) -> Value {
    json!([{
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceLocator": purl,
        "referenceType": "purl",
    }])
}

/// The licence that authors declare, if any.
fn declared(licence: &str) -> Option<&str> {
    (!licence.is_empty()).then_some(licence)
}

/// An identifier from words; other characters than letters, digits and '.' become '-'.
fn id(words: &[&str]) -> String {
    let is_invalid = |letter: char| !letter.is_ascii_alphanumeric() && letter != '.';
    format!("SPDXRef-{}", words.join("-").replace(is_invalid, "-"))
}

fn source_id(name: &str) -> String {
    id(&["source", name])
}

/// An archive or package that is a source of the outputs.
fn source_package(source: &SourceEntry) -> Value {
    let is_url = purl::is_url(&source.origin);
    let fields = json!({
        "checksums": checksums(&source.sha256),
        "downloadLocation": is_url.then_some(&source.origin),
        "externalRefs": references(&purl::of_source(source)),
        // Without the host, which may be any mirror.
        "sourceInfo": (!is_url).then(|| format!("{} of Debian's archive", source.origin)),
        "versionInfo": source.version,
    });
    package(&source_id(&source.name), &source.name, "SOURCE", fields)
}

fn crate_id((name, version): &Id) -> String {
    id(&["crate", name, version])
}

fn crate_package(id: &Id, found: &Crate) -> Value {
    let (name, version) = id;
    let url = format!("https://crates.io/api/v1/crates/{name}/{version}/download");
    let fields = json!({
        "checksums": found.sha256.as_deref().map(checksums),
        "comment": (name == "ring").then_some(components::RING_COMMENT),
        "downloadLocation": found.is_public.then_some(url),
        "externalRefs": references(&purl("cargo", name, version, &[])),
        "licenseDeclared": declared(&found.licence),
        "versionInfo": version,
    });
    package(&crate_id(id), name, "LIBRARY", fields)
}

/// The libraries that compilers link into every program, by identifier.
fn libraries(manifest: &Manifest) -> [(String, Value); 3] {
    let tools = &manifest.tools;
    let library = |name: &str, fields| {
        let id = id(&["library", name]);
        let package = package(&id, name, "LIBRARY", fields);
        (id, package)
    };
    // `rustc 1.95.0 (59807616e 2026-04-14)`
    let rustc = tools.rustc.split(' ').nth(1).unwrap_or_default();
    let repository = declared(&tools.rustc_commit)
        .map(|commit| format!("git+https://github.com/rust-lang/rust@{commit}"));
    let rust_purl = |url: &String| purl("generic", "rust-std", rustc, &[("vcs_url", url)]);
    let [(libc, libc_licence), (unwinder, unwinder_licence)] = components::runtime(&tools.libc);
    let origin = if tools.rust_target.ends_with("-musl") { &tools.rustc } else { &tools.cc };
    let origin = format!("as it comes with {origin}");
    [
        library(
            "rust-std",
            json!({
                "comment": components::RUST_LIBRARY_COMMENT,
                "downloadLocation": repository.as_ref().map(|url| format!("{url}#library")),
                "externalRefs": repository.as_ref().map(|url| references(&rust_purl(url))),
                "licenseDeclared": components::RUST_LIBRARY_LICENCE,
                "versionInfo": rustc,
            }),
        ),
        library(
            libc,
            json!({
                "checksums": tools.libc.sha256.as_deref().map(checksums),
                "licenseDeclared": libc_licence,
                "packageFileName": tools.libc.sha256.as_ref().map(|_| "libc.a"),
                "sourceInfo": tools.libc.version.is_none().then_some(&origin),
                "versionInfo": tools.libc.version,
            }),
        ),
        library(unwinder, json!({ "licenseDeclared": unwinder_licence, "sourceInfo": origin })),
    ]
}

#[cfg(test)]
mod tests;
