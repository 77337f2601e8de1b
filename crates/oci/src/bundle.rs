//! Kernel, initramfs, root file system and command line as one image, in the two forms that ironcore's programs know: today's, and onmetal-image's
//! before it.

use crate::document;
use crate::document::Annotations;
use crate::document::Artifact;
use anyhow::Result;
use oci_spec::image::Descriptor;
use serde_json::json;

/// Whose media types a bundle has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flavour {
    /// `application/vnd.ironcore.image.…`, which boot-operator and ironcore-image read.
    Ironcore,
    /// `application/vnd.onmetal.image.…v1alpha1…`, which onmetal-image reads; it wants all three files.
    Onmetal,
}

/// What a layer of a bundle is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    Rootfs,
    Initramfs,
    Kernel,
}

/// Every part in the order of layers, with its name on the command line, and the media type of each flavour.
const PARTS: [(Part, &str, &str, &str); 3] = [
    (
        Part::Rootfs,
        "rootfs",
        "application/vnd.ironcore.image.rootfs",
        "application/vnd.onmetal.image.rootfs.v1alpha1.rootfs",
    ),
    (
        Part::Initramfs,
        "initramfs",
        "application/vnd.ironcore.image.initramfs",
        "application/vnd.onmetal.image.initramfs.v1alpha1.initramfs",
    ),
    (
        Part::Kernel,
        "kernel",
        "application/vnd.ironcore.image.kernel",
        "application/vnd.onmetal.image.vmlinuz.v1alpha1.vmlinuz",
    ),
];

impl Part {
    pub fn media_type(self, flavour: Flavour) -> &'static str {
        let row = PARTS.iter().find(|(part, ..)| *part == self);
        row.map_or("", |(_, _, ironcore, onmetal)| match flavour {
            Flavour::Ironcore => ironcore,
            Flavour::Onmetal => onmetal,
        })
    }
}

/// The name by which a layer without a title is asked for: `kernel`, `initramfs`, `rootfs`.
pub fn name_of(layer: &Descriptor) -> Option<&'static str> {
    let media_type = layer.media_type().as_ref();
    let row = PARTS
        .iter()
        .find(|(.., ironcore, onmetal)| media_type == *ironcore || media_type == *onmetal);
    row.map(|(_, name, ..)| *name)
}

/// A bundle before it has a manifest.
#[derive(Clone, Debug)]
pub struct Bundle {
    pub flavour: Flavour,
    pub command_line: String,
    /// Blobs, described by [`Part::media_type`].
    pub layers: Vec<Descriptor>,
    pub annotations: Annotations,
}

impl Bundle {
    /// The config blob, and the manifest that names it.
    pub fn to_artifact(&self) -> Result<(Vec<u8>, Artifact)> {
        let media_type = match self.flavour {
            Flavour::Ironcore => "application/vnd.ironcore.image.config.v1+json",
            Flavour::Onmetal => "application/vnd.onmetal.image.config.v1alpha1+json",
        };
        let config = document::to_bytes(&json!({ "commandLine": self.command_line }))?;
        let artifact = Artifact {
            artifact_type: None,
            config: document::describe(media_type, &config)?,
            layers: self.layers.clone(),
            annotations: self.annotations.clone(),
            subject: None,
        };
        Ok((config, artifact))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_named_by_its_media_type() {
        for (part, name) in
            [(Part::Rootfs, "rootfs"), (Part::Initramfs, "initramfs"), (Part::Kernel, "kernel")]
        {
            for flavour in [Flavour::Ironcore, Flavour::Onmetal] {
                let layer = document::describe(part.media_type(flavour), b"").unwrap();
                assert_eq!(name_of(&layer), Some(name));
            }
        }
        assert_eq!(name_of(&document::describe("a/b", b"").unwrap()), None);
    }
}
