//! What the page of Garden Linux's feature `_oci` does with onmetal-image, curl and oras, with our commands: docs/publishing.md has both.

use serde_json::Value;

use super::{LOGIN, Registry, Serve, other};
use crate::{noise::noise, ours::Author, schema};

const ACCEPT: &str = "Accept: application/vnd.oci.image.manifest.v1+json";
const LINE: &str = "ro console=tty0 console=ttyS0,115200 security=apparmor";

#[test]
fn garden_linux_is_published_and_fetched_again() {
    let registry = Registry::start(&Serve::Private);
    let author = Author::with(&["--plain-http", "--store-path", "./onmetal"]);
    let auths = serde_json::json!({ "auths": { registry.address.as_str(): { "auth": LOGIN } } });
    author.write(".docker/config.json", auths.to_string());
    let [kernel, initrd, rootfs] = [7, 8, 9].map(|seed| noise(seed, 20_000));
    author.write("gl.vmlinuz", &kernel);
    author.write("gl.initrd", &initrd);
    author.write("gl.tar.xz", &rootfs);

    // The build.
    let build = ["build", "--format", "onmetal", "--rootfs-file", "gl.tar.xz"];
    let files = ["--initramfs-file", "gl.initrd", "--kernel-file", "gl.vmlinuz"];
    let id = author.ok(&[&build[..], &files, &["--command-line", LINE]].concat());
    let id = id.trim();
    let short = &id["sha256:".len()..][..12];
    let list = author.ok(&["list"]);
    assert_eq!(list, format!("REPOSITORY   TAG      IMAGE ID\n<none>       <none>   {short}\n"));
    let index: Value = serde_json::from_slice(&author.read("onmetal/index.json")).unwrap();
    assert_eq!(index["manifests"][0]["digest"], id);

    // The name, and the way to the registry.
    let reference = registry.reference("project:1592.1");
    let tagged = author.ok(&["tag", id, &reference]);
    assert_eq!(tagged, format!("Successfully tagged {reference} with {id}\n"));
    let list = author.ok(&["list"]);
    let row = list.lines().nth(2).unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(row, [&registry.reference("project"), "1592.1", short]);
    assert_eq!(author.ok(&["push", &reference]), format!("{reference}@{id}\n"));

    assert_shown(&author, &reference, id);
    assert_fetched_by_curl(&author, &registry, &reference, &kernel);
    assert_attached(&author, &reference);
    schema::assert_layout(&author.path("onmetal"));

    author.ok(&["pull", &reference, "-o", "out"]);
    for (name, content) in [("kernel", kernel), ("initramfs", initrd), ("rootfs", rootfs)] {
        assert!(author.read(&format!("out/{name}")) == content, "{name}");
    }
}

fn assert_shown(author: &Author, reference: &str, id: &str) {
    let shown = author.json(&["inspect", reference]);
    assert_eq!(shown["descriptor"]["digest"], id);
    let name = "org.opencontainers.image.ref.name";
    assert_eq!(shown["descriptor"]["annotations"][name], reference);
    assert_eq!(shown["config"], serde_json::json!({ "commandLine": LINE }));
    let layers = shown["manifest"]["layers"].as_array().unwrap();
    let types: Vec<_> = layers.iter().map(|layer| layer["mediaType"].as_str().unwrap()).collect();
    let wanted =
        ["rootfs.v1alpha1.rootfs", "initramfs.v1alpha1.initramfs", "vmlinuz.v1alpha1.vmlinuz"];
    assert_eq!(types, wanted.map(|end| format!("application/vnd.onmetal.image.{end}")));
    let config = &shown["manifest"]["config"]["mediaType"];
    assert_eq!(config, "application/vnd.onmetal.image.config.v1alpha1+json");
}

fn assert_fetched_by_curl(author: &Author, registry: &Registry, reference: &str, kernel: &[u8]) {
    let url = author.json(&["url", "--layer", "kernel", reference]);
    let login = format!("Authorization: {}", url["headers"]["Authorization"][0].as_str().unwrap());
    let curl = |words: &[&str]| other(author, "curl", &[&["-sfL", "-H", &login], words].concat());
    curl(&["-o", "vmlinuz", url["url"].as_str().unwrap()]);
    assert!(author.read("vmlinuz") == kernel);

    let base = format!("http://{}", registry.reference("").replace('/', "/v2/project/"));
    let manifest = curl(&["-H", ACCEPT, &format!("{base}manifests/1592.1")]);
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let config = manifest["config"]["digest"].as_str().unwrap();
    let config: Value = serde_json::from_str(&curl(&[&format!("{base}blobs/{config}")])).unwrap();
    assert_eq!(config["commandLine"], LINE);
}

fn assert_attached(author: &Author, reference: &str) {
    let types = ["os-release", "manifest", "log"];
    for end in types {
        let file = format!("gl.{end}");
        author.write(&file, end);
        author.ok(&["attach", &file, reference, "--artifact-type", &format!("build/{end}")]);
    }
    let listed = author.ok(&["referrers", reference]);
    for (row, end) in listed.lines().skip(1).zip(types) {
        assert!(row.starts_with(&format!("build/{end} ")), "{listed}");
    }
    assert_eq!(listed.lines().count(), 4);
}
