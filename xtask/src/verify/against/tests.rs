//! Published sets with one thing wrong each, held against a builder that only hands out bytes.

use super::*;
use crate::config::Profile;
use crate::describe::file_names;
use crate::host::arch::Arch;
use crate::verify::fetch;
use crate::verify::inputs::Inputs;
use crate::verify::published::tests::manifest;
use archive::gzip;
use archive::newc;
use archive::tree::Entry;
use archive::tree::Tree;
use serde_json::Value;
use serde_json::json;
use std::cell::Cell;
use tempfile::TempDir;

/// Hands out what a build would give.
struct Stub {
    inputs: Inputs,
    builds: Cell<u32>,
}

impl Builder for Stub {
    fn inputs(&self, _published: &Published) -> Result<Inputs> {
        Ok(self.inputs.clone())
    }

    fn initramfs(&self) -> Result<Vec<u8>> {
        self.builds.set(self.builds.get() + 1);
        Ok(initramfs("some bytes", 5))
    }

    fn kernel(&self) -> Result<Vec<u8>> {
        self.builds.set(self.builds.get() + 1);
        Ok(kernel(b'k'))
    }
}

fn initramfs(content: &str, mtime: u32) -> Vec<u8> {
    let file = Entry::file(0o755, content.as_bytes().to_vec());
    let tree = Tree::new(vec![("init".to_owned(), file)]).unwrap();
    gzip::compress(&newc::write(&tree, mtime).unwrap()).unwrap()
}

/// An image as arm64 has it, with one byte of code.
fn kernel(code: u8) -> Vec<u8> {
    let mut image = vec![0; 0x40];
    image[0x38..0x3c].copy_from_slice(b"ARM\x64");
    image.push(code);
    image
}

/// A set of these files in a folder, and its honest manifest but for `change`.
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

/// What comes of comparing, and how much was built for it.
fn compared(set: &Set) -> (Result<(), String>, u32) {
    let honest = Published::parse(&manifest().to_string()).unwrap();
    let inputs = Inputs {
        commit: Some(("12".to_owned(), true)),
        sources: honest.sources,
        tools: honest.tools,
        files: honest.files,
        kernel_key: honest.kernel_key,
    };
    let stub = Stub { inputs, builds: Cell::new(0) };
    let published = set.published(Arch::X86_64, Profile::Hw).unwrap();
    let outcome = match compare(set, &published, &stub) {
        Ok(None) => Ok(()),
        Ok(Some(mismatch)) => Err(mismatch.description),
        Err(error) => Err(format!("{error:#}")),
    };
    (outcome, stub.builds.get())
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
        // No archive at all.
        (b"junk".to_vec(), kernel(b'k'), ["initramfs-amd64.gz is ", ", different from byte 0 on"]),
    ] {
        let (_folder, set) = set(&archive, &image, |_| {});
        let error = compared(&set).0.unwrap_err();
        assert!(facts.iter().all(|fact| error.contains(fact)), "{error}");
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
    let mut doctored = archive;
    let last = doctored.len() - 9;
    doctored[last] ^= 1;
    std::fs::write(folder.path().join("initramfs-amd64.gz"), doctored).unwrap();
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
