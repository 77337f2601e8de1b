//! Finds the layer of a manifest that contains the disk image.

use std::str::FromStr;

use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use serde::de::IgnoredAny;

pub use crate::document::list;
use crate::{
    digest::Digest,
    document,
    document::{
        BYTES, DOCKER_INDEX, DOCKER_MANIFEST, INDEX, MANIFEST, RAW_DIGEST, RAW_SIZE, annotation,
        escape_controls, title_of,
    },
    error::{Error, Result},
};

#[cfg(test)]
mod tests;

/// The `Accept` header of requests for manifests and indexes.
pub const ACCEPT: &str = concat!(
    "application/vnd.oci.image.manifest.v1+json, ",
    "application/vnd.docker.distribution.manifest.v2+json, ",
    "application/vnd.oci.image.index.v1+json, ",
    "application/vnd.docker.distribution.manifest.list.v2+json"
);

/// Annotations with the decompressed size, in order of preference: by ocidd, fls and nboci.
const RAW_SIZES: [&str; 3] = [
    RAW_SIZE,
    "automotive.sdv.cloud.redhat.com/decompressed-size",
    "org.pulpproject.netboot.src.size",
];
/// Annotations with the decompressed digest.
const RAW_DIGESTS: [&str; 2] = [RAW_DIGEST, "org.pulpproject.netboot.src.digest"];

/// The layer that contains the disk image. Only a manifest provides more than its digest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Layer {
    pub digest: Digest,
    /// `None` for a blob without a manifest.
    pub size_bytes: Option<u64>,
    pub media_type: Option<String>,
    /// The file name.
    pub title: Option<String>,
    /// The publisher's annotations about the decompressed disk image, not verified yet.
    pub raw_size_bytes: Option<u64>,
    pub raw_digest: Option<Digest>,
}

impl Layer {
    /// A blob without a manifest.
    pub fn of_blob(digest: Digest) -> Self {
        Self {
            digest,
            size_bytes: None,
            media_type: None,
            title: None,
            raw_size_bytes: None,
            raw_digest: None,
        }
    }
}

/// A parsed manifest or image index.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is only one at a time")]
pub enum Content {
    /// The only disk layer of a manifest.
    Disk(Layer),
    Index(ImageIndex),
}

/// Reads a manifest with exactly one disk layer, or an image index. `content_type` applies if the
/// document does not state its media type.
pub fn parse(bytes: &[u8], content_type: &str) -> Result<Content> {
    let content_type = document::essence_of(content_type);
    if let Err(source) = serde_json::from_slice::<IgnoredAny>(bytes) {
        let is_web_page = is_web_page(bytes, content_type);
        let content_type = escape_controls(content_type);
        return Err(if is_web_page {
            Error::WebPage(content_type)
        } else {
            Error::NotJson { content_type, source }
        });
    }
    match document::media_type_of(bytes, content_type).as_str() {
        MANIFEST | DOCKER_MANIFEST => {
            find_disk(&document::parse_json(bytes, "manifest")?).map(Content::Disk)
        }
        // Not `parse_index`: the installer needs no more of a platform than its variant.
        INDEX | DOCKER_INDEX => Ok(Content::Index(document::parse_json(bytes, "image index")?)),
        other => Err(Error::UnknownType(escape_controls(other))),
    }
}

fn is_web_page(bytes: &[u8], content_type: &str) -> bool {
    matches!(content_type, "text/html" | "application/xhtml+xml")
        || bytes.trim_ascii_start().starts_with(b"<")
}

fn find_disk(manifest: &ImageManifest) -> Result<Layer> {
    let disks = disk_layers(manifest.layers());
    let layers = || list(manifest.layers().iter().map(describe));
    match disks.as_slice() {
        [disk] => parse_layer(disk),
        [] if is_container(manifest) => Err(Error::Container { layers: layers() }),
        [] => Err(Error::NoDisk { layers: layers() }),
        several => {
            let mut types: Vec<&str> =
                several.iter().map(|disk| disk.media_type().as_ref()).collect();
            types.sort_unstable();
            types.dedup();
            let (count, types) = (several.len(), types.join(" or "));
            Err(Error::SeveralDisks { count, types, layers: layers() })
        }
    }
}

/// The layers of the most specific kind that can contain a disk image. Others are documentation,
/// signatures and the like.
fn disk_layers(layers: &[Descriptor]) -> Vec<&Descriptor> {
    let kinds: [fn(&Descriptor) -> bool; 3] = [
        |layer| {
            let suffix = layer.media_type().as_ref().strip_prefix(BYTES);
            matches!(suffix, Some("+gzip" | "+zstd" | "+xz"))
        },
        |layer| layer.media_type().as_ref() == BYTES,
        // oras uses this media type for unknown files, and tinkerbell's oci2disk for compressed
        // disks. Only files have titles.
        |layer| {
            layer.media_type().as_ref() == "application/vnd.oci.image.layer.v1.tar"
                && title_of(layer).is_some()
        },
    ];
    kinds
        .iter()
        .map(|is_kind| layers.iter().filter(|layer| is_kind(layer)).collect::<Vec<_>>())
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

/// Whether `docker run` would accept the manifest. Artifacts and container images differ only in
/// the media types of layers and config.
fn is_container(manifest: &ImageManifest) -> bool {
    let is_root = |layer: &Descriptor| {
        let media_type = layer.media_type().as_ref();
        media_type.starts_with("application/vnd.oci.image.layer.v1.tar")
            || media_type.starts_with("application/vnd.docker.image.rootfs.diff.tar")
    };
    manifest.layers().iter().any(is_root)
        || matches!(
            manifest.config().media_type().as_ref(),
            "application/vnd.oci.image.config.v1+json"
                | "application/vnd.docker.container.image.v1+json"
        )
}

fn parse_layer(layer: &Descriptor) -> Result<Layer> {
    let digest = document::digest_of(layer)?;
    Ok(Layer {
        digest,
        size_bytes: Some(layer.size()),
        media_type: Some(layer.media_type().to_string()),
        title: title_of(layer).map(str::to_owned),
        raw_size_bytes: parse_first(layer, digest, &RAW_SIZES, "number of bytes")?,
        raw_digest: parse_first(layer, digest, &RAW_DIGESTS, "SHA-256 digest")?,
    })
}

/// Parses the first of these annotations that is present. An invalid value is an error, because
/// its publisher relies on it.
fn parse_first<T: FromStr>(
    descriptor: &Descriptor,
    layer: Digest,
    keys: &[&'static str],
    expected: &'static str,
) -> Result<Option<T>> {
    let Some((key, text)) = keys.iter().find_map(|key| Some((*key, annotation(descriptor, key)?)))
    else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_reason| Error::Annotation {
        layer: layer.to_string(),
        key,
        text: escape_controls(text),
        expected,
    })
}

fn describe(layer: &Descriptor) -> String {
    let (media_type, digest, size) = (layer.media_type(), layer.digest(), layer.size());
    let title = title_of(layer).map(|title| format!(" '{title}'")).unwrap_or_default();
    format!("{media_type} {digest} ({size} bytes){title}")
}
