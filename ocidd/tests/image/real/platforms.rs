//! One tag for machines of several platforms.

use super::{images::disk, installs::assert_installs_for, scene, skopeo};
use crate::{schema, schema::Kind};

const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];

#[test]
fn an_index_is_the_same_whoever_pushed_first() {
    let (registry, author) = scene();
    author.write("a.raw", disk());
    author.write("b.raw", &disk()[..500_000]);
    let index = |tag: &str, order: &[usize]| {
        let reference = registry.reference(&format!("os:{tag}"));
        let digests: Vec<_> = order
            .iter()
            .map(|at| {
                let file = ["a.raw", "b.raw"][*at];
                author.push(&["--platform", PLATFORMS[*at], file, &reference])
            })
            .collect();
        digests.last().unwrap().clone()
    };
    let one = index("1", &[0, 1]);
    assert_eq!(index("2", &[1, 0]), one);
    // Again is no change, and an old image makes room.
    assert_eq!(index("2", &[1]), one);
    author.push(&["--platform", "linux/arm64/v8", "a.raw", &registry.reference("os:2")]);
    assert_eq!(index("2", &[1]), one);

    let raw = skopeo(
        &author,
        &[
            "inspect",
            "--raw",
            "--tls-verify=false",
            &format!("docker://{}", registry.reference("os:1")),
        ],
    );
    schema::assert_valid(Kind::Index, raw.as_bytes());
    let index: serde_json::Value = serde_json::from_str(&raw).unwrap();
    let entries = index["manifests"].as_array().unwrap();
    let platforms = entries.iter().map(|entry| {
        assert_eq!(entry["artifactType"], "application/vnd.ocidd.disk.v1");
        assert_eq!(entry["annotations"], serde_json::json!({ "disktype": "raw" }));
        format!("linux/{}", entry["platform"]["architecture"].as_str().unwrap())
    });
    assert_eq!(platforms.collect::<Vec<_>>(), PLATFORMS);
}

#[test]
fn no_entry_is_lost_if_several_are_pushed_at_once() {
    let (registry, author) = scene();
    let reference = registry.reference("os:1");
    let layout = format!("oci:{}:1", author.path("layout").display());
    let platforms = ["amd64", "arm64", "riscv64", "s390x", "ppc64le", "386"];
    std::thread::scope(|scope| {
        for platform in platforms {
            let (author, reference, layout) = (&author, &reference, &layout);
            scope.spawn(move || {
                let store = author.path(platform).join("store").display().to_string();
                let disk = format!("{platform}/disk.raw");
                author.write(&disk, platform.repeat(512));
                let push = ["push", "--platform", platform, &disk];
                for target in [reference, layout] {
                    author.ok(&[&["--store", &store], &push[..], &[target]].concat());
                }
            });
        }
    });
    for target in [&reference, &layout] {
        let index = author.json(&["inspect", target]);
        assert_eq!(index["index"]["manifests"].as_array().unwrap().len(), platforms.len());
    }
}

#[test]
fn every_platform_gets_its_own_image() {
    let (registry, author) = scene();
    author.write("disk.raw", disk());
    author.write("other.raw", "other");
    let reference = registry.reference("os:1");
    author.push(&["--platform", "linux/arm64", "disk.raw", &reference]);
    author.push(&["--platform", "linux/riscv64", "other.raw", &reference]);
    assert_installs_for("linux/arm64", &author, &format!("oci.tag={reference}"));
    assert_eq!(
        author.ok(&["pull", "--platform", "linux/riscv64", &reference, "-o", "out"]),
        "out/other.raw.gz\n"
    );
    let url = author.json(&["url", "--platform", "arm64", "--layer", "0", &reference]);
    let shown = author.json(&["inspect", "--platform", "linux/arm64", &reference]);
    let digest = shown["manifest"]["layers"][0]["digest"].as_str().unwrap();
    assert!(url["url"].as_str().unwrap().ends_with(digest));
    author.fails(
        &["pull", "--platform", "linux/s390x", &reference],
        "has no manifest for linux/s390x; it has: linux/arm64, linux/riscv64\nocidd: hint: --platform OS/ARCHITECTURE selects another",
    );
    let other = format!("docker://{reference}");
    let words =
        ["copy", "--override-arch", "arm64", "--src-tls-verify=false", &other, "oci:by-skopeo:1"];
    skopeo(&author, &words);
    let copied = author.json(&["inspect", "oci:by-skopeo:1"]);
    assert_eq!(copied["descriptor"]["digest"], shown["descriptor"]["digest"]);
}

#[test]
fn an_image_for_all_is_not_made_one_of_several() {
    let (registry, author) = scene();
    author.write("disk.raw", disk());
    let reference = registry.reference("os:1");
    author.push(&["disk.raw", &reference]);
    author.fails(
        &["push", "--platform", "linux/amd64", "disk.raw", &reference],
        "is not an image index\nocidd: hint: choose another tag, or push without --platform",
    );
}

#[test]
fn a_bundle_may_be_one_of_several() {
    let (registry, author) = scene();
    let reference = registry.reference("boot:1");
    for platform in PLATFORMS {
        author.write("kernel", platform);
        author.ok(&["build", "--kernel-file", "kernel", &reference]);
        author.push(&["--platform", platform, &reference]);
    }
    let index = author.json(&["inspect", "--remote", &reference]);
    for entry in index["index"]["manifests"].as_array().unwrap() {
        assert!(entry.get("artifactType").is_none() && entry.get("annotations").is_none());
    }
    author.ok(&["pull", "--platform", "linux/arm64", &reference, "-o", "out"]);
    assert_eq!(author.read("out/kernel"), b"linux/arm64");
}
