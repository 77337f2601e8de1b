//! Boot files as a container image without a base, for registries and clients that do not support
//! artifacts, for `COPY --from` and image volumes.

use super::forms::INITRAMFS;
use super::forms::KERNEL;
use super::release::Build;
use anyhow::Context as _;
use anyhow::Result;
use archive::tar;
use archive::tree::Entry;
use archive::tree::Tree;
use jiff::Timestamp;
use oci::digest::Digest;
use oci::document;
use oci::document::Annotations;
use oci::document::Artifact;
use oci::layout::Store;
use serde_json::json;

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Not compressed, because its files are.
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// The directory of the files in the container.
const DIRECTORY: &str = "boot";

/// Adds layers and config to the store. Returns the manifest.
pub fn add(store: &Store, build: &Build) -> Result<Artifact> {
    let created: Timestamp = build.created().parse().context("reading the time of a build")?;
    let mtime = u64::try_from(created.as_second()).context("converting the time of a build")?;
    let mut layers = Vec::new();
    let mut digests = Vec::new();
    for (name, path) in [(KERNEL, &build.kernel), (INITRAMFS, &build.initramfs)] {
        let packing = || format!("packing {}", path.display());
        let file = Entry::file(0o644, std::fs::read(path).with_context(packing)?);
        let tree = Tree::new([(format!("{DIRECTORY}/{name}"), file)])?;
        let layer = tar::write(&tree, mtime).with_context(packing)?;
        let (digest, size) = store.add(layer.as_slice())?;
        layers.push(document::descriptor(LAYER, digest, size)?);
        digests.push(digest);
    }
    let config = config(build, &digests)?;
    store.add(config.as_slice())?;
    Ok(Artifact {
        artifact_type: None,
        config: document::describe(CONFIG, &config)?,
        layers,
        annotations: Annotations::new(),
        subject: None,
    })
}

fn config(build: &Build, layers: &[Digest]) -> Result<Vec<u8>, document::DocumentError> {
    let created = build.created();
    let digests: Vec<String> = layers.iter().map(ToString::to_string).collect();
    document::to_bytes(&json!({
        "architecture": build.arch.oci(),
        "config": {},
        "created": created,
        "history": digests.iter().map(|_| json!({ "created": created })).collect::<Vec<_>>(),
        "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": digests },
    }))
}
