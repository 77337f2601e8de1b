//! The SBOM of a build: an SPDX document with the content of the outputs, their versions, origins
//! and declared licences.

use super::alpine;
use super::components;
use super::crates::Crate;
use super::crates::Crates;
use super::crates::Id;
use super::facts;
use super::facts::Facts;
use super::manifest::Manifest;
use super::manifest::SourceEntry;
use super::purl;
use super::purl::purl;
use super::spdx;
use super::spdx::CreationInfo;
use super::spdx::DOCUMENT;
use super::spdx::Document;
use super::spdx::Package;
use super::spdx::Purpose;
use super::spdx::Relation;
use super::spdx::Relationship;
use crate::config::Members;
use crate::config::Part;
use crate::config::Piece;
use crate::host::arch::Arch;
use crate::host::output;
use crate::sources::Source;
use crate::sources::SourceSet;
use anyhow::Context as _;
use anyhow::Result;
use std::collections::BTreeMap;

/// The packages and relationships found so far.
#[derive(Debug, Default)]
struct List {
    packages: Vec<Package>,
    relationships: Vec<Relationship>,
}

impl List {
    fn relate(&mut self, element: &str, relation: Relation, related: &str) {
        self.relationships.push(Relationship {
            element: element.to_owned(),
            relation,
            related: related.to_owned(),
        });
    }
}

/// The content of the kernel and the initramfs of a build.
pub fn document(facts: &Facts<'_>, manifest: &Manifest, crates: &Crates) -> Result<Document> {
    let mut list = List::default();
    let image = add_outputs(&mut list, facts, manifest);
    for source in &manifest.inputs.sources {
        list.packages.push(source_package(source));
    }
    add_programs(&mut list, &image, manifest, crates);
    add_parts(&mut list, &image, facts)?;
    list.packages.sort_by(|one, other| one.id.cmp(&other.id));
    list.relationships.sort();
    let mut document = Document {
        id: DOCUMENT,
        creation_info: CreationInfo {
            // The time of day is never part of an output.
            created: manifest.times.fs_mtime.clone(),
            creators: vec![format!("Tool: ocidd-xtask-{}", env!("CARGO_PKG_VERSION"))],
        },
        data_license: "CC0-1.0",
        namespace: String::new(),
        name: format!("ocidd-{}", facts::label(facts.arch, facts.profile)),
        packages: list.packages,
        relationships: list.relationships,
        spdx_version: "SPDX-2.3",
    };
    // Unique to the document, and not random.
    let text = serde_json::to_vec(&document).context("writing the document")?;
    document.namespace = format!("urn:ocidd:sbom:{}", output::digest_of(&text));
    Ok(document)
}

/// Adds the files in `out/`. Returns the identifier of the initramfs.
fn add_outputs(list: &mut List, facts: &Facts<'_>, manifest: &Manifest) -> String {
    let image = facts.image.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let source = &facts.kernel.source;
    for (name, output) in &manifest.outputs {
        let id = spdx::id(&[name]);
        list.relate(DOCUMENT, Relation::Describes, &id);
        let package = if name == image {
            Package::new(id, name, Purpose::Archive)
        } else {
            list.relate(&id, Relation::GeneratedFrom, &source_id(&source.name));
            Package::new(id, name, Purpose::OperatingSystem)
                .with_version(&source.version)
                .with_licence(components::KERNEL_LICENCE)
        };
        let file_name = Some(name.clone());
        list.packages.push(Package { file_name, ..package.with_sha256(&output.sha256) });
    }
    spdx::id(&[image])
}

fn source_id(name: &str) -> String {
    spdx::id(&["source", name])
}

/// An archive or package that is a source of the outputs.
fn source_package(source: &SourceEntry) -> Package {
    let package = Package::new(source_id(&source.name), &source.name, Purpose::Source)
        .with_version(&source.version)
        .with_sha256(&source.sha256)
        .with_purl(purl::of_source(source));
    if purl::is_url(&source.origin) {
        Package { download_location: source.origin.clone(), ..package }
    } else {
        // Without the host, which may be any mirror.
        let source_info = Some(format!("{} of Debian's archive", source.origin));
        Package { source_info, ..package }
    }
}

/// Adds the programs of the workspace and everything linked into them.
fn add_programs(list: &mut List, image: &str, manifest: &Manifest, crates: &Crates) {
    for (id, found) in &crates.all {
        list.packages.push(crate_package(id, found));
    }
    let libraries = libraries(manifest);
    for (name, digest) in &manifest.inputs.programs {
        let id = spdx::id(&["program", name]);
        let mut package = Package::new(id.clone(), name, Purpose::Application).with_sha256(digest);
        if let Some(program) = crates.programs.get(name) {
            package = package.with_version(&program.version).with_licence(&program.licence);
            for linked in &program.crates {
                list.relate(&id, Relation::StaticLink, &crate_id(linked));
            }
        }
        for library in &libraries {
            list.relate(&id, Relation::StaticLink, &library.id);
        }
        list.relate(image, Relation::Contains, &id);
        list.packages.push(package);
    }
    list.packages.extend(libraries);
}

fn crate_id((name, version): &Id) -> String {
    spdx::id(&["crate", name, version])
}

fn crate_package(id: &Id, found: &Crate) -> Package {
    let (name, version) = id;
    let mut package = Package::new(crate_id(id), name, Purpose::Library)
        .with_version(version)
        .with_licence(&found.licence)
        .with_purl(purl("cargo", name, version, &[]));
    if let Some(digest) = &found.sha256 {
        package = package.with_sha256(digest);
    }
    if found.is_public {
        package.download_location =
            format!("https://crates.io/api/v1/crates/{name}/{version}/download");
    }
    Package { comment: components::comment_on_crate(name).map(str::to_owned), ..package }
}

/// The libraries that compilers link into every program.
fn libraries(manifest: &Manifest) -> Vec<Package> {
    let tools = &manifest.tools;
    let library = |name: &str, licence: &str| {
        Package::new(spdx::id(&["library", name]), name, Purpose::Library).with_licence(licence)
    };
    // `rustc 1.95.0 (59807616e 2026-04-14)`
    let rustc = tools.rustc.split(' ').nth(1).unwrap_or_default();
    let mut rust = library("rust-std", components::RUST_LIBRARY_LICENCE).with_version(rustc);
    rust.comment = Some(components::RUST_LIBRARY_COMMENT.to_owned());
    if !tools.rustc_commit.is_empty() {
        let commit = &tools.rustc_commit;
        rust.download_location = format!("git+https://github.com/rust-lang/rust@{commit}#library");
        let url = format!("git+https://github.com/rust-lang/rust@{commit}");
        rust = rust.with_purl(purl("generic", "rust-std", rustc, &[("vcs_url", &url)]));
    }
    let [(libc, libc_licence), (unwinder, unwinder_licence)] = components::runtime(&tools.libc);
    let (mut libc, mut unwinder) =
        (library(libc, libc_licence), library(unwinder, unwinder_licence));
    if let Some(version) = &tools.libc.version {
        libc = libc.with_version(version);
    }
    if let Some(digest) = &tools.libc.sha256 {
        libc = Package { file_name: Some("libc.a".to_owned()), ..libc.with_sha256(digest) };
    }
    let origin = if tools.rust_target.ends_with("-musl") { &tools.rustc } else { &tools.cc };
    unwinder.source_info = Some(format!("as it comes with {origin}"));
    if tools.libc.version.is_none() {
        libc.source_info.clone_from(&unwinder.source_info);
    }
    vec![rust, libc, unwinder]
}

/// Adds the files of the image that are from sources.
fn add_parts(list: &mut List, image: &str, facts: &Facts<'_>) -> Result<()> {
    let parts = &facts.image.parts;
    let mut databases = BTreeMap::new();
    if parts.set == SourceSet::Upstream {
        for source in &parts.sources {
            databases.insert(&source.name, alpine::read_database(&source.path)?);
        }
    }
    for (part, bytes) in &parts.files {
        let piece = match parts.set {
            SourceSet::Upstream => part.upstream.as_ref(),
            SourceSet::Debian => part.debian.as_ref(),
        };
        let mut package = part_package(part, bytes);
        package.comment = components::comment_on_file(&package.name, parts.set).map(str::to_owned);
        list.relate(image, Relation::Contains, &package.id);
        let is_from = |source: &&Source| piece.is_some_and(|piece| piece.from == source.name);
        if let Some(source) = parts.sources.iter().find(is_from) {
            list.relate(&package.id, Relation::GeneratedFrom, &source_id(&source.name));
            package = match databases.get(&source.name) {
                Some(database) => with_alpine(package, piece, database, facts.arch),
                None => package.with_version(&source.version),
            };
        }
        list.packages.push(package);
    }
    Ok(())
}

fn part_package(part: &Part, bytes: &[u8]) -> Package {
    let id = spdx::id(&["file", &part.path]);
    let package = match components::at(&part.path) {
        Some(component) => {
            Package::new(id, component.name, Purpose::File).with_licence(component.licence)
        }
        None => Package::new(id, &part.path, Purpose::File),
    };
    let file_name = Some(format!("./{}", part.path));
    Package { file_name, ..package.with_sha256(&output::digest_of(bytes)) }
}

/// Adds the version in Alpine's package database.
fn with_alpine(package: Package, piece: Option<&Piece>, database: &str, arch: Arch) -> Package {
    let owner = match piece.map(|piece| &piece.members) {
        Some(Members::One(member)) => alpine::owner(database, member),
        _ => None,
    };
    let Some((name, version)) = owner else { return package };
    let purl = purl("apk/alpine", name, version, &[("arch", arch.cpu())]);
    package.with_version(version).with_purl(purl)
}

#[cfg(test)]
mod tests;
