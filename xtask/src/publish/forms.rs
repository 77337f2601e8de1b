//! The forms in which boot files are published, each as its clients specify it.

use super::release::Build;
use crate::host::arch::Arch;
use anyhow::Result;
use oci::bundle::Bundle;
use oci::bundle::Flavour;
use oci::document;
use oci::document::Annotations;
use oci::document::Artifact;
use oci::document::Descriptor;
use oci::document::Platform;

/// Pulp's "netboot OCI artifact", for Fedora and Foreman.
const NETBOOT: &str = "application/vnd.org.pulpproject.netboot.artifact.v1";
const NETBOOT_FILE: &str = "application/x-netboot-file";
const NETBOOT_VERSION: (&str, &str) = ("org.pulpproject.netboot.version", "1");
/// The titles that netboot clients look for.
pub const KERNEL: &str = "vmlinuz";
pub const INITRAMFS: &str = "initrd.img";

/// What all manifests of a publication have in common.
#[derive(Clone, Copy, Debug)]
pub struct ReleaseInfo<'a> {
    /// The tag.
    pub version: &'a str,
    /// URL of the source code.
    pub source: Option<&'a str>,
}

/// A blob in the layout.
#[derive(Clone, Debug)]
pub struct Blob {
    pub digest: oci::digest::Digest,
    pub size_bytes: u64,
}

impl Blob {
    fn describe(&self, media_type: &str) -> Result<Descriptor> {
        Ok(document::descriptor(media_type, self.digest, self.size_bytes)?)
    }

    fn titled(&self, media_type: &str, title: &str) -> Result<Descriptor> {
        let title = Annotations::from([(document::TITLE.to_owned(), title.to_owned())]);
        Ok(document::with_annotations(self.describe(media_type)?, title))
    }
}

/// The boot files of one build in the layout.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    pub build: &'a Build,
    pub kernel: &'a Blob,
    pub initramfs: &'a Blob,
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

    pub fn netboot(&self, files: &Files<'_>) -> Result<Artifact> {
        let mut annotations = self.annotations(files);
        annotations.extend(self.netboot_annotations());
        Ok(Artifact {
            artifact_type: Some(NETBOOT.to_owned()),
            config: document::empty_config()?,
            layers: vec![
                files.kernel.titled(NETBOOT_FILE, KERNEL)?,
                files.initramfs.titled(NETBOOT_FILE, INITRAMFS)?,
            ],
            annotations,
            subject: None,
        })
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
    pub fn ironcore(&self, files: &Files<'_>) -> Result<(Vec<u8>, Artifact)> {
        let flavour = Flavour::Ironcore;
        let bundle = Bundle {
            flavour,
            command_line: command_line(files.build.arch).to_owned(),
            layers: vec![
                files.initramfs.describe(oci::bundle::Part::Initramfs.media_type(flavour))?,
                files.kernel.describe(oci::bundle::Part::Kernel.media_type(flavour))?,
            ],
            annotations: self.annotations(files),
        };
        Ok(bundle.to_artifact()?)
    }
}

/// Network and consoles of servers. Image and disk depend on the machine.
fn command_line(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "ip=dhcp console=ttyS0,115200 console=tty0",
        Arch::Arm64 => "ip=dhcp console=ttyAMA0,115200 console=tty0",
    }
}

pub fn platform(arch: Arch) -> Platform {
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
