//! Manifests as registries send them, reduced to the one layer that holds the disk image. Pure.

use crate::digest::Digest;
use crate::registry::Layer;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use oci_spec::image::Descriptor;
use oci_spec::image::ImageIndex;
use oci_spec::image::ImageManifest;
use serde::Deserialize;

/// The media type of a layer that is a gzip-compressed raw disk image.
pub(crate) const DISK_LAYER: &str = "application/octet-stream+gzip";

/// What may be answered. Indexes are asked for so that they can be told from a missing tag.
pub(crate) const ACCEPT: &str = concat!(
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, ",
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json"
);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    media_type: Option<String>,
}

/// The disk layer of a manifest, or an error that lists what was found. `content_type` counts where the document does not say what it is.
pub(crate) fn parse(bytes: &[u8], content_type: &str) -> Result<Layer> {
    let content_type = content_type.split(';').next().unwrap_or_default().trim();
    // A login page is told by its type.
    let kind: Kind = serde_json::from_slice(bytes)
        .with_context(|| format!("reading the manifest, which came as '{content_type}'"))?;
    match kind.media_type.as_deref().unwrap_or(content_type) {
        "application/vnd.oci.image.manifest.v1+json"
        | "application/vnd.docker.distribution.manifest.v2+json" => parse_manifest(bytes),
        "application/vnd.oci.image.index.v1+json"
        | "application/vnd.docker.distribution.manifest.list.v2+json" => refuse_index(bytes),
        other => bail!("the registry answered with '{other}', which is no OCI manifest"),
    }
}

fn parse_manifest(bytes: &[u8]) -> Result<Layer> {
    let manifest: ImageManifest = serde_json::from_slice(bytes).context("reading the manifest")?;
    let disks: Vec<&Descriptor> = manifest
        .layers()
        .iter()
        .filter(|layer| layer.media_type().as_ref() == DISK_LAYER)
        .collect();
    match disks.as_slice() {
        [disk] => {
            let digest: Digest =
                disk.digest().to_string().parse().context("reading the layer's digest")?;
            Ok(Layer { digest, size_bytes: Some(disk.size()) })
        }
        _ => bail!(
            "the manifest has {} layers of media type {DISK_LAYER}, one is needed; its layers are: {}",
            disks.len(),
            list(manifest.layers().iter().map(|layer| format!(
                "{} {} ({} bytes)",
                layer.media_type(),
                layer.digest(),
                layer.size()
            )))
        ),
    }
}

fn refuse_index(bytes: &[u8]) -> Result<Layer> {
    let index: ImageIndex = serde_json::from_slice(bytes).context("reading the image index")?;
    let platforms = index.manifests().iter().map(|entry| match entry.platform() {
        Some(platform) => {
            format!("{}/{} {}", platform.os(), platform.architecture(), entry.digest())
        }
        None => entry.digest().to_string(),
    });
    bail!(
        "the reference names an image index; hint: name one of its manifests by digest: {}",
        list(platforms)
    )
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
    const HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn descriptor(media_type: &str) -> String {
        format!(r#"{{"mediaType":"{media_type}","digest":"sha256:{HASH}","size":7}}"#)
    }

    fn manifest(kind: &str, layers: &[&str]) -> String {
        let layers: Vec<String> = layers.iter().map(|media_type| descriptor(media_type)).collect();
        let config = descriptor("application/vnd.oci.empty.v1+json");
        format!(r#"{{"schemaVersion":2,{kind}"config":{config},"layers":[{}]}}"#, layers.join(","))
    }

    #[test]
    fn finds_the_one_disk_layer_whatever_else_there_is() {
        let docker = r#""mediaType":"application/vnd.docker.distribution.manifest.v2+json","#;
        let wanted =
            Layer { digest: format!("sha256:{HASH}").parse().unwrap(), size_bytes: Some(7) };
        for (text, content_type) in [
            (manifest("", &[DISK_LAYER]), OCI),
            (
                manifest("", &[DISK_LAYER]),
                "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
            ),
            (manifest(docker, &[DISK_LAYER]), "text/plain"),
            (manifest("", &["text/markdown", DISK_LAYER]), OCI),
        ] {
            assert_eq!(parse(text.as_bytes(), content_type).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn lists_what_it_found_instead() {
        let index = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{{"mediaType":"{OCI}","digest":"sha256:{HASH}","size":7,"platform":{{"os":"linux","architecture":"arm64"}}}}]}}"#
        );
        let layer = format!("{DISK_LAYER} sha256:{HASH} (7 bytes)");
        let sha512 = manifest("", &[DISK_LAYER])
            .replace(&format!("sha256:{HASH}"), &format!("sha512:{HASH}{HASH}"));
        for (text, content_type, fault) in [
            (manifest("", &[]), OCI, "has 0 layers of media type application/octet-stream+gzip, one is needed; its layers are: none".to_owned()),
            (manifest("", &[DISK_LAYER, DISK_LAYER]), OCI, format!("has 2 layers of media type application/octet-stream+gzip, one is needed; its layers are: {layer}, {layer}")),
            (manifest("", &["text/x"]), OCI, format!("its layers are: text/x sha256:{HASH} (7 bytes)")),
            (index, "text/plain", format!("names an image index; hint: name one of its manifests by digest: linux/arm64 sha256:{HASH}")),
            ("{}".to_owned(), "text/html", "answered with 'text/html', which is no OCI manifest".to_owned()),
            ("{}".to_owned(), OCI, "reading the manifest".to_owned()),
            ("<html>".to_owned(), OCI, "reading the manifest".to_owned()),
            (sha512, OCI, "is not 'sha256:'".to_owned()),
        ] {
            let error = format!("{:#}", parse(text.as_bytes(), content_type).unwrap_err());
            assert!(error.contains(&fault), "{error}");
        }
    }
}
