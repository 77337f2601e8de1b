//! Manifests as registries send them: the one layer that holds the disk image, or the manifests of an image index. Pure.

use crate::digest::Digest;
use crate::index;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use oci_spec::image::Descriptor;
use oci_spec::image::ImageManifest;
use serde::Deserialize;
use std::str::FromStr;

#[cfg(test)]
mod tests;

/// What may be answered.
pub const ACCEPT: &str = concat!(
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, ",
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json"
);

pub const TITLE: &str = "org.opencontainers.image.title";
/// What `ocidd image` says of the unpacked disk image.
pub const RAW_SIZE: &str = "io.ocidd.raw.size";
pub const RAW_DIGEST: &str = "io.ocidd.raw.digest";
/// Where a publisher says how large the disk image is once unpacked, in the order in which they are believed: ours, fls's, nboci's.
const RAW_SIZES: [&str; 3] = [
    RAW_SIZE,
    "automotive.sdv.cloud.redhat.com/decompressed-size",
    "org.pulpproject.netboot.src.size",
];
/// The same for its digest.
const RAW_DIGESTS: [&str; 2] = [RAW_DIGEST, "org.pulpproject.netboot.src.digest"];

/// The most layers or manifests that an error lists: a container image may have a hundred, a serial console has 80 columns.
const LISTED: usize = 12;

/// The disk image as the registry knows it. All but the digest is known from a manifest only, and the annotations only where a publisher has set them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Layer {
    pub digest: Digest,
    /// A bare blob tells it only when it is opened.
    pub size_bytes: Option<u64>,
    pub media_type: Option<String>,
    /// A file name.
    pub title: Option<String>,
    /// What the publisher says of the unpacked disk image; not verified.
    pub raw_size_bytes: Option<u64>,
    pub raw_digest: Option<Digest>,
}

impl Layer {
    /// A layer of which nobody says more.
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

/// What a reference may lead to.
#[derive(Debug)]
pub enum Document {
    /// A manifest with one disk layer.
    Disk(Layer),
    /// An image index.
    Index(Vec<index::Entry>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    media_type: Option<String>,
}

/// Reads a manifest or an image index. A manifest without exactly one disk layer is an error that lists what was found. `content_type` counts
/// where the document does not say what it is.
pub fn parse(bytes: &[u8], content_type: &str) -> Result<Document> {
    let content_type = content_type.split(';').next().unwrap_or_default().trim();
    let kind: Kind = match serde_json::from_slice(bytes) {
        Ok(kind) => kind,
        Err(_) if is_web_page(bytes, content_type) => bail!(
            "the registry answered with a web page ('{content_type}'), not a manifest; hint: a proxy or a captive portal may be in between"
        ),
        Err(error) => {
            return Err(error)
                .with_context(|| format!("reading the manifest, which came as '{content_type}'"));
        }
    };
    match kind.media_type.as_deref().unwrap_or(content_type) {
        "application/vnd.oci.image.manifest.v1+json"
        | "application/vnd.docker.distribution.manifest.v2+json" => {
            parse_manifest(bytes).map(Document::Disk)
        }
        "application/vnd.oci.image.index.v1+json"
        | "application/vnd.docker.distribution.manifest.list.v2+json" => {
            index::parse(bytes).map(Document::Index)
        }
        other => bail!(
            "the registry answered with '{}', which is no OCI manifest",
            without_controls(other)
        ),
    }
}

fn is_web_page(bytes: &[u8], content_type: &str) -> bool {
    matches!(content_type, "text/html" | "application/xhtml+xml")
        || bytes.trim_ascii_start().starts_with(b"<")
}

fn parse_manifest(bytes: &[u8]) -> Result<Layer> {
    let manifest: ImageManifest = serde_json::from_slice(bytes).context("reading the manifest")?;
    let layers = manifest.layers();
    let disks = disk_layers(layers);
    match disks.as_slice() {
        [disk] => parse_layer(disk)
            .with_context(|| format!("reading what the manifest says of layer {}", disk.digest())),
        [] if is_container(&manifest) => bail!(
            "the reference names a container image, not a disk image; its layers are: {}",
            list(layers.iter().map(describe))
        ),
        [] => bail!(
            "the manifest has no disk layer; its layers are: {}; hint: push the disk image as application/octet-stream+gzip",
            list(layers.iter().map(describe))
        ),
        several => {
            let mut types: Vec<&str> =
                several.iter().map(|disk| disk.media_type().as_ref()).collect();
            types.sort_unstable();
            types.dedup();
            bail!(
                "the manifest has {} layers of media type {}, one is needed; its layers are: {}",
                several.len(),
                types.join(" or "),
                list(layers.iter().map(describe))
            )
        }
    }
}

/// Layers that may hold a disk image, of the surest kind there is. What is left over beside them is a README, a signature or the like.
fn disk_layers(layers: &[Descriptor]) -> Vec<&Descriptor> {
    let tiers: [fn(&Descriptor) -> bool; 3] = [
        |layer| {
            ["+gzip", "+zstd", "+xz"].iter().any(|suffix| {
                layer.media_type().as_ref().strip_suffix(suffix) == Some("application/octet-stream")
            })
        },
        |layer| layer.media_type().as_ref() == "application/octet-stream",
        // What oras calls a file of unknown type, and tinkerbell's oci2disk takes for a compressed disk. Only a file has a title.
        |layer| {
            layer.media_type().as_ref() == "application/vnd.oci.image.layer.v1.tar"
                && title_of(layer).is_some()
        },
    ];
    tiers
        .iter()
        .map(|fits| layers.iter().filter(|layer| fits(layer)).collect::<Vec<_>>())
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

/// Whether `docker run` would take it. Only its layers and its config's type tell: artifacts and container images share all else.
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
    let digest = layer.digest().to_string().parse().context("reading the layer's digest")?;
    Ok(Layer {
        digest,
        size_bytes: Some(layer.size()),
        media_type: Some(layer.media_type().to_string()),
        title: title_of(layer).map(str::to_owned),
        raw_size_bytes: parse_first(layer, &RAW_SIZES, "number of bytes")?,
        raw_digest: parse_first::<Digest>(layer, &RAW_DIGESTS, "SHA-256 digest")?,
    })
}

pub fn annotation<'a>(layer: &'a Descriptor, key: &str) -> Option<&'a str> {
    layer.annotations().as_ref()?.get(key).map(String::as_str)
}

pub fn title_of(layer: &Descriptor) -> Option<&str> {
    annotation(layer, TITLE).filter(|title| !title.is_empty())
}

/// The first of these annotations that is there. One that cannot be read is an error: who wrote it relies on it.
fn parse_first<T: FromStr>(layer: &Descriptor, keys: &[&str], wanted: &str) -> Result<Option<T>> {
    let found = keys.iter().find_map(|key| Some((key, annotation(layer, key)?)));
    found
        .map(|(key, text)| {
            text.parse().map_err(|_shape| {
                anyhow!("annotation {key} is '{}', no {wanted}", without_controls(text))
            })
        })
        .transpose()
}

fn describe(layer: &Descriptor) -> String {
    let title = title_of(layer).map(|title| format!(" '{title}'"));
    format!(
        "{} {} ({} bytes){}",
        layer.media_type(),
        layer.digest(),
        layer.size(),
        title.unwrap_or_default()
    )
}

/// Lists what a registry says, for an error.
pub fn list(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(LISTED);
    let mut items: Vec<String> = items.take(LISTED).collect();
    if more > 0 {
        items.push(format!("and {more} more"));
    }
    if items.is_empty() { "none".to_owned() } else { without_controls(&items.join(", ")) }
}

/// What comes from a registry shall not move the cursor of a console.
fn without_controls(text: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.into() };
    text.chars().map(escape).collect()
}
