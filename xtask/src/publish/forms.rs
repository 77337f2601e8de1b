//! The forms in which boot files are published, each as its clients specify it.

use anyhow::{Context as _, Result};
use archive::{
    tar,
    tree::{Entry, Tree},
};
use jiff::Timestamp;
use oci::{
    bundle,
    bundle::IRONCORE,
    digest::Digest,
    document,
    document::{Annotations, Descriptor, Platform},
    layout::Store,
};
use oci_spec::image::ImageManifest;
use serde_json::json;

use super::release::Build;
use crate::host::arch::Arch;

/// Pulp's "netboot OCI artifact", for Fedora and Foreman.
const NETBOOT: &str = "application/vnd.org.pulpproject.netboot.artifact.v1";
const NETBOOT_FILE: &str = "application/x-netboot-file";
const CONTAINER_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Not compressed, because its files are.
const CONTAINER_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const NETBOOT_VERSION: (&str, &str) = ("org.pulpproject.netboot.version", "1");
/// The titles that netboot clients look for.
const KERNEL: &str = "vmlinuz";
const INITRAMFS: &str = "initrd.img";

/// What all manifests of a publication have in common.
#[derive(Clone, Copy, Debug)]
pub struct ReleaseInfo<'a> {
    /// The tag.
    pub version: &'a str,
    /// URL of the source code.
    pub source: Option<&'a str>,
}

/// Digest and size of a blob in the layout.
pub type Blob = (Digest, u64);

/// The layer of a file with a name.
pub fn titled(media_type: &str, (digest, size): Blob, title: &str) -> Result<Descriptor> {
    let annotations = Annotations::from([(document::TITLE.to_owned(), title.to_owned())]);
    let descriptor = document::descriptor(media_type, digest, size)?;
    Ok(document::with_annotations(descriptor, annotations))
}

/// The boot files of one build in the layout.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    pub build: &'a Build,
    pub kernel: Blob,
    pub initramfs: Blob,
}

impl ReleaseInfo<'_> {
    fn annotations(&self, files: &Files<'_>) -> Annotations {
        let mut annotations = Annotations::from([
            (document::CREATED.to_owned(), files.build.created().to_owned()),
            (document::VERSION.to_owned(), self.version.to_owned()),
        ]);
        let revision = files.build.manifest.commit.as_ref().map(|commit| commit.id.as_str());
        for (key, value) in [(document::SOURCE, self.source), (document::REVISION, revision)] {
            annotations.extend(value.map(|value| (key.to_owned(), value.to_owned())));
        }
        annotations
    }

    /// The annotations of Pulp and Foreman for manifest, index and index entry.
    pub fn netboot_annotations(&self) -> Annotations {
        let (key, value) = NETBOOT_VERSION;
        let mut annotations = Annotations::from([(key.to_owned(), value.to_owned())]);
        annotations.extend(self.source.map(|url| (document::SOURCE.to_owned(), url.to_owned())));
        annotations
    }

    pub fn netboot(&self, files: &Files<'_>) -> Result<ImageManifest> {
        let mut annotations = self.annotations(files);
        annotations.extend(self.netboot_annotations());
        let layers = vec![
            titled(NETBOOT_FILE, files.kernel, KERNEL)?,
            titled(NETBOOT_FILE, files.initramfs, INITRAMFS)?,
        ];
        Ok(document::artifact(NETBOOT, layers, annotations)?)
    }

    /// An entry of the netboot index. Foreman requires all of these fields.
    pub fn netboot_entry(&self, manifest: &Descriptor, arch: Arch) -> Descriptor {
        let mut entry = document::with_annotations(manifest.clone(), self.netboot_annotations());
        entry.set_artifact_type(Some(NETBOOT.into()));
        let mut platform = platform(arch);
        platform.set_os_version(Some(format!("ocidd-{}", self.version)));
        entry.set_platform(Some(platform));
        entry
    }

    /// The config blob and the manifest.
    pub fn ironcore(&self, files: &Files<'_>) -> Result<(Vec<u8>, ImageManifest)> {
        // Network and consoles of servers. Image and disk depend on the machine.
        let command_line = match files.build.arch {
            Arch::X86_64 => "ip=dhcp console=ttyS0,115200 console=tty0",
            Arch::Arm64 => "ip=dhcp console=ttyAMA0,115200 console=tty0",
        };
        let layer =
            |media_type, (digest, size): Blob| document::descriptor(media_type, digest, size);
        let layers = vec![
            layer(IRONCORE.initramfs, files.initramfs)?,
            layer(IRONCORE.kernel, files.kernel)?,
        ];
        bundle::manifest(&IRONCORE, command_line, layers, self.annotations(files))
            .context("describing ironcore's files")
    }
}

fn platform(arch: Arch) -> Platform {
    let mut platform = Platform::default();
    platform.set_os("linux".into());
    platform.set_architecture(arch.oci().into());
    platform
}

pub fn entry(manifest: &Descriptor, arch: Arch) -> Descriptor {
    let mut entry = manifest.clone();
    entry.set_platform(Some(platform(arch)));
    entry
}

/// Adds layers and config of a container image to the store, and returns its manifest. It has no
/// base; it is for clients that do not support artifacts, for `COPY --from` and image volumes.
pub fn add_container(store: &Store, build: &Build) -> Result<ImageManifest> {
    let created: Timestamp = build.created().parse().context("reading the time of a build")?;
    let mtime = u64::try_from(created.as_second()).context("converting the time of a build")?;
    let (mut layers, mut digests) = (Vec::new(), Vec::new());
    for (name, path) in [(KERNEL, &build.kernel), (INITRAMFS, &build.initramfs)] {
        let packing = || format!("packing {}", path.display());
        let file = Entry::file(0o644, std::fs::read(path).with_context(packing)?);
        let tree = Tree::new([(format!("boot/{name}"), file)])?;
        let layer = tar::write(&tree, mtime).with_context(packing)?;
        let (digest, size) = store.add(layer.as_slice())?;
        layers.push(document::descriptor(CONTAINER_LAYER, digest, size)?);
        digests.push(digest.to_string());
    }
    let created = build.created();
    let config = document::to_bytes(&json!({
        "architecture": build.arch.oci(),
        "config": {},
        "created": created,
        "history": digests.iter().map(|_| json!({ "created": created })).collect::<Vec<_>>(),
        "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": digests },
    }))?;
    store.add(config.as_slice())?;
    let config = document::describe(CONTAINER_CONFIG, &config)?;
    Ok(document::manifest(config, layers, Annotations::new())?)
}
