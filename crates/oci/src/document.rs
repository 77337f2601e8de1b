//! Manifests and image indexes as values and as bytes, with their media types and annotations.
//! Equal values have equal bytes.

use std::collections::BTreeMap;

use base64::Engine as _;
pub use oci_spec::image::{Descriptor, Platform};
use oci_spec::{
    OciSpecError,
    image::{ImageIndex, ImageManifest, ImageManifestBuilder, MediaType},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    digest::Digest,
    error::{Error, Result},
    size::length_of,
};

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker's media types of the same documents.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// The config of artifacts without one (OCI image spec, manifest.md, "Guidance for an Empty
/// Descriptor").
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
pub const EMPTY_JSON: &[u8] = b"{}";

/// A disk image pushed by `ocidd image`.
pub const DISK_ARTIFACT: &str = "application/vnd.ocidd.disk.v1";
/// The default artifact type of oras.
pub const UNKNOWN_ARTIFACT: &str = "application/vnd.unknown.artifact.v1";
pub const BYTES: &str = "application/octet-stream";

/// OCI image spec, annotations.md.
pub const TITLE: &str = "org.opencontainers.image.title";
pub const CREATED: &str = "org.opencontainers.image.created";
pub const VERSION: &str = "org.opencontainers.image.version";
pub const SOURCE: &str = "org.opencontainers.image.source";
pub const REVISION: &str = "org.opencontainers.image.revision";
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Size and digest of the decompressed disk image.
pub const RAW_SIZE: &str = "io.ocidd.raw.size";
pub const RAW_DIGEST: &str = "io.ocidd.raw.digest";
/// The annotation by which Ironic recognizes disk images.
pub const DISK_TYPE: (&str, &str) = ("disktype", "raw");

/// Sorted annotations.
pub type Annotations = BTreeMap<String, String>;

/// Parses the document that errors call `name`.
pub(crate) fn parse_json<T: DeserializeOwned>(bytes: &[u8], name: &'static str) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|source| Error::Document { name, source })
}

/// What a reference leads to.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is only one at a time")]
pub enum Document {
    Manifest(ImageManifest),
    Index(ImageIndex),
}

impl Document {
    pub fn parse(bytes: &[u8], media_type: &str) -> Result<Self> {
        match media_type {
            MANIFEST | DOCKER_MANIFEST => parse_json(bytes, "manifest").map(Self::Manifest),
            INDEX | DOCKER_INDEX => parse_index(bytes).map(Self::Index),
            other => Err(Error::UnknownType(escape_controls(other))),
        }
    }

    /// The descriptor of the image that this artifact refers to.
    pub fn subject(&self) -> Option<&Descriptor> {
        match self {
            Self::Manifest(manifest) => manifest.subject().as_ref(),
            Self::Index(index) => index.subject().as_ref(),
        }
    }
}

/// Accepts the media types that the image spec allows (RFC 6838, 4.2).
pub fn parse_media_type(text: &str) -> Result<String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
    let is_name = |name: &str| {
        (1..=127).contains(&name.len())
            && name.bytes().all(is_allowed)
            && name.starts_with(|first: char| first.is_ascii_alphanumeric())
    };
    match text.split_once('/') {
        Some((kind, name)) if is_name(kind) && is_name(name) => Ok(text.to_owned()),
        _ => Err(Error::MediaType(text.to_owned())),
    }
}

/// Whether [`Document::parse`] supports this media type.
pub fn is_document(media_type: &str) -> bool {
    [MANIFEST, DOCKER_MANIFEST, INDEX, DOCKER_INDEX].contains(&media_type)
}

/// The media type that a document states, otherwise its `Content-Type`.
pub fn media_type_of(bytes: &[u8], content_type: &str) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Stated {
        media_type: String,
    }
    match serde_json::from_slice::<Stated>(bytes) {
        Ok(stated) => stated.media_type,
        Err(_) => essence_of(content_type).to_owned(),
    }
}

/// A `Content-Type` without its parameters.
pub(crate) fn essence_of(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Reads an image index with all properties of its platforms.
pub fn parse_index(bytes: &[u8]) -> Result<ImageIndex> {
    let name = "image index";
    let mut index = parse_json(bytes, name)?;
    for (in_crate, in_spec) in PLATFORM_KEYS {
        rename_platform_key(&mut index, in_spec, in_crate);
    }
    serde_json::from_value(index).map_err(|source| Error::Document { name, source })
}

/// Platform properties whose names in oci-spec 0.10 differ from the image spec (image-index.md).
const PLATFORM_KEYS: [(&str, &str); 2] =
    [("os_version", "os.version"), ("os_features", "os.features")];

fn rename_platform_key(index: &mut Value, from: &str, to: &str) {
    let entries = index.get_mut("manifests").and_then(Value::as_array_mut);
    let platforms = entries.into_iter().flatten().filter_map(|entry| entry.get_mut("platform"));
    for platform in platforms.filter_map(Value::as_object_mut) {
        if let Some(value) = platform.remove(from) {
            platform.insert(to.to_owned(), value);
        }
    }
}

/// JSON without spaces and with sorted keys, because annotations have no order.
pub fn to_bytes(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut value = serde_json::to_value(value).map_err(OciSpecError::from)?;
    for (in_crate, in_spec) in PLATFORM_KEYS {
        rename_platform_key(&mut value, in_crate, in_spec);
    }
    value.sort_all_objects();
    Ok(serde_json::to_vec(&value).map_err(OciSpecError::from)?)
}

pub fn descriptor(media_type: &str, digest: Digest, size_bytes: u64) -> Result<Descriptor> {
    let digest = oci_spec::image::Digest::try_from(digest.to_string())?;
    Ok(Descriptor::new(MediaType::from(media_type), size_bytes, digest))
}

/// The descriptor of these bytes.
pub fn describe(media_type: &str, bytes: &[u8]) -> Result<Descriptor> {
    descriptor(media_type, Digest::of(bytes), length_of(bytes))
}

pub fn with_annotations(mut descriptor: Descriptor, annotations: Annotations) -> Descriptor {
    descriptor.set_annotations(to_map(annotations));
    descriptor
}

/// Annotations in the type of oci-spec, `None` if empty.
fn to_map<M: FromIterator<(String, String)>>(annotations: Annotations) -> Option<M> {
    (!annotations.is_empty()).then(|| annotations.into_iter().collect())
}

/// The digest of a descriptor. Only SHA-256 is supported.
pub fn digest_of(descriptor: &Descriptor) -> Result<Digest> {
    descriptor.digest().as_ref().parse()
}

pub fn annotation<'a>(descriptor: &'a Descriptor, key: &str) -> Option<&'a str> {
    descriptor.annotations().as_ref()?.get(key).map(String::as_str)
}

/// The file name of a layer.
pub fn title_of(layer: &Descriptor) -> Option<&str> {
    annotation(layer, TITLE).filter(|title| !title.is_empty())
}

/// The most items that an error lists. Container images can have a hundred layers.
const LISTED: usize = 12;

/// Joins text from a registry for an error.
pub fn list(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(LISTED);
    let mut items: Vec<String> = items.take(LISTED).collect();
    if more > 0 {
        items.push(format!("and {more} more"));
    }
    if items.is_empty() { "none".to_owned() } else { escape_controls(&items.join(", ")) }
}

/// Escapes control characters, so that text from a registry cannot move the cursor of a console.
pub(crate) fn escape_controls(text: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.into() };
    text.chars().map(escape).collect()
}

/// The config of artifacts without one, with its content embedded in the descriptor.
pub fn empty_config() -> Result<Descriptor> {
    let mut config = describe(EMPTY, EMPTY_JSON)?;
    config.set_data(Some(crate::BASE64.encode(EMPTY_JSON)));
    Ok(config)
}

/// A manifest. Bundles and container images have no artifact type, their config identifies them.
pub fn manifest(
    config: Descriptor,
    layers: Vec<Descriptor>,
    annotations: Annotations,
) -> Result<ImageManifest> {
    let mut manifest = ImageManifestBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::ImageManifest)
        .config(config)
        .layers(layers)
        .build()?;
    manifest.set_annotations(to_map(annotations));
    Ok(manifest)
}

/// The manifest of an artifact without a config.
pub fn artifact(
    artifact_type: &str,
    layers: Vec<Descriptor>,
    annotations: Annotations,
) -> Result<ImageManifest> {
    let mut manifest = manifest(empty_config()?, layers, annotations)?;
    manifest.set_artifact_type(Some(artifact_type.into()));
    Ok(manifest)
}

/// An image index of these manifests, in this order.
pub fn index_of(manifests: Vec<Descriptor>, annotations: Annotations) -> ImageIndex {
    let mut index = ImageIndex::default();
    index.set_schema_version(2);
    index.set_media_type(Some(MediaType::ImageIndex));
    index.set_manifests(manifests);
    index.set_annotations(to_map(annotations));
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_equal_bytes() {
        let annotations: Annotations =
            ('a'..='z').map(|key| (key.to_string(), "x".to_owned())).collect();
        let bytes = || {
            let layer = with_annotations(describe("c/d", b"e").unwrap(), annotations.clone());
            to_bytes(&artifact("a/b", vec![layer], annotations.clone()).unwrap()).unwrap()
        };
        let first = bytes();
        assert_eq!(bytes(), first);
        let text = String::from_utf8(first).unwrap();
        assert!(text.starts_with(r#"{"annotations":{"a":"x","b":"x","c":"x","#), "{text}");
        assert!(
            text.ends_with(
                r#""mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}"#
            ),
            "{text}"
        );
    }

    /// oci-spec writes names that other programs do not read.
    #[test]
    fn platform_keeps_version_and_features() {
        let text = r#"{"manifests":[{"digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000","mediaType":"a/b","platform":{"architecture":"amd64","os":"linux","os.features":["x"],"os.version":"1"},"size":1}],"mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2}"#;
        let index = parse_index(text.as_bytes()).unwrap();
        let platform = index.manifests()[0].platform().as_ref().unwrap();
        assert_eq!(platform.os_version().as_deref(), Some("1"));
        assert_eq!(String::from_utf8(to_bytes(&index).unwrap()).unwrap(), text);
    }

    #[test]
    fn media_type_consists_of_two_names() {
        for text in ["build/log", "application/vnd.oci.image.layer.v1.tar+gzip", "0/a"] {
            assert_eq!(parse_media_type(text).unwrap(), text);
        }
        let long = format!("a/{}", "b".repeat(128));
        for text in ["", "log", "a/", "/b", "a/b/c", "a b/c", "a/.b", "a/b;c=d", "ä/b", &long] {
            parse_media_type(text).unwrap_err();
        }
    }

    #[test]
    fn empty_config_follows_the_image_spec() {
        let config = empty_config().unwrap();
        assert_eq!(
            config.digest().to_string(),
            "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
        assert_eq!((config.size(), config.data().as_deref()), (2, Some("e30=")));
    }
}
