//! Sets in a directory, at a loopback URL and in a real registry.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
};

use oci::document;
use serde_json::{Value, json};

use super::*;
use crate::{
    host::cmd,
    testbed::registry::{Registry, Serve},
    verify::published::tests::manifest,
};

const MANIFEST: &str = "manifest-amd64-hw.json";

fn initramfs_of(set: &Set) -> Result<Vec<u8>> {
    set.verified("initramfs-amd64.gz", &output::digest_of(b"an initramfs"))
}

/// A directory with a manifest and an initramfs.
fn set_directory() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(MANIFEST), manifest().to_string()).unwrap();
    std::fs::write(folder.path().join("initramfs-amd64.gz"), "an initramfs").unwrap();
    folder
}

#[test]
fn opens_directory_and_verifies_digests() {
    let folder = set_directory();
    let set = open(folder.path().to_str().unwrap(), &Arch::ALL).unwrap();
    assert_eq!(set.published(Arch::X86_64, Profile::Hw).unwrap().arch, Arch::X86_64);
    assert!(set.published(Arch::Arm64, Profile::Hw).is_err());
    assert_eq!(initramfs_of(&set).unwrap(), b"an initramfs");
    std::fs::write(folder.path().join("initramfs-amd64.gz"), "another one!").unwrap();
    let error = initramfs_of(&set).unwrap_err().to_string();
    assert!(error.contains("its manifest contains"), "{error}");
    for (name, fact) in
        [("vmlinuz", "has no file"), ("../x", "invalid file name"), (".x", "invalid file name")]
    {
        assert!(set.file(name).unwrap_err().to_string().contains(fact), "{name}");
    }
    assert!(
        open("/no/such/folder", &Arch::ALL)
            .unwrap_err()
            .to_string()
            .contains("directory '/no/such/folder' not found")
    );
    // A manifest under another's name.
    std::fs::rename(folder.path().join(MANIFEST), folder.path().join("manifest-arm64.json"))
        .unwrap();
    let error = set.published(Arch::Arm64, Profile::Default).unwrap_err().to_string();
    assert!(error.contains("is about x86_64, profile hw"), "{error}");
}

#[test]
fn fetches_files_from_url() {
    let folder = set_directory();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/sets/", listener.local_addr().unwrap());
    let root = folder.path().to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let asked = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let name = asked.split(' ').nth(1).unwrap().strip_prefix("/sets/").unwrap().to_owned();
            let (status, body) =
                std::fs::read(root.join(name)).map_or((404, Vec::new()), |body| (200, body));
            let head = format!(
                "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        }
    });
    let set = open(&url, &Arch::ALL).unwrap();
    assert_eq!(set.published(Arch::X86_64, Profile::Hw).unwrap().profile, Profile::Hw);
    assert_eq!(initramfs_of(&set).unwrap(), b"an initramfs");
    let error = format!("{:#}", set.file("vmlinuz-amd64").unwrap_err());
    assert!(error.contains("/sets/vmlinuz-amd64") && error.contains("404"), "{error}");
}

/// `cargo xtask setup` installs the registry server.
#[test]
fn fetches_artifact_from_registry() {
    let has = |name: &str| cmd::find(name).is_some();
    if !(has("docker-registry") || has("registry")) {
        return;
    }
    let registry = Registry::start(Serve::Plain).unwrap();
    let (manifest, initramfs) = (manifest().to_string(), b"an initramfs".as_slice());
    let blobs = [(document::BYTES, manifest.as_bytes()), (document::BYTES, initramfs)];
    // Pushes the blobs; the artifact that refers to them follows.
    let blobs = registry.push("set:blobs", &blobs).unwrap();
    let layers: Vec<Value> = [MANIFEST, "initramfs-amd64.gz"]
        .into_iter()
        .zip(&blobs)
        .map(|(title, blob)| {
            json!({
                "mediaType": blob.media_type(), "digest": blob.digest(), "size": blob.size(),
                "annotations": { "org.opencontainers.image.title": title },
            })
        })
        .collect();
    let artifact = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/vnd.ocidd.boot.v1",
        "config": document::empty_config().unwrap(),
        "layers": layers,
    });
    let url = format!("http://{}/v2/set/manifests/1", registry.local());
    ureq::put(&url)
        .header("content-type", "application/vnd.oci.image.manifest.v1+json")
        .send(artifact.to_string())
        .unwrap();
    let set = open(&format!("{OCI}{}/set:1", registry.local()), &Arch::ALL).unwrap();
    assert_eq!(set.published(Arch::X86_64, Profile::Hw).unwrap().arch, Arch::X86_64);
    assert_eq!(initramfs_of(&set).unwrap(), b"an initramfs");
    assert!(open(&format!("{OCI}{}/set:2", registry.local()), &Arch::ALL).is_err());
}
