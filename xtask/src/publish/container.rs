//! Boot files as a container image made from scratch: for registries and clients that take no artifacts, for `COPY --from` and image volumes.

use super::arrange::INITRAMFS;
use super::arrange::KERNEL;
use super::release::Build;
use anyhow::Context as _;
use anyhow::Result;
use jiff::Timestamp;
use oci::digest::Digest;
use oci::document;
use oci::document::Annotations;
use oci::document::Artifact;
use oci::layout::Store;
use serde_json::json;
use std::fs::File;
use std::io::Read;
use tar::EntryType;
use tar::Header;

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Not compressed: what is in it is.
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// Where the files are in the container.
const FOLDER: &str = "boot";

/// Puts layers and config into the store. Returns the config blob's manifest.
pub(super) fn add(store: &Store, build: &Build) -> Result<Artifact> {
    let created: Timestamp = build.created().parse().context("reading the time of a build")?;
    let mut layers = Vec::new();
    let mut digests = Vec::new();
    for (name, path) in [(KERNEL, &build.kernel), (INITRAMFS, &build.initramfs)] {
        let doing = || format!("packing {}", path.display());
        let file = File::open(path).with_context(doing)?;
        let size = file.metadata().with_context(doing)?.len();
        let layer = layer(name, file, size, created).with_context(doing)?;
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

/// A tar of one file, the same whoever packs it.
fn layer(name: &str, from: impl Read, size: u64, created: Timestamp) -> Result<Vec<u8>> {
    let seconds = u64::try_from(created.as_second()).context("writing down a time")?;
    let mut archive = tar::Builder::new(Vec::new());
    let header = |kind: EntryType, mode: u32, size: u64| {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_mtime(seconds);
        header.set_uid(0);
        header.set_gid(0);
        header
    };
    let mut folder = header(EntryType::Directory, 0o755, 0);
    archive.append_data(&mut folder, format!("{FOLDER}/"), std::io::empty())?;
    let mut file = header(EntryType::Regular, 0o644, size);
    archive.append_data(&mut file, format!("{FOLDER}/{name}"), from)?;
    Ok(archive.into_inner()?)
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
