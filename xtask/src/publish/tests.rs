//! Publishes example boot files to layouts and to a real registry.

#[path = "../../../ocidd/tests/shared/schema.rs"]
mod schema;

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;
use xshell::{Shell, cmd};

use super::*;
use crate::{
    describe::example,
    host::{arch::Arch, cmd, output},
    testbed::registry::{Registry, Serve},
    verify::fetch,
};

const INFO: ReleaseInfo<'_> =
    ReleaseInfo { version: "1.0", source: Some("https://git.example/ocidd") };

/// A directory like `out/` after `build --arch all`.
fn out() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for arch in Arch::ALL.map(Arch::oci) {
        let files = [
            (format!("vmlinuz-{arch}"), format!("kernel of {arch}")),
            (format!("initramfs-{arch}.gz"), format!("initramfs of {arch}")),
        ];
        let mut manifest = example::value();
        manifest["arch"] = json!(arch);
        manifest["kernel"]["profile"] = json!("default");
        manifest["outputs"] = json!({});
        for (name, text) in &files {
            let sha256 = output::digest_of(text.as_bytes());
            manifest["outputs"][name] = json!({ "bytes": text.len(), "sha256": sha256 });
            fs::write(folder.path().join(name), text).unwrap();
        }
        for (name, text) in [
            (format!("manifest-{arch}.json"), manifest.to_string()),
            (format!("sbom-{arch}.spdx.json"), "{}".to_owned()),
            (format!("provenance-{arch}.intoto.json"), "{}".to_owned()),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
    }
    folder
}

fn release(out: &TempDir) -> Release {
    Release::read(out.path(), Profile::Default, &Arch::ALL).unwrap()
}

/// Everything that is published, in a layout.
fn publication() -> (TempDir, Vec<Published>) {
    let (out, folder) = (out(), tempfile::tempdir().unwrap());
    let all = layout::write(&Store::open(folder.path()).unwrap(), &release(&out), &INFO).unwrap();
    (folder, all)
}

fn tagged_as(all: &[Published], tag: &str) -> Value {
    let (published, _) = tagged(all).find(|(_, found)| *found == tag).unwrap();
    serde_json::from_slice(&published.bytes).unwrap()
}

#[test]
fn the_same_files_give_the_same_digests() {
    let digests = || -> Vec<String> {
        publication().1.iter().map(|published| published.descriptor.digest().to_string()).collect()
    };
    assert_eq!(digests(), digests());
}

#[test]
fn every_document_matches_the_image_spec() {
    let (folder, _) = publication();
    schema::assert_layout(folder.path());
}

#[test]
fn every_form_has_its_tags() {
    let (_folder, all) = publication();
    let mut tags: Vec<&str> = tagged(&all).map(|(_, tag)| tag).collect();
    tags.sort_unstable();
    let wanted = [
        "1.0",
        "1.0-amd64",
        "1.0-arm64",
        "1.0-image",
        "1.0-image-amd64",
        "1.0-image-arm64",
        "1.0-ironcore",
        "1.0-ironcore-amd64",
        "1.0-ironcore-arm64",
    ];
    assert_eq!(tags, wanted);
    // Three attestations for each architecture, and the sums.
    assert_eq!(all.len() - tags.len(), 7);
}

/// Foreman's client requires these fields, and reads manifests of an index only.
#[test]
fn the_index_has_the_fields_that_foreman_requires() {
    let (_folder, all) = publication();
    let index = tagged_as(&all, "1.0");
    assert_eq!(index["annotations"]["org.pulpproject.netboot.version"], "1");
    let entries = index["manifests"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    for (entry, arch) in entries.iter().zip(["amd64", "arm64"]) {
        assert_eq!(entry["annotations"]["org.pulpproject.netboot.version"], "1");
        assert_eq!(entry["artifactType"], "application/vnd.org.pulpproject.netboot.artifact.v1");
        let platform = json!({ "architecture": arch, "os": "linux", "os.version": "ocidd-1.0" });
        assert_eq!(entry["platform"], platform);
        let manifest = tagged_as(&all, &format!("1.0-{arch}"));
        assert_eq!(manifest["annotations"]["org.pulpproject.netboot.version"], "1");
        assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.empty.v1+json");
        let layers = manifest["layers"].as_array().unwrap();
        let titles = ["vmlinuz", "initrd.img"];
        assert_eq!(layers.len(), titles.len());
        for (layer, title) in layers.iter().zip(titles) {
            assert_eq!(layer["mediaType"], "application/x-netboot-file");
            assert_eq!(layer["annotations"]["org.opencontainers.image.title"], title);
        }
    }
}

/// The boot-operator rejects other media types.
#[test]
fn ironcore_manifests_have_their_media_types() {
    let (_folder, all) = publication();
    let (theirs, netboot) = (tagged_as(&all, "1.0-ironcore-arm64"), tagged_as(&all, "1.0-arm64"));
    let types: Vec<&Value> =
        theirs["layers"].as_array().unwrap().iter().map(|layer| &layer["mediaType"]).collect();
    assert_eq!(
        types,
        ["application/vnd.ironcore.image.initramfs", "application/vnd.ironcore.image.kernel"]
    );
    assert_eq!(theirs["config"]["mediaType"], "application/vnd.ironcore.image.config.v1+json");
    assert_eq!(theirs["layers"][1]["digest"], netboot["layers"][0]["digest"]);
    assert_eq!(theirs["layers"][0]["digest"], netboot["layers"][1]["digest"]);
    let index = tagged_as(&all, "1.0-ironcore");
    assert_eq!(
        index["manifests"][1]["platform"],
        json!({ "architecture": "arm64", "os": "linux" })
    );
}

#[test]
fn rejects_files_that_differ_from_their_manifest() {
    let folder = out();
    let read = || Release::read(folder.path(), Profile::Default, &Arch::ALL);
    let assert_rejected = |fact: &str| {
        let error = report::lines(&read().unwrap_err());
        assert!(error.contains(fact), "{error}");
    };
    fs::write(folder.path().join("vmlinuz-arm64"), "another kernel").unwrap();
    assert_rejected("vmlinuz-arm64 is");
    fs::remove_file(folder.path().join("vmlinuz-arm64")).unwrap();
    assert_rejected("vmlinuz-arm64");
    fs::remove_file(folder.path().join("manifest-amd64.json")).unwrap();
    assert_rejected("cargo xtask build --arch x86_64 --profile default");
}

#[test]
fn rejects_builds_of_different_commits() {
    let folder = out();
    let check = || release::check_commits(&[release(&folder)]);
    check().unwrap();
    let path = folder.path().join("manifest-arm64.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest["commit"]["id"] = json!("another");
    fs::write(&path, manifest.to_string()).unwrap();
    let error = report::lines(&check().unwrap_err());
    let expected = ", manifest-arm64.json is from commit another\nhint: build all";
    assert!(error.contains(expected), "{error}");
    manifest["commit"] = Value::Null;
    fs::write(&path, manifest.to_string()).unwrap();
    check().unwrap_err();
}

/// Uses a client that does not know about boot files.
#[test]
fn the_container_image_unpacks_to_the_boot_files() {
    let Some(umoci) = cmd::find("umoci") else { return };
    let (folder, _) = publication();
    let scratch = tempfile::tempdir().unwrap();
    let (image, bundle) =
        (format!("{}:1.0-image-arm64", folder.path().display()), scratch.path().join("bundle"));
    let shell = Shell::new().unwrap();
    cmd!(shell, "{umoci} unpack --rootless --image {image} {bundle}").quiet().run().unwrap();
    let read = |name: &str| fs::read_to_string(bundle.join("rootfs/boot").join(name)).unwrap();
    assert_eq!([read("vmlinuz"), read("initrd.img")], ["kernel of arm64", "initramfs of arm64"]);
}

#[test]
fn a_reference_requires_a_tag_without_a_digest() {
    assert_eq!(split("localhost:5000/ocidd:1.0").unwrap(), ("localhost:5000/ocidd", "1.0"));
    let digest = format!("sha256:{}", "ab".repeat(32));
    for reference in ["ocidd:1", "r.example/ocidd", &format!("r.example/ocidd:1@{digest}")] {
        split(reference).unwrap_err();
    }
}

/// A machine without a registry server is told by `cargo xtask setup`.
#[test]
fn what_is_published_can_be_verified() {
    let has = |name: &str| cmd::find(name).is_some();
    if !(has("docker-registry") || has("registry")) {
        return;
    }
    let registry = Registry::start(Serve::Plain).unwrap();
    let (folder, all) = publication();
    let session = Session::new(
        Settings { tls: Tls::Plain, ..Settings::default() },
        Box::new(report::Console),
    );
    let reference = format!("{}/ocidd", registry.local());
    for _again in 0..2 {
        for (_, tag) in tagged(&all) {
            let mut from = Location::in_store(Store::open_existing(folder.path()).unwrap(), tag);
            let mut to =
                Location::open(&session, &format!("{reference}:{tag}"), Access::Push).unwrap();
            let (descriptor, _) = copy::copy(&mut from, &mut to, CopyScope::WithReferrers).unwrap();
            assert_eq!(descriptor, from.resolve().unwrap().descriptor);
        }
    }
    for (tag, arch) in [("1.0", Arch::X86_64), ("1.0", Arch::Arm64), ("1.0-arm64", Arch::Arm64)] {
        let set = fetch::open(&format!("oci://{reference}:{tag}"), &[arch]).unwrap();
        let published = set.published(arch, Profile::Default).unwrap();
        for (name, sha256) in &published.outputs {
            let bytes = set.verified(name, sha256).unwrap();
            assert!(String::from_utf8(bytes).unwrap().ends_with(arch.oci()), "{name}");
        }
        assert_eq!(published.outputs.len(), 2);
    }
}
