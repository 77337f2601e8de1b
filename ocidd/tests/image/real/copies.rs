//! Copies between registries and image layouts, and what is left in between.

use std::fs;

use super::{
    LOGIN, Registry, Serve, images::disk, installs::assert_installs, logins::add_certificates,
    scene,
};
use crate::{ours::Author, schema};

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
fn each_side_of_a_copy_has_its_own_connection() {
    let author = Author::with(&["--retries", "0"]);
    add_certificates(&author);
    let (certificate, key) = (author.path("server.pem"), author.path("server.key"));
    let secure = Registry::start(&Serve::Tls(&certificate, &key));
    let plain = Registry::start(&Serve::Private);
    let auths = serde_json::json!({ "auths": { plain.address.as_str(): { "auth": LOGIN } } });
    author.write("login.json", auths.to_string());
    author.write("disk.raw", disk());
    let (here, there) = (secure.reference("os:1"), plain.reference("os:1"));
    author.ok(&["push", "--ca-file", "ca.pem", "disk.raw", &here]);
    let to = ["--to-plain-http", "--to-authfile", "login.json"];
    let from = ["--from-plain-http", "--from-authfile", "login.json"];
    author.fails(&["copy", "--ca-file", "ca.pem", "--plain-http", &here, &there], "answered 400");
    author.fails(&["copy", "--from-ca-file", "ca.pem", &here, &there], "does not support TLS");
    for options in [&["--from-ca-file", "ca.pem"][..], &["--from-insecure-skip-verify"]] {
        author.ok(&[&["copy"], options, &to, &[&here, &there]].concat());
    }
    for options in [&["--to-ca-file", "ca.pem"][..], &["--to-insecure-skip-verify"]] {
        author.ok(&[&["copy"], options, &from, &[&there, &secure.reference("os:2")]].concat());
    }
}

#[test]
fn annotations_are_added_to_the_manifest() {
    let (registry, author) = scene();
    author.write("disk.raw", disk());
    let source = ["--annotation", "org.opencontainers.image.source=https://git.example/os?a=b"];
    for (command, name) in [
        (&["push"][..], "os:1"),
        (&["push", "--type", "a/b"], "os:2"),
        (&["push", "--platform", "linux/arm64"], "os:3"),
        (&["attach", "--type", "a/b"], "os:1"),
    ] {
        let reference = registry.reference(name);
        let more = ["--annotation", "a=", "disk.raw", &reference];
        let printed = author.ok(&[command, &source, &more].concat());
        let at = printed.trim().rsplit('@').next().unwrap();
        let shown = author.json(&[
            "inspect",
            "--platform",
            "linux/arm64",
            &registry.reference(&format!("os@{at}")),
        ]);
        let found = &shown["manifest"]["annotations"];
        assert_eq!(found["org.opencontainers.image.source"], "https://git.example/os?a=b");
        assert_eq!(found["a"], "", "{shown}");
    }
    for (annotation, says) in [
        ("a", "expected KEY=VALUE"),
        ("=b", "expected KEY=VALUE"),
        ("disktype=x", "'disktype' is set by ocidd itself"),
        ("io.ocidd.raw.size=1", "'io.ocidd.raw.size' is set by ocidd itself"),
        ("org.opencontainers.image.created=now", " is set by ocidd itself"),
    ] {
        let push = ["push", "--annotation", annotation, "disk.raw", &registry.reference("os:1")];
        let run = author.run(&push);
        assert_eq!(run.code, 2, "{annotation}");
        assert!(run.stderr.contains(says), "{}", run.stderr);
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
    let author = Author::with(&["--store", "layout"]);
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
