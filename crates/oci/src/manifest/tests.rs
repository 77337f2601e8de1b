//! Manifests of every kind, the layers found in them, and the errors.

use super::*;
use crate::document::TITLE;

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const DISK: &str = "application/octet-stream+gzip";
const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
const HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

fn descriptor(media_type: &str, annotations: &[(&str, &str)]) -> serde_json::Value {
    let mut value = serde_json::json!(
        { "mediaType": media_type, "digest": format!("sha256:{HASH}"), "size": 7 }
    );
    for (key, text) in annotations {
        value["annotations"][*key] = (*text).into();
    }
    value
}

fn manifest(config: &str, layers: &[serde_json::Value]) -> String {
    let config = descriptor(config, &[]);
    serde_json::json!({ "schemaVersion": 2, "config": config, "layers": layers }).to_string()
}

fn plain(layers: &[&str]) -> String {
    let layers: Vec<_> = layers.iter().map(|media_type| descriptor(media_type, &[])).collect();
    manifest(EMPTY, &layers)
}

fn titled(media_type: &str, title: &str) -> serde_json::Value {
    descriptor(media_type, &[(TITLE, title)])
}

#[track_caller]
fn layer(text: &str, content_type: &str) -> Layer {
    match parse(text.as_bytes(), content_type) {
        Ok(Content::Disk(layer)) => layer,
        other => panic!("{text}: {other:?}"),
    }
}

#[track_caller]
fn fault(text: &str, content_type: &str) -> String {
    let error = parse(text.as_bytes(), content_type).unwrap_err();
    let source = std::error::Error::source(&error);
    source.map_or(error.to_string(), |source| format!("{error}: {source}"))
}

#[test]
fn media_type_of_the_document_precedes_the_header() {
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    let says = plain(&[DISK]).replacen('{', &format!(r#"{{"mediaType":"{docker}","#), 1);
    let charset = format!("{OCI}; charset=utf-8");
    for (text, content_type) in [
        (plain(&[DISK]), OCI),
        (plain(&[DISK]), &*charset),
        (plain(&[DISK]), docker),
        (says, "text/plain"),
    ] {
        assert_eq!(layer(&text, content_type).digest.to_string(), format!("sha256:{HASH}"));
    }
    let index = r#"{"schemaVersion":2,"manifests":[]}"#;
    for content_type in [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    ] {
        let document = parse(index.as_bytes(), content_type).unwrap();
        assert!(matches!(document, Content::Index(_)), "{document:?}");
    }
}

#[test]
fn selects_the_one_layer_of_the_most_specific_kind() {
    let octets = "application/octet-stream";
    let readme = || titled("text/markdown", "README.md");
    for (layers, media_type, title) in [
        (vec![descriptor(DISK, &[])], DISK, None),
        (vec![readme(), titled(DISK, "disk.raw.gz")], DISK, Some("disk.raw.gz")),
        (vec![titled(octets, "sha256sums"), descriptor(DISK, &[])], DISK, None),
        (
            vec![descriptor("application/octet-stream+zstd", &[])],
            "application/octet-stream+zstd",
            None,
        ),
        (vec![descriptor("application/octet-stream+xz", &[])], "application/octet-stream+xz", None),
        (vec![readme(), descriptor(octets, &[])], octets, None),
        (vec![titled(TAR, "x"), descriptor(octets, &[])], octets, None),
        (vec![titled(TAR, "ubuntu.raw.gz")], TAR, Some("ubuntu.raw.gz")),
        (vec![descriptor(TAR, &[]), titled(TAR, "ubuntu.raw.gz")], TAR, Some("ubuntu.raw.gz")),
    ] {
        // Whatever the config is: oras, ironic and others each write their own.
        for config in [EMPTY, "application/vnd.unknown.config.v1+json"] {
            let text = manifest(config, &layers);
            let found = layer(&text, OCI);
            assert_eq!(found.media_type.as_deref(), Some(media_type), "{text}");
            assert_eq!((found.title.as_deref(), found.size_bytes), (title, Some(7)), "{text}");
        }
    }
}

#[test]
fn lists_the_layers_unless_exactly_one_is_the_disk() {
    let zstd = "application/octet-stream+zstd";
    let at = format!("sha256:{HASH} (7 bytes)");
    let many = plain(&["text/x"; 15]);
    for (text, says) in [
        (plain(&[]), "the manifest has no disk layer; its layers are: none".to_owned()),
        (plain(&["text/x"]), format!("has no disk layer; its layers are: text/x {at}")),
        (plain(&["application/octet-stream+lz4"]), "has no disk layer".to_owned()),
        (many, format!("text/x {at}, and 3 more")),
        (
            plain(&[DISK, DISK]),
            format!(
                "has 2 layers of media type {DISK}, expected one; its layers are: {DISK} {at}, {DISK} {at}"
            ),
        ),
        (
            manifest(EMPTY, &[titled(zstd, "b"), titled(DISK, "a"), descriptor("text/x", &[])]),
            format!(
                "has 2 layers of media type {DISK} or {zstd}, expected one; its layers are: {zstd} {at} 'b', {DISK} {at} 'a', text/x {at}"
            ),
        ),
        (
            manifest(EMPTY, &[titled(TAR, "vmlinuz"), titled(TAR, "initrd\u{1b}[2J")]),
            format!(
                "has 2 layers of media type {TAR}, expected one; its layers are: {TAR} {at} 'vmlinuz', {TAR} {at} 'initrd\\u{{1b}}[2J'"
            ),
        ),
    ] {
        let fault = fault(&text, OCI);
        assert!(fault.contains(&says), "{fault}\nlacks\n{says}");
    }
}

#[test]
fn recognizes_container_images() {
    let config = "application/vnd.oci.image.config.v1+json";
    let docker = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    let gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
    for (text, listed) in [
        (manifest(config, &[descriptor(gzip, &[])]), gzip),
        (manifest(config, &[]), "none"),
        (
            manifest("application/vnd.docker.container.image.v1+json", &[descriptor(docker, &[])]),
            docker,
        ),
        (plain(&[gzip]), gzip),
        (plain(&[TAR]), TAR),
    ] {
        let fault = fault(&text, OCI);
        let says = format!("names a container image, not a disk image; its layers are: {listed}");
        assert!(fault.contains(&says), "{fault}");
    }
}

#[test]
fn reads_raw_size_and_digest_from_annotations() {
    let other = Digest::of(b"other").to_string();
    let digest = format!("sha256:{HASH}");
    let [ours, fls, nboci] = RAW_SIZES;
    let [our_digest, nboci_digest] = RAW_DIGESTS;
    for (annotations, size, raw_digest) in [
        (vec![], None, None),
        (vec![(ours, "4096")], Some(4096), None),
        (vec![(nboci, "3"), (fls, "2"), (ours, "1")], Some(1), None),
        (vec![(nboci, "3"), (fls, "2")], Some(2), None),
        (vec![(nboci, "3"), (nboci_digest, &*digest)], Some(3), Some(&digest)),
        (vec![(nboci_digest, &*other), (our_digest, &*digest)], None, Some(&digest)),
    ] {
        let found = layer(&manifest(EMPTY, &[descriptor(DISK, &annotations)]), OCI);
        assert_eq!(found.raw_size_bytes, size, "{annotations:?}");
        assert_eq!(found.raw_digest.map(|digest| digest.to_string()).as_ref(), raw_digest);
    }
    for (key, text, says) in [
        (ours, "8G", "of layer LAYER: '8G' is not a number of bytes"),
        (fls, "-1", "of layer LAYER: '-1' is not a number of bytes"),
        (nboci, "", "of layer LAYER: '' is not a number of bytes"),
        (our_digest, "sha512:0", "of layer LAYER: 'sha512:0' is not a SHA-256 digest"),
    ] {
        let fault = fault(&manifest(EMPTY, &[descriptor(DISK, &[(key, text)])]), OCI);
        let expected = says.replace("LAYER", &format!("sha256:{HASH}"));
        assert_eq!(fault, format!("invalid annotation {key} {expected}"));
    }
}

#[test]
fn rejects_other_documents() {
    let sha512 = plain(&[DISK]).replace(&format!("sha256:{HASH}"), &format!("sha512:{HASH}{HASH}"));
    let page = "web page ('text/html'), not a manifest";
    for (text, content_type, says) in [
        ("<html>Please log in</html>", "text/html; charset=utf-8", page),
        ("Please log in", "text/html", page),
        ("\n <!DOCTYPE html>", OCI, "web page ('application/vnd.oci.image.manifest.v1+json')"),
        ("{}", "text/html", "'text/html' is neither an image manifest nor an image index"),
        ("{}", OCI, "reading the manifest: missing field"),
        ("{", OCI, "manifest.v1+json': EOF"),
        ("", "", "reading the manifest, which was sent as '': EOF"),
        (&sha512, OCI, "expected 'sha256:'"),
    ] {
        let fault = fault(text, content_type);
        assert!(fault.contains(says), "{fault}\nlacks\n{says}");
    }
}
