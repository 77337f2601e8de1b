//! What we emit, held against schemas of our own: the OCI image spec's rules in `schema/`, narrowed to what we have to write.

use std::{fs, path::Path, sync::LazyLock};

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

const FILES: [&str; 6] = [
    include_str!("schema/bundle.json"),
    include_str!("schema/descriptor.json"),
    include_str!("schema/image.json"),
    include_str!("schema/index.json"),
    include_str!("schema/layout.json"),
    include_str!("schema/manifest.json"),
];

/// What a document has to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Manifest,
    Index,
    Layout,
    /// The config of a bundle, or of an artifact.
    Bundle,
    /// The config of a container image.
    Image,
}

impl Kind {
    pub(crate) fn of(media_type: &str) -> Self {
        match media_type {
            "application/vnd.oci.image.manifest.v1+json" => Self::Manifest,
            "application/vnd.oci.image.index.v1+json" => Self::Index,
            "application/vnd.oci.image.config.v1+json" => Self::Image,
            "application/vnd.oci.empty.v1+json"
            | "application/vnd.ironcore.image.config.v1+json"
            | "application/vnd.onmetal.image.config.v1alpha1+json" => Self::Bundle,
            other => panic!("'{other}' is nothing that we emit"),
        }
    }

    fn id(self) -> &'static str {
        match self {
            Self::Manifest => "urn:ocidd:oci:manifest",
            Self::Index => "urn:ocidd:oci:index",
            Self::Layout => "urn:ocidd:oci:layout",
            Self::Bundle => "urn:ocidd:oci:bundle",
            Self::Image => "urn:ocidd:oci:image",
        }
    }
}

/// Compiled once: that takes longer than everything that is judged by them.
static SCHEMAS: LazyLock<(Schemas, [SchemaIndex; 5])> = LazyLock::new(|| {
    let mut compiler = Compiler::new();
    for text in FILES {
        let schema: Value = serde_json::from_str(text).unwrap();
        let id = schema["$id"].as_str().unwrap().to_owned();
        compiler.add_resource(&id, schema).unwrap();
    }
    let mut schemas = Schemas::new();
    let kinds = [Kind::Manifest, Kind::Index, Kind::Layout, Kind::Bundle, Kind::Image];
    let compiled = kinds.map(|kind| compiler.compile(kind.id(), &mut schemas).unwrap());
    (schemas, compiled)
});

/// Why the document is not of this kind, if it is not.
pub(crate) fn judge(kind: Kind, text: &[u8]) -> Result<(), String> {
    let (schemas, compiled) = &*SCHEMAS;
    let document: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let schema = compiled[kind as usize];
    schemas.validate(&document, schema).map_err(|error| format!("{error:#}"))
}

#[track_caller]
pub(crate) fn assert_valid(kind: Kind, text: &[u8]) {
    if let Err(error) = judge(kind, text) {
        panic!("{}\n{error}", String::from_utf8_lossy(text));
    }
}

/// The layout in this folder is one: its marker, its list, and every manifest and config that the list leads to.
#[track_caller]
pub(crate) fn assert_layout(folder: &Path) {
    assert_valid(Kind::Layout, &fs::read(folder.join("oci-layout")).unwrap());
    let index = fs::read(folder.join("index.json")).unwrap();
    assert_valid(Kind::Index, &index);
    let mut left = vec![index];
    while let Some(text) = left.pop() {
        let document: Value = serde_json::from_slice(&text).unwrap();
        let blob = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().unwrap().replace(':', "/");
            let bytes = fs::read(folder.join("blobs").join(digest)).unwrap();
            assert_eq!(bytes.len() as u64, descriptor["size"].as_u64().unwrap());
            bytes
        };
        for entry in document["manifests"].as_array().into_iter().flatten() {
            let text = blob(entry);
            assert_valid(Kind::of(entry["mediaType"].as_str().unwrap()), &text);
            left.push(text);
        }
        if let Some(config) = document.get("config") {
            assert_valid(Kind::of(config["mediaType"].as_str().unwrap()), &blob(config));
        }
        document["layers"].as_array().into_iter().flatten().for_each(|layer| drop(blob(layer)));
    }
}

#[test]
fn the_schemas_refuse_what_the_image_spec_does() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let config = serde_json::json!({ "mediaType": "a/b", "digest": digest, "size": 2 });
    let good = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": [config],
    });
    let judge = |document: &Value| judge(Kind::Manifest, document.to_string().as_bytes());
    judge(&good).unwrap();
    let empty = serde_json::json!("application/vnd.oci.empty.v1+json");
    for (at, key, value) in [
        ("", "schemaVersion", serde_json::json!(1)),
        ("", "mediaType", serde_json::json!("a/b")),
        ("", "layers", serde_json::json!([])),
        ("", "subject", serde_json::json!({})),
        ("", "artifactType", serde_json::json!("log")),
        ("", "annotations", serde_json::json!({ "a": 1 })),
        ("", "urls", serde_json::json!([])),
        ("/config", "digest", serde_json::json!("sha256:aa")),
        ("/config", "size", serde_json::json!(-1)),
        ("/config", "mediaType", empty),
        ("/layers/0", "mediaType", serde_json::json!("")),
        ("/layers/0", "data", serde_json::json!("e30")),
    ] {
        let mut bad = good.clone();
        let object = bad.pointer_mut(at).unwrap().as_object_mut().unwrap();
        object.insert(key.to_owned(), value);
        judge(&bad).expect_err(key);
    }
    for key in ["schemaVersion", "config", "layers"] {
        let mut bad = good.clone();
        bad.as_object_mut().unwrap().remove(key).unwrap();
        judge(&bad).expect_err(key);
    }
}
