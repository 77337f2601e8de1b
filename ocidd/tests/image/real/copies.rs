//! Copies between registries and image layouts, and what is left in between.

use std::fs;

use super::{images::disk, installs::assert_installs, scene};
use crate::schema;

#[test]
fn an_image_goes_to_a_layout_and_back_with_what_is_about_it() {
    let (registry, author) = scene();
    let (other, _) = scene();
    author.write("disk.raw", disk());
    author.write("sbom.json", "{}");
    author.write("sbom.log", "made");
    let reference = registry.reference("os:1");
    for platform in ["linux/amd64", "linux/arm64"] {
        author.push(&["--platform", platform, "disk.raw", &reference]);
    }
    let sbom = author.ok(&["attach", "sbom.json", &reference, "--type", "a/sbom"]);
    let sbom = registry.reference(&format!("os@{}", sbom.trim()));
    author.ok(&["attach", "sbom.log", &sbom, "--type", "build/log"]);
    let shown = author.json(&["inspect", "--platform", "linux/arm64", &reference]);
    let arm = format!("os@{}", shown["descriptor"]["digest"].as_str().unwrap());
    author.ok(&["attach", "sbom.log", &registry.reference(&arm), "--type", "a/part"]);

    let digest = author.ok(&["copy", "--referrers", &reference, "oci:layout:os-1"]);
    schema::assert_layout(&author.path("layout"));
    assert_eq!(
        author.ok(&["copy", "--referrers", "oci:layout:os-1", &other.reference("os:2")]),
        digest
    );
    assert_installs(&author, &format!("oci.tag={}", other.reference("os:2")));
    for (here, there) in [
        (reference.as_str(), "os:2"),
        (sbom.as_str(), sbom.split_once('/').unwrap().1),
        (&registry.reference(&arm), &arm),
    ] {
        let listed = author.ok(&["referrers", here]);
        assert_eq!(listed.lines().count(), 2, "{listed}");
        assert_eq!(author.ok(&["referrers", &other.reference(there)]), listed);
    }
}

#[test]
fn a_layout_is_left_without_anything_unfinished() {
    let (registry, author) = scene();
    author.write("disk.raw", disk());
    let reference = registry.reference("os:1");
    author.push(&["disk.raw", &reference]);
    for _ in 0..2 {
        author.ok(&["copy", &reference, "oci:layout:1"]);
    }
    let files = fs::read_dir(author.path("layout/blobs/sha256")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.inspect(|name| assert_eq!(name.len(), 64, "{name}")).count(), 3);
    assert_eq!(author.ok(&["--store", "layout", "gc"]), "freed 0 blobs, 0 bytes\n");
}

#[test]
fn a_damaged_layout_is_repaired_by_the_next_copy() {
    let (registry, author) = scene();
    author.write("disk.raw", disk());
    let reference = registry.reference("os:1");
    for platform in ["linux/amd64", "linux/arm64"] {
        author.push(&["--platform", platform, "disk.raw", &reference]);
    }
    author.ok(&["copy", &reference, "oci:layout:1"]);
    let part = author.json(&["inspect", "--platform", "linux/arm64", "oci:layout:1"]);
    let digest = part["manifest"]["layers"][0]["digest"].as_str().unwrap().to_owned();
    let blob = format!("layout/blobs/sha256/{}", &digest["sha256:".len()..]);
    let content = author.read(&blob);
    author.write(&blob, "");
    author.ok(&["copy", &reference, "oci:layout:1"]);
    assert!(author.read(&blob) == content);
    fs::remove_file(author.path(&blob)).unwrap();
    author.ok(&["copy", &reference, "oci:layout:1"]);
    assert!(author.read(&blob) == content);
    // A secret of the same size is not sent.
    fs::remove_file(author.path(&blob)).unwrap();
    author.write("secret", vec![7; content.len()]);
    std::os::unix::fs::symlink(author.path("secret"), author.path(&blob)).unwrap();
    let other = registry.reference("other:1");
    author.fails(&["copy", "oci:layout:1", &other], "opening ");
    fs::remove_file(author.path(&blob)).unwrap();
    author.write(&blob, vec![7; content.len()]);
    author.fails(&["copy", "oci:layout:1", &other], "is damaged: its digest is ");
}

#[test]
fn an_image_goes_from_one_repository_to_another_of_the_same_registry() {
    let (registry, author) = scene();
    author.write("disk.raw", disk());
    let digest = author.push(&["disk.raw", &registry.reference("os:1")]);
    let copied =
        author.ok(&["copy", &registry.reference("os:1"), &registry.reference("team/os:1")]);
    assert_eq!(copied.trim(), digest);
    assert_installs(&author, &format!("oci.tag={}", registry.reference("team/os:1")));
    let wrong = registry.reference(&format!("os@sha256:{}", "0".repeat(64)));
    author.fails(&["copy", &registry.reference("os:1"), &wrong], "names another digest than");
}

#[test]
fn a_layout_with_several_images_wants_a_name() {
    let author = crate::ours::Author::with(&["--store", "layout"]);
    author.write("kernel", "one");
    author.ok(&["build", "--kernel-file", "kernel", "registry.example/os:1"]);
    author.ok(&["copy", "oci:layout", "oci:other"]);
    author.write("kernel", "two");
    author.ok(&["build", "--kernel-file", "kernel", "registry.example/os:2"]);
    author.fails(
        &["copy", "oci:layout", "oci:other"],
        "layout holds 2 images\nocidd: hint: name one",
    );
    author.fails(&["inspect", "oci:layout:3"], "'oci:layout:3' not found\nocidd: hint: ");
    author.fails(&["pull", "oci:nowhere:1"], "opening the store nowhere");
    assert!(!author.path("nowhere").exists());
    schema::assert_layout(&author.path("other"));
}
