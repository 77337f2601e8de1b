//! Finds the layer of a manifest that contains the disk image.

use std::str::FromStr;

use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use text::Foreign;

pub use crate::document::list;
use crate::{
    digest::Digest,
    document,
    document::{
        BYTES, DISK_ARTIFACT, DOCKER_MANIFEST, EMPTY, MANIFEST, RAW_DIGEST, RAW_SIZE,
        UNKNOWN_ARTIFACT, annotation, title_of,
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

/// The artifact types of manifests that may contain a disk image: of ocidd, podman and pulp, and of
/// artifacts without a type of their own.
const DISK_ARTIFACTS: [&str; 6] = [
    DISK_ARTIFACT,
    "application/vnd.podman.machine.disk",
    "application/vnd.org.pulpproject.netboot.artifact.v1",
    UNKNOWN_ARTIFACT,
    EMPTY,
    IMAGE_CONFIG,
];
const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

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
    /// The artifact type of the manifest, if it is not that of a disk image.
    pub foreign_type: Option<Foreign>,
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
            foreign_type: None,
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

/// Reads a manifest with exactly one disk layer, or an image index; see [`document::detect`].
pub fn parse(bytes: &[u8], content_type: &str) -> Result<Content> {
    match document::detect(bytes, content_type)?.as_str() {
        MANIFEST | DOCKER_MANIFEST => {
            find_disk(&document::parse_json(bytes, "manifest")?).map(Content::Disk)
        }
        // Not `parse_index`: the installer needs no more of a platform than its variant.
        _ => Ok(Content::Index(document::parse_json(bytes, "image index")?)),
    }
}

fn find_disk(manifest: &ImageManifest) -> Result<Layer> {
    let disks = disk_layers(manifest.layers());
    let layers = || list(manifest.layers().iter().map(describe));
    match disks.as_slice() {
        [disk] => {
            let artifact_type = manifest.artifact_type().as_ref().map(AsRef::as_ref);
            let foreign = artifact_type.filter(|known| !DISK_ARTIFACTS.contains(known));
            Ok(Layer { foreign_type: foreign.map(Into::into), ..parse_layer(disk)? })
        }
        [] if is_container(manifest) => Err(Error::Container { layers: layers() }),
        [] => Err(Error::NoDisk { layers: layers() }),
        several => {
            let mut types: Vec<&str> =
                several.iter().map(|disk| disk.media_type().as_ref()).collect();
            types.sort_unstable();
            types.dedup();
            let (count, types) = (several.len(), types.join(" or ").into());
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
    let of_kind =
        |is_kind: &fn(&Descriptor) -> bool| layers.iter().filter(|it| is_kind(it)).collect();
    let known = kinds.iter().map(of_kind).find(|found: &Vec<_>| !found.is_empty());
    known.unwrap_or_else(|| {
        // The only file, if its first bytes are those of a compressed disk.
        let files = |layer: &&Descriptor| title_of(layer).is_some() && !is_root(layer);
        let files: Vec<_> = layers.iter().filter(files).collect();
        if files.len() == 1 { files } else { Vec::new() }
    })
}

/// Whether this is a part of a container's file system.
fn is_root(layer: &Descriptor) -> bool {
    let media_type = layer.media_type().as_ref();
    media_type.starts_with("application/vnd.oci.image.layer.v1.tar")
        || media_type.starts_with("application/vnd.docker.image.rootfs.diff.tar")
}

/// Whether `docker run` would accept the manifest. Artifacts and container images differ only in
/// the media types of layers and config.
fn is_container(manifest: &ImageManifest) -> bool {
    manifest.layers().iter().any(is_root)
        || matches!(
            manifest.config().media_type().as_ref(),
            IMAGE_CONFIG | "application/vnd.docker.container.image.v1+json"
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
        foreign_type: None,
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
    // FromStr of numbers accepts a sign.
    let parsed = text.parse().ok().filter(|_| !text.starts_with('+'));
    parsed.map(Some).ok_or_else(|| Error::Annotation {
        layer: layer.to_string(),
        key,
        text: text.into(),
        expected,
    })
}

fn describe(layer: &Descriptor) -> String {
    let (media_type, digest, size) = (layer.media_type(), layer.digest(), layer.size());
    let title = title_of(layer).map(|title| format!(" '{title}'")).unwrap_or_default();
    format!("{media_type} {digest} ({size} bytes){title}")
}
