//! Other people's programs read what we write, and we read what they write.

use std::path::Path;

use super::{
    images::{disk, gzip},
    installs::assert_installs,
    other, scene, skopeo,
};
use crate::{ours::Author, schema, schema::Kind};

/// The blob of this digest in a layout.
fn blob(layout: &str, digest: &serde_json::Value) -> String {
    format!("{layout}/blobs/{}", digest.as_str().unwrap().replace(':', "/"))
}

#[test]
fn skopeo_copies_what_we_push() {
    let (registry, author) = scene();
    author.write("disk.raw.gz", gzip(&disk()));
    let digest = author.push(&["disk.raw.gz", &registry.reference("os:1")]);
    let shown = author.json(&["inspect", "--remote", &registry.reference("os:1")]);
    let layer = &shown["manifest"]["layers"][0]["digest"];
    for (number, source) in ["os:1".to_owned(), format!("os@{digest}")].iter().enumerate() {
        let source = format!("docker://{}", registry.reference(source));
        let layout = format!("layout{number}");
        skopeo(&author, &["copy", "--src-tls-verify=false", &source, &format!("oci:{layout}:1")]);
        assert!(author.read(&blob(&layout, layer)) == gzip(&disk()));
        schema::assert_valid(Kind::Manifest, &author.read(&blob(&layout, &digest.clone().into())));
        let folder = format!("dir{number}");
        skopeo(&author, &["copy", "--src-tls-verify=false", &source, &format!("dir:{folder}")]);
        let name = layer.as_str().unwrap().trim_start_matches("sha256:");
        assert!(author.read(&format!("{folder}/{name}")) == gzip(&disk()));
        let manifest = author.read(&format!("{folder}/manifest.json"));
        assert_eq!(oci::digest::Digest::of(&manifest).to_string(), digest);
    }
}

#[test]
fn skopeo_copies_an_index_whole() {
    let (registry, author) = scene();
    author.write("disk.raw", disk());
    for platform in ["linux/arm64", "linux/amd64"] {
        author.push(&["--platform", platform, "disk.raw", &registry.reference("os:1")]);
    }
    let source = format!("docker://{}", registry.reference("os:1"));
    skopeo(&author, &["copy", "--all", "--src-tls-verify=false", &source, "oci:layout:1"]);
    // Debian's skopeo writes the index anew, without what it does not know; the images are the same.
    for platform in ["linux/arm64", "linux/amd64"] {
        let shown = |place: &[&str]| {
            let words = [&["inspect", "--platform", platform], place].concat();
            let shown = author.json(&words);
            (shown["descriptor"]["digest"].clone(), shown["manifest"].clone())
        };
        let pushed = registry.reference("os:1");
        assert_eq!(shown(&["oci:layout:1"]), shown(&["--remote", &pushed]));
    }
}

#[test]
fn skopeo_pushes_what_lies_in_our_layouts() {
    let (registry, author) = scene();
    author.write("disk.raw", disk());
    author.ok(&["push", "disk.raw", "oci:layout:os-1"]);
    schema::assert_layout(&author.path("layout"));
    let target = format!("docker://{}", registry.reference("os:1"));
    skopeo(&author, &["copy", "--dest-tls-verify=false", "oci:layout:os-1", &target]);
    let here = author.json(&["inspect", "oci:layout:os-1"]);
    let there = author.json(&["inspect", "--remote", &registry.reference("os:1")]);
    assert_eq!(here["descriptor"]["digest"], there["descriptor"]["digest"]);
    assert_installs(&author, &format!("oci.tag={}", registry.reference("os:1")));
}

#[test]
fn container_images_of_umoci_are_copied_unchanged() {
    let (registry, author) = scene();
    author.write("root/etc/motd", "hello");
    other(&author, "umoci", &["init", "--layout", "images"]);
    other(&author, "umoci", &["new", "--image", "images:a"]);
    other(&author, "umoci", &["insert", "--rootless", "--image", "images:a", "root", "/"]);
    let shown = author.json(&["inspect", "oci:images:a"]);
    assert_eq!(shown["config"]["rootfs"]["diff_ids"].as_array().unwrap().len(), 1);
    let reference = registry.reference("team/a:1");
    let digest = author.ok(&["copy", "oci:images:a", &reference]);
    let source = format!("docker://{reference}");
    let said =
        skopeo(&author, &["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &source]);
    assert_eq!(said, digest);
    author.ok(&["copy", &reference, "oci:back:b"]);
    assert_eq!(other(&author, "umoci", &["list", "--layout", "back"]), "b\n");
    other(&author, "umoci", &["stat", "--image", "back:b"]);
    author.fails(&["pull", &reference], "has no layer with a title");
}

#[test]
fn umoci_and_we_share_a_layout() {
    let author = Author::with(&["--store", "images"]);
    other(&author, "umoci", &["init", "--layout", "images"]);
    other(&author, "umoci", &["new", "--image", "images:a"]);
    author.write("kernel", "kernel");
    author.ok(&["build", "--kernel-file", "kernel", "registry.example/os:1"]);
    assert_eq!(
        other(&author, "umoci", &["list", "--layout", "images"]),
        "a\nregistry.example/os:1\n"
    );
    let listed = author.ok(&["list"]);
    assert_eq!(listed.lines().count(), 3, "{listed}");
    // Nobody throws away what is the other's.
    assert_eq!(author.ok(&["gc"]), "freed 0 blobs, 0 bytes\n");
    other(&author, "umoci", &["gc", "--layout", "images"]);
    assert!(author.json(&["inspect", "registry.example/os:1"])["manifest"].is_object());
    author.ok(&["copy", "oci:images:a", "oci:other:a"]);
    author.ok(&["rm", "a"]);
    assert!(author.ok(&["gc"]).starts_with("freed 2 blobs, "));
}

/// `cargo xtask test` brings the package, which no distribution has; where it is not to be found, there is one test less. The client by that name in
/// Go is no package of Debian's either.
#[test]
fn the_oras_client_of_python_pulls_and_pushes() {
    let (registry, mut author) = scene();
    let python = Path::new("python3");
    author.set("PYTHONPATH", std::env::var("PYTHONPATH").unwrap_or_default());
    if author.run_other(python, &["-c", "import oras.client"]).code != 0 {
        return;
    }
    author.write("disk.raw.gz", gzip(&disk()));
    author.push(&["disk.raw.gz", &registry.reference("os:1")]);
    let script = "import sys, oras.client\n\
        client = oras.client.OrasClient(insecure=True, tls_verify=False)\n\
        client.pull(target=sys.argv[1], outdir='out')\n\
        client.push(target=sys.argv[2], files=['disk.raw.gz:application/octet-stream+gzip'])\n";
    let words = ["-c", script, &registry.reference("os:1"), &registry.reference("by-oras:1")];
    let ended = author.run_other(python, &words);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(author.read("out/disk.raw.gz") == gzip(&disk()));
    assert_installs(&author, &format!("oci.tag={}", registry.reference("by-oras:1")));
    author.ok(&["pull", &registry.reference("by-oras:1"), "-o", "back"]);
    assert!(author.read("back/disk.raw.gz") == gzip(&disk()));
}
