//! Manifests and image indexes as values and as bytes. The same value always gives the same bytes. Pure.

use crate::digest::Digest;
use crate::manifest;
use crate::names;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use base64::Engine as _;
pub use oci_spec::image::Descriptor;
use oci_spec::image::ImageIndex;
use oci_spec::image::ImageManifest;
use oci_spec::image::ImageManifestBuilder;
use oci_spec::image::MediaType;
pub use oci_spec::image::Platform;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use std::collections::BTreeMap;
use std::str::FromStr as _;

/// Annotations, in order.
pub type Annotations = BTreeMap<String, String>;

/// What a reference leads to.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one of them at a time")]
pub enum Document {
    Manifest(ImageManifest),
    Index(ImageIndex),
}

impl Document {
    pub fn parse(bytes: &[u8], media_type: &str) -> Result<Self> {
        match media_type {
            names::MANIFEST | names::DOCKER_MANIFEST => {
                serde_json::from_slice(bytes).map(Self::Manifest).context("reading the manifest")
            }
            names::INDEX | names::DOCKER_INDEX => parse_index(bytes).map(Self::Index),
            other => bail!("'{other}' is neither a manifest nor an image index"),
        }
    }

    /// What this is an artifact about.
    pub fn subject(&self) -> Option<&Descriptor> {
        match self {
            Self::Manifest(manifest) => manifest.subject().as_ref(),
            Self::Index(index) => index.subject().as_ref(),
        }
    }
}

/// Takes what may stand where the image spec wants a media type (RFC 6838, 4.2).
pub fn parse_media_type(text: &str) -> Result<String> {
    let is_name = |name: &str| {
        let may = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        (1..=127).contains(&name.len())
            && name.bytes().all(may)
            && name.starts_with(|first: char| first.is_ascii_alphanumeric())
    };
    if !text.split_once('/').is_some_and(|(kind, name)| is_name(kind) && is_name(name)) {
        bail!("'{text}' is no media type; hint: write two names, as in build/log");
    }
    Ok(text.to_owned())
}

/// Whether [`Document::parse`] knows what to do with this.
pub fn is_document(media_type: &str) -> bool {
    [names::MANIFEST, names::DOCKER_MANIFEST, names::INDEX, names::DOCKER_INDEX]
        .contains(&media_type)
}

/// The media type of a manifest: its own word, or else that of who sent it.
pub fn media_type_of(bytes: &[u8], sent_as: &str) -> String {
    let own = serde_json::from_slice::<Value>(bytes)
        .ok()
        .and_then(|document| Some(document.get("mediaType")?.as_str()?.to_owned()));
    own.unwrap_or_else(|| sent_as.split(';').next().unwrap_or_default().trim().to_owned())
}

/// An image index with all that its platforms say.
pub fn parse_index(bytes: &[u8]) -> Result<ImageIndex> {
    let doing = "reading the image index";
    let mut index: Value = serde_json::from_slice(bytes).context(doing)?;
    for platform in platforms(&mut index) {
        for (ours, theirs) in PLATFORM_KEYS {
            rename(platform, theirs, ours);
        }
    }
    serde_json::from_value(index).context(doing)
}

/// What oci-spec 0.10 calls two properties of platforms, and what they are called (OCI image spec, image-index.md).
const PLATFORM_KEYS: [(&str, &str); 2] =
    [("os_version", "os.version"), ("os_features", "os.features")];

fn platforms(index: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    let entries = index.get_mut("manifests").and_then(Value::as_array_mut);
    entries.into_iter().flatten().filter_map(|entry| entry.get_mut("platform")?.as_object_mut())
}

fn rename(object: &mut Map<String, Value>, from: &str, to: &str) {
    if let Some(value) = object.remove(from) {
        object.insert(to.to_owned(), value);
    }
}

/// JSON without spaces, each object in the order of its keys: annotations have no order of their own.
pub fn to_bytes(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut value = serde_json::to_value(value).context("writing JSON")?;
    for platform in platforms(&mut value) {
        for (ours, theirs) in PLATFORM_KEYS {
            rename(platform, ours, theirs);
        }
    }
    serde_json::to_vec(&Sorted(&value)).context("writing JSON")
}

struct Sorted<'a>(&'a Value);

impl Serialize for Sorted<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(map) => {
                let sorted: BTreeMap<_, _> = map.iter().collect();
                to.collect_map(sorted.into_iter().map(|(key, value)| (key, Sorted(value))))
            }
            Value::Array(values) => to.collect_seq(values.iter().map(Sorted)),
            other => other.serialize(to),
        }
    }
}

pub fn descriptor(media_type: &str, digest: Digest, size_bytes: u64) -> Result<Descriptor> {
    let digest =
        oci_spec::image::Digest::from_str(&digest.to_string()).context("writing down a digest")?;
    Ok(Descriptor::new(MediaType::from(media_type), size_bytes, digest))
}

/// The descriptor of these bytes.
pub fn describe(media_type: &str, bytes: &[u8]) -> Result<Descriptor> {
    let size = u64::try_from(bytes.len()).context("measuring a document")?;
    descriptor(media_type, Digest::of(bytes), size)
}

pub fn with_annotations(mut descriptor: Descriptor, annotations: Annotations) -> Descriptor {
    descriptor.set_annotations(to_map(annotations));
    descriptor
}

/// What oci-spec takes. None where there are none.
fn to_map<M: FromIterator<(String, String)>>(annotations: Annotations) -> Option<M> {
    (!annotations.is_empty()).then(|| annotations.into_iter().collect())
}

/// Only SHA-256 is taken: nothing else is verified.
pub fn digest_of(descriptor: &Descriptor) -> Result<Digest> {
    descriptor.digest().to_string().parse().context("reading a descriptor's digest")
}

pub fn annotation<'a>(descriptor: &'a Descriptor, key: &str) -> Option<&'a str> {
    manifest::annotation(descriptor, key)
}

/// The file name that a layer bears.
pub fn title_of(layer: &Descriptor) -> Option<&str> {
    manifest::title_of(layer)
}

/// The config of artifacts that need none; its content stands in the descriptor.
pub fn empty_config() -> Result<Descriptor> {
    let mut config = describe(names::EMPTY, names::EMPTY_JSON)?;
    config.set_data(Some(crate::BASE64.encode(names::EMPTY_JSON)));
    Ok(config)
}

/// A manifest before it has bytes.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// For artifacts; a bundle is known by its config.
    pub artifact_type: Option<String>,
    pub config: Descriptor,
    pub layers: Vec<Descriptor>,
    pub annotations: Annotations,
    pub subject: Option<Descriptor>,
}

impl Artifact {
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut manifest = ImageManifestBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageManifest)
            .config(self.config.clone())
            .layers(self.layers.clone())
            .build()
            .context("making a manifest")?;
        manifest.set_artifact_type(self.artifact_type.as_deref().map(MediaType::from));
        manifest.set_annotations(to_map(self.annotations.clone()));
        manifest.set_subject(self.subject.clone());
        to_bytes(&manifest)
    }
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
    fn the_same_value_gives_the_same_bytes() {
        let annotations: Annotations =
            ('a'..='z').map(|key| (key.to_string(), "x".to_owned())).collect();
        let artifact = || Artifact {
            artifact_type: Some("a/b".to_owned()),
            config: empty_config().unwrap(),
            layers: vec![with_annotations(describe("c/d", b"e").unwrap(), annotations.clone())],
            annotations: annotations.clone(),
            subject: None,
        };
        let bytes = artifact().to_bytes().unwrap();
        assert_eq!(artifact().to_bytes().unwrap(), bytes);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with(r#"{"annotations":{"a":"x","b":"x","c":"x","#), "{text}");
        assert!(
            text.ends_with(
                r#""mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}"#
            ),
            "{text}"
        );
    }

    /// The crate's own names for them are read by nobody.
    #[test]
    fn a_platform_keeps_its_version_and_features() {
        let text = r#"{"manifests":[{"digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000","mediaType":"a/b","platform":{"architecture":"amd64","os":"linux","os.features":["x"],"os.version":"1"},"size":1}],"mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2}"#;
        let index = parse_index(text.as_bytes()).unwrap();
        let platform = index.manifests()[0].platform().as_ref().unwrap();
        assert_eq!(platform.os_version().as_deref(), Some("1"));
        assert_eq!(String::from_utf8(to_bytes(&index).unwrap()).unwrap(), text);
    }

    #[test]
    fn a_media_type_is_two_names() {
        for text in ["build/log", "application/vnd.oci.image.layer.v1.tar+gzip", "0/a"] {
            assert_eq!(parse_media_type(text).unwrap(), text);
        }
        let long = format!("a/{}", "b".repeat(128));
        for text in ["", "log", "a/", "/b", "a/b/c", "a b/c", "a/.b", "a/b;c=d", "ä/b", &long] {
            parse_media_type(text).unwrap_err();
        }
    }

    #[test]
    fn the_empty_config_is_that_of_the_image_spec() {
        let config = empty_config().unwrap();
        assert_eq!(
            config.digest().to_string(),
            "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
        assert_eq!((config.size(), config.data().as_deref()), (2, Some("e30=")));
    }
}
