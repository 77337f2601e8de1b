//! Kernel, initramfs, root file system and command line as one image, in the current format of
//! ironcore and in the older one of onmetal-image.

use oci_spec::image::Descriptor;
use serde_json::json;

use crate::{
    document,
    document::{Annotations, Artifact},
    error::Result,
};

/// The media types of a bundle.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flavour {
    /// `application/vnd.ironcore.image.…`, read by boot-operator and ironcore-image.
    Ironcore,
    /// `application/vnd.onmetal.image.…v1alpha1…`, read by onmetal-image, which needs all files.
    Onmetal,
}

/// A layer of a bundle.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    Rootfs,
    Initramfs,
    Kernel,
}

impl Part {
    pub fn media_type(self, flavour: Flavour) -> &'static str {
        match (flavour, self) {
            (Flavour::Ironcore, Self::Rootfs) => "application/vnd.ironcore.image.rootfs",
            (Flavour::Ironcore, Self::Initramfs) => "application/vnd.ironcore.image.initramfs",
            (Flavour::Ironcore, Self::Kernel) => "application/vnd.ironcore.image.kernel",
            (Flavour::Onmetal, Self::Rootfs) => {
                "application/vnd.onmetal.image.rootfs.v1alpha1.rootfs"
            }
            (Flavour::Onmetal, Self::Initramfs) => {
                "application/vnd.onmetal.image.initramfs.v1alpha1.initramfs"
            }
            (Flavour::Onmetal, Self::Kernel) => {
                "application/vnd.onmetal.image.vmlinuz.v1alpha1.vmlinuz"
            }
        }
    }
}

/// The name of a layer without a title: `kernel`, `initramfs` or `rootfs`.
pub fn name_of(layer: &Descriptor) -> Option<&'static str> {
    let media_type = layer.media_type().as_ref();
    let is_part = |part: Part| {
        [Flavour::Ironcore, Flavour::Onmetal]
            .iter()
            .any(|flavour| part.media_type(*flavour) == media_type)
    };
    [(Part::Rootfs, "rootfs"), (Part::Initramfs, "initramfs"), (Part::Kernel, "kernel")]
        .into_iter()
        .find_map(|(part, name)| is_part(part).then_some(name))
}

/// The content of a bundle.
#[derive(Clone, Debug)]
pub struct Bundle {
    pub flavour: Flavour,
    pub command_line: String,
    /// Blobs, described by [`Part::media_type`].
    pub layers: Vec<Descriptor>,
    pub annotations: Annotations,
}

impl Bundle {
    /// The config blob and the manifest.
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
    fn names_layers_by_their_media_type() {
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
