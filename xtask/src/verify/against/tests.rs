//! Published sets with one fault each, compared with a stub of a build.

use std::cell::Cell;

use archive::{
    gzip, newc,
    tree::{Entry, Tree},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::{
    config::Profile,
    describe::file_names,
    host::arch::Arch,
    verify::{fetch, published::tests::manifest},
};

fn initramfs(content: &str, mtime: u32) -> Vec<u8> {
    let file = Entry::file(0o755, content.as_bytes().to_vec());
    let tree = Tree::new(vec![("init".to_owned(), file)]).unwrap();
    gzip::compress(&newc::write(&tree, mtime).unwrap()).unwrap()
}

/// A kernel image for arm64 with one byte of code.
fn kernel(code: u8) -> Vec<u8> {
    let mut image = vec![0; 0x40];
    image[0x38..0x3c].copy_from_slice(b"ARM\x64");
    image.push(code);
    image
}

/// A directory with these files, and their manifest after `change`.
fn set(initramfs: &[u8], kernel: &[u8], change: impl Fn(&mut Value)) -> (TempDir, Set) {
    let folder = tempfile::tempdir().unwrap();
    let mut manifest = manifest();
    manifest["outputs"] = json!({});
    for (name, bytes) in [("initramfs-amd64.gz", initramfs), ("vmlinuz-amd64-hw", kernel)] {
        std::fs::write(folder.path().join(name), bytes).unwrap();
        manifest["outputs"][name] =
            json!({ "bytes": bytes.len(), "sha256": output::digest_of(bytes) });
    }
    manifest["commit"] = json!({ "clean": true, "id": "12" });
    change(&mut manifest);
    let [name, ..] = file_names(Arch::X86_64, Profile::Hw);
    let path = folder.path().join(name);
    std::fs::write(path, manifest.to_string()).unwrap();
    let set = fetch::open(folder.path().to_str().unwrap(), &[Arch::X86_64]).unwrap();
    (folder, set)
}

/// The outcome of a comparison, and the number of builds for it.
fn compared(set: &Set) -> (Result<(), String>, u32) {
    let inputs = Published::parse(&manifest().to_string()).unwrap().inputs;
    let builds = Cell::new(0);
    let build = |name: &str| {
        builds.set(builds.get() + 1);
        Ok(if name.starts_with(INITRAMFS) { initramfs("some bytes", 5) } else { kernel(b'k') })
    };
    let keep = |name: &str, _: &[u8], _: &[u8]| Ok(format!("kept {name}"));
    let published = set.published(Arch::X86_64, Profile::Hw).unwrap();
    let outcome = compare(set, &published, || Ok(inputs), build, keep);
    let outcome = outcome.map_err(|error| report::lines(&error));
    (outcome, builds.get())
}

#[test]
fn equal_files_pass() {
    let (_folder, set) = set(&initramfs("some bytes", 5), &kernel(b'k'), |_| {});
    assert_eq!(compared(&set), (Ok(()), 2));
}

#[test]
fn reports_one_changed_byte_or_time() {
    let good = initramfs("some bytes", 5);
    for (archive, image, facts) in [
        (
            initramfs("some bites", 5),
            kernel(b'k'),
            ["initramfs-amd64.gz is ", "~ init: content of 10 bytes, different from byte 6 on"],
        ),
        (
            initramfs("some bytes", 6),
            kernel(b'k'),
            [
                "initramfs-amd64.gz is ",
                "~ init: mtime 1970-01-01T00:00:05Z became 1970-01-01T00:00:06Z",
            ],
        ),
        (
            good.clone(),
            kernel(b'K'),
            ["vmlinuz-amd64-hw is ", "content of 65 bytes, different from byte 64 on"],
        ),
        // Not an archive.
        (b"junk".to_vec(), kernel(b'k'), ["initramfs-amd64.gz is ", ", different from byte 0 on"]),
    ] {
        let (_folder, set) = set(&archive, &image, |_| {});
        let error = compared(&set).0.unwrap_err();
        assert!(facts.iter().all(|fact| error.contains(fact)), "{error}");
        assert!(
            error.ends_with(&format!("; kept {}", facts[0].trim_end_matches(" is "))),
            "{error}"
        );
    }
}

#[test]
fn reports_other_inputs_before_building() {
    let digest = "ef".repeat(32);
    for (pointer, value, fact) in [
        ("/tools/rustc", json!("rustc 2"), "tool 'rustc' is rustc 1, published was rustc 2"),
        ("/tools/cc", json!("gcc 2"), "tool 'cc' is gcc 1, published was gcc 2"),
        ("/inputs/sources/0/version", json!("2"), "source 'busybox-static' is 1, "),
        (
            "/inputs/sources/0/name",
            json!("busybox"),
            "source 'busybox' of the published build is missing here",
        ),
        ("/inputs/files/Cargo.lock", json!(digest), "file 'Cargo.lock' is abab"),
        ("/kernel/key", json!("ef"), "the kernel's key is cd, published was ef"),
    ] {
        let change = |manifest: &mut Value| *manifest.pointer_mut(pointer).unwrap() = value.clone();
        let (_folder, set) = set(&initramfs("some bytes", 5), &kernel(b'k'), change);
        let (outcome, builds) = compared(&set);
        let error = outcome.unwrap_err();
        assert!(error.contains(fact) && error.contains("hint: ") && builds == 0, "{error}");
    }
}

#[test]
fn reports_another_commit_only_if_bytes_differ() {
    let other = |manifest: &mut Value| manifest["commit"]["id"] = json!("34");
    let (_folder, equal) = set(&initramfs("some bytes", 5), &kernel(b'k'), other);
    assert_eq!(compared(&equal).0, Ok(()));
    let (_folder, unequal) = set(&initramfs("some bites", 5), &kernel(b'k'), other);
    let error = compared(&unequal).0.unwrap_err();
    assert!(error.contains("(this is commit 12, published was 34)"), "{error}");
}

#[test]
fn rejects_files_that_differ_from_their_manifest() {
    let archive = initramfs("some bytes", 5);
    let (folder, set) = set(&archive, &kernel(b'k'), |_| {});
    let mut changed = archive;
    let last = changed.len() - 9;
    changed[last] ^= 1;
    std::fs::write(folder.path().join("initramfs-amd64.gz"), changed).unwrap();
    let (outcome, builds) = compared(&set);
    let error = outcome.unwrap_err();
    assert!(error.contains("its manifest contains") && builds == 0, "{error}");
}

#[test]
fn rejects_set_without_kernel() {
    let change = |manifest: &mut Value| {
        drop(manifest["outputs"].as_object_mut().unwrap().remove("vmlinuz-amd64-hw"));
    };
    let (_folder, set) = set(&initramfs("some bytes", 5), &kernel(b'k'), change);
    assert!(compared(&set).0.unwrap_err().contains("lack an initramfs or a kernel"));
}
