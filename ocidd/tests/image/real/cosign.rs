//! cosign 2 and 3 verify what we sign, and we verify what they sign. `cargo xtask test` brings them; without it, there are some tests less.

use std::path::{Path, PathBuf};

use super::{Registry, Serve, images::disk, installs::install};
use crate::{fake::Fake, ours::Author};

/// cosign 2 and 3.
fn programs() -> Option<[PathBuf; 2]> {
    let paths = std::env::var_os("OCIDD_COSIGN").filter(|paths| !paths.is_empty())?;
    Some(std::env::split_paths(&paths).collect::<Vec<_>>().try_into().unwrap())
}

const PASSWORD: &str = "not-a-secret";

/// An author with a disk, and a key that cosign 3 has made.
fn author(cosign: &[PathBuf; 2]) -> Author {
    let mut author = Author::new();
    author.set("COSIGN_PASSWORD", PASSWORD);
    author.write("disk.raw", disk());
    run(&author, &cosign[1], &["generate-key-pair"]);
    // No log, no time stamps: a site without the internet.
    let config = run(&author, &cosign[1], &["signing-config", "create"]);
    author.write("config.json", config);
    author
}

#[track_caller]
fn run(author: &Author, program: &Path, words: &[&str]) -> String {
    let ended = author.run_other(program, words);
    assert_eq!(ended.code, 0, "{} {words:?}: {}", program.display(), ended.stderr);
    ended.stdout
}

#[track_caller]
fn assert_installs(author: &Author, rule: &str, image: &str, code: i32) {
    let key = format!("oci.verify_key={}", author.path("cosign.pub").display());
    let image = format!("oci.tag={image}");
    let ended = install("linux/amd64", &[&image, &key, "oci.allow_no_tls"], author);
    assert_eq!(ended.code, code, "{rule}: {}", ended.stderr);
}

/// What follows `cosign sign --key cosign.key --yes` for each version and format.
const WAYS: [(&str, usize, &[&str]); 4] = [
    ("2", 0, &["--tlog-upload=false"]),
    ("2, as a referrer", 0, &["--tlog-upload=false", "--registry-referrers-mode=oci-1-1"]),
    ("3", 1, &["--signing-config=config.json"]),
    (
        "3, old format",
        1,
        &["--new-bundle-format=false", "--use-signing-config=false", "--tlog-upload=false"],
    ),
];

/// Signs with `words` what has this reference.
fn sign(author: &Author, program: &Path, words: &[&str], image: &str) {
    let first = ["sign", "--yes", "--key=cosign.key", "--allow-insecure-registry"];
    run(author, program, &[&first, words, &[image]].concat());
}

/// Tries each way in a repository of its own at this address.
fn accepts_each_way(author: &Author, cosign: &[PathBuf; 2], address: &str) {
    for (number, (rule, version, words)) in WAYS.iter().enumerate() {
        let repository = format!("{address}/os{number}");
        let text = format!("{}{number}", "x".repeat(512));
        author.write("disk.raw", [&disk(), text.as_bytes()].concat());
        let digest = author.push(&["disk.raw", &format!("{repository}:1")]);
        let image = format!("{repository}@{digest}");
        assert_installs(author, rule, &image, 8);
        sign(author, &cosign[*version], words, &image);
        assert_installs(author, rule, &image, 0);
    }
}

#[test]
fn accepts_signatures_of_cosign_from_a_registry_without_referrers() {
    let Some(cosign) = programs() else { return };
    let mut author = author(&cosign);
    author.set("COSIGN_EXPERIMENTAL", "1");
    let registry = Registry::start(&Serve::Plain);
    accepts_each_way(&author, &cosign, &registry.address);
}

#[test]
fn accepts_signatures_of_cosign_from_a_registry_with_referrers() {
    let Some(cosign) = programs() else { return };
    let mut author = author(&cosign);
    author.set("COSIGN_EXPERIMENTAL", "1");
    let fake = Fake::new();
    fake.store(|store| store.knows_referrers = true);
    accepts_each_way(&author, &cosign, &fake.address);
}

#[test]
fn accepts_each_manifest_after_a_recursive_signature_and_a_copy() {
    let Some(cosign) = programs() else { return };
    let author = author(&cosign);
    let registry = Registry::start(&Serve::Plain);
    let reference = registry.reference("os:1");
    let index = author.push(&["--platform", "linux/amd64", "disk.raw", &reference]);
    let inspected = author.json(&["inspect", "--remote", "--platform", "linux/amd64", &reference]);
    let manifest = inspected["descriptor"]["digest"].as_str().unwrap().to_owned();
    assert_ne!(manifest, index);
    // An attestation alone does not approve an image.
    author.write("predicate.json", "{}");
    let attest = ["attest", "--yes", "--key=cosign.key", "--signing-config=config.json"];
    let more = ["--allow-insecure-registry", "--predicate=predicate.json", "--type=custom"];
    let image = registry.reference(&format!("os@{index}"));
    run(&author, &cosign[1], &[&attest[..], &more, &[&image]].concat());
    assert_installs(&author, "attested", &image, 8);
    sign(&author, &cosign[1], &["--recursive", "--signing-config=config.json"], &image);
    author.ok(&["copy", "--referrers", &reference, &registry.reference("copy:1")]);
    for name in ["os", "copy"] {
        for digest in [&index, &manifest] {
            let image = registry.reference(&format!("{name}@{digest}"));
            assert_installs(&author, name, &image, 0);
        }
    }
}

/// Each format alone is sufficient. cosign 2 reads only the old one.
#[test]
fn cosign_accepts_our_signatures() {
    let Some(cosign) = programs() else { return };
    let author = author(&cosign);
    let registry = Registry::start(&Serve::Plain);
    let (old, new) = ("--new-bundle-format=false", "--new-bundle-format=true");
    for (name, removed, wanted) in [
        ("both", "", [true, true, true]),
        ("bundle", "application/vnd.dev.cosign.artifact.sig.v1+json", [false, false, true]),
        ("old", "application/vnd.dev.sigstore.bundle.v0.3+json", [true, true, true]),
    ] {
        let reference = registry.reference(&format!("{name}:1"));
        let digest = author.push(&["--sign", "cosign.key", "disk.raw", &reference]);
        if !removed.is_empty() {
            let listed = author.json(&["referrers", &reference, "--json", "--type", removed]);
            let signature = listed[0]["digest"].as_str().unwrap();
            let signature = registry.reference(&format!("{name}@{signature}"));
            author.ok(&["rm", "--remote", &signature]);
        }
        let image = registry.reference(&format!("{name}@{digest}"));
        let accepts = [(0, old), (1, old), (1, new)].map(|(version, format)| {
            let first = ["verify", "--key=cosign.pub", "--insecure-ignore-tlog", format];
            let words = [&first[..], &["--allow-insecure-registry", &image]].concat();
            author.run_other(&cosign[version], &words).code == 0
        });
        assert_eq!(accepts, wanted, "{name}");
        assert_installs(&author, name, &image, 0);
    }
}
