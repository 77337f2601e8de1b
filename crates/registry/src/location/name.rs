//! What people name a place by. Pure.

use anyhow::Result;
use anyhow::bail;
use oci::reference::ManifestReference;
use std::path::PathBuf;
use std::str::FromStr;

/// How an image layout is told from a registry, in skopeo's way.
const LAYOUT: &str = "oci:";

/// `REGISTRY/REPOSITORY:TAG`, `…@sha256:…` or `oci:FOLDER[:NAME]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Address {
    Registry(ManifestReference),
    /// The folder ends at the first colon, so that a name may be a reference.
    Layout {
        folder: PathBuf,
        name: Option<String>,
    },
}

impl FromStr for Address {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        // `oci://` is how others write a registry; what is wrong with it, the reference's own error tells.
        let layout = text.strip_prefix(LAYOUT).filter(|layout| !layout.starts_with("//"));
        let Some(layout) = layout else { return Ok(Self::Registry(text.parse()?)) };
        let (folder, name) = layout.split_once(':').unwrap_or((layout, ""));
        if folder.is_empty() {
            bail!("'{text}' names no folder; hint: write oci:FOLDER:NAME");
        }
        let name = Some(name.to_owned()).filter(|name| !name.is_empty());
        Ok(Self::Layout { folder: PathBuf::from(folder), name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_is_a_folder_and_a_name() {
        for (text, folder, name) in [
            ("oci:images", "images", None),
            ("oci:images:", "images", None),
            ("oci:/srv/images:os-1", "/srv/images", Some("os-1")),
            ("oci:images:registry.example:5000/os:1", "images", Some("registry.example:5000/os:1")),
            ("oci:images:sha256:00", "images", Some("sha256:00")),
        ] {
            let wanted =
                Address::Layout { folder: folder.into(), name: name.map(ToOwned::to_owned) };
            assert_eq!(text.parse::<Address>().unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn everything_else_is_a_registry_or_an_error() {
        for text in ["registry.example/os:1", "localhost:5000/a/b:1"] {
            let wanted = Address::Registry(text.parse().unwrap());
            assert_eq!(text.parse::<Address>().unwrap(), wanted, "{text}");
        }
        for text in ["", "oci:", "oci::name", "os", "/srv/images", "oci://registry.example/os:1"] {
            text.parse::<Address>().unwrap_err();
        }
    }
}
