//! Kernel, initramfs, root file system and command line as one image, in the current format of
//! ironcore and in the older one of onmetal-image.

use oci_spec::image::{Descriptor, ImageManifest};
use serde_json::json;

use crate::{document, document::Annotations, error::Result};

/// The media types of a bundle.
#[derive(Debug)]
pub struct Flavour {
    pub rootfs: &'static str,
    pub initramfs: &'static str,
    pub kernel: &'static str,
    config: &'static str,
}

/// Read by boot-operator and ironcore-image.
pub const IRONCORE: Flavour = Flavour {
    rootfs: "application/vnd.ironcore.image.rootfs",
    initramfs: "application/vnd.ironcore.image.initramfs",
    kernel: "application/vnd.ironcore.image.kernel",
    config: "application/vnd.ironcore.image.config.v1+json",
};
/// Read by onmetal-image, which needs all files.
pub const ONMETAL: Flavour = Flavour {
    rootfs: "application/vnd.onmetal.image.rootfs.v1alpha1.rootfs",
    initramfs: "application/vnd.onmetal.image.initramfs.v1alpha1.initramfs",
    kernel: "application/vnd.onmetal.image.vmlinuz.v1alpha1.vmlinuz",
    config: "application/vnd.onmetal.image.config.v1alpha1+json",
};

/// The name of a layer without a title: `kernel`, `initramfs` or `rootfs`.
pub fn name_of(layer: &Descriptor) -> Option<&'static str> {
    let name_in = |Flavour { rootfs, initramfs, kernel, .. }| {
        let names = [(rootfs, "rootfs"), (initramfs, "initramfs"), (kernel, "kernel")];
        names.into_iter().find(|(media_type, _)| *media_type == layer.media_type().as_ref())
    };
    [IRONCORE, ONMETAL].into_iter().find_map(name_in).map(|(_, name)| name)
}

/// The config blob and the manifest of a bundle. `layers` have the media types of `flavour`.
pub fn manifest(
    flavour: &Flavour,
    command_line: &str,
    layers: Vec<Descriptor>,
    annotations: Annotations,
) -> Result<(Vec<u8>, ImageManifest)> {
    let config = document::to_bytes(&json!({ "commandLine": command_line }))?;
    let descriptor = document::describe(flavour.config, &config)?;
    Ok((config, document::manifest(descriptor, layers, annotations)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_layers_by_their_media_type() {
        for flavour in [IRONCORE, ONMETAL] {
            for (media_type, name) in [
                (flavour.rootfs, "rootfs"),
                (flavour.initramfs, "initramfs"),
                (flavour.kernel, "kernel"),
            ] {
                let layer = document::describe(media_type, b"").unwrap();
                assert_eq!(name_of(&layer), Some(name));
            }
        }
        assert_eq!(name_of(&document::describe("a/b", b"").unwrap()), None);
    }
}
