//! An example build for tests of its description.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Facts,
    crates::Crates,
    facts::HostFacts,
    manifest::{Commit, Libc},
};
use crate::{
    config,
    config::{Part, Profile, env::Settings},
    host::arch::Arch,
    initramfs::{Image, parts::Parts, toolchain::Toolchain},
    kernel::KernelBuild,
    sources::{Source, SourceSet},
};

/// The project's crates, read once, for a target whose crates are available in tests.
static CRATES: LazyLock<Crates> = LazyLock::new(|| {
    let target = format!("{}-unknown-linux-gnu", Arch::host().unwrap_or(Arch::X86_64).cpu());
    Crates::linked_into(&["init", "ocidd"], &target).unwrap()
});

/// A manifest of another build.
pub fn value() -> Value {
    let digest = "ab".repeat(32);
    let output = json!({ "bytes": 5, "sha256": digest });
    json!({
        "arch": "amd64",
        "commit": { "clean": true, "id": "12" },
        "inputs": {
            "files": { "Cargo.lock": digest },
            "programs": {},
            "set": "debian",
            "sources": [{ "name": "busybox-static", "origin": "pool/b", "sha256": digest, "version": "1" }],
        },
        "kernel": { "config_sha256": digest, "key": "cd", "options": ["--enable", "CONFIG_NVME"], "profile": "hw" },
        "outputs": { "vmlinuz-amd64-hw": output, "initramfs-amd64.gz": output },
        "schema": 1,
        "times": { "fs_mtime": "1970-01-01T00:00:09Z", "kernel_build_timestamp": "1970-01-01T00:00:07Z" },
        "tools": {
            "cc": "gcc 1", "kernel_cc": "gcc 1", "kernel_ld": "ld 1",
            "libc": { "name": "musl", "version": "1.2" }, "linker": "rust-lld",
            "rust_target": "x86_64-unknown-linux-musl", "rustc": "rustc 1", "rustc_commit": "ef",
        },
    })
}

/// Everything that [`Facts`] borrow, in its own directory.
#[derive(Debug)]
pub struct Example {
    pub folder: TempDir,
    pub settings: Settings,
    pub kernel: KernelBuild,
    pub image: Image,
    pub outputs: [PathBuf; 2],
    pub host: HostFacts,
    pub crates: Crates,
}

impl Example {
    pub fn of(set: SourceSet) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let outputs = [file("vmlinuz-amd64", "kernel"), file("initramfs-amd64.gz", "initramfs")];
        let kernel = KernelBuild {
            image: folder.path().join("image"),
            config: file("config", "abc"),
            source: match set {
                SourceSet::Upstream => source(
                    "linux",
                    "6.12.1",
                    "https://example.org/linux-6.12.1.tar.xz",
                    &outputs[0],
                ),
                SourceSet::Debian => source(
                    "linux-source-6.12",
                    "6.12.1-1~deb12u1",
                    "pool/l/linux-source-6.12_6.12.1-1~deb12u1_all.deb",
                    &outputs[0],
                ),
            },
            compiler: "gcc 1".to_owned(),
            key: "cd".repeat(32),
        };
        let image = Image {
            path: outputs[1].clone(),
            toolchain: toolchain(folder.path()),
            programs: ["init", "ocidd"]
                .map(|name| (name.to_owned(), "12".repeat(32)))
                .into_iter()
                .collect(),
            parts: parts(set, folder.path()),
        };
        let settings = Settings {
            fs_mtime: 0,
            kernel_timestamp: Timestamp::from_second(1).unwrap(),
            kernel_config: vec!["--enable".to_owned(), "NR_CPUS".to_owned()],
        };
        let commit = Some(Commit { clean: true, id: "0a".repeat(20) });
        let libc = Libc { name: "musl".to_owned(), sha256: None, version: None };
        let host = HostFacts { commit, kernel_ld: "ld 1".to_owned(), libc };
        let crates = CRATES.clone();
        Self { folder, settings, kernel, image, outputs, host, crates }
    }

    pub fn facts(&self) -> Facts<'_> {
        Facts {
            arch: Arch::X86_64,
            profile: Profile::Default,
            settings: &self.settings,
            kernel: &self.kernel,
            image: &self.image,
            outputs: &self.outputs,
        }
    }

    /// The three files by kind: `manifest`, `sbom`, `provenance`.
    pub fn described(&self) -> BTreeMap<String, String> {
        let files = super::describe(&self.facts(), &self.host, &self.crates).unwrap();
        let kind = |name: String| name.split('-').next().unwrap_or_default().to_owned();
        files.into_iter().map(|(name, text)| (kind(name), text)).collect()
    }
}

fn toolchain(folder: &Path) -> Toolchain {
    Toolchain {
        target: "x86_64-unknown-linux-musl".to_owned(),
        rustc: "rustc 1.95.0 (abc 2026-04-14)".to_owned(),
        commit: "ef".repeat(20),
        sysroot: folder.join("rust"),
        cc: "cc".to_owned(),
        ar: "ar".to_owned(),
        cc_version: "gcc 1".to_owned(),
        lld: Some(folder.join("rust/lld")),
    }
}

/// The parts in the project's `initramfs.toml`, each with its path as content.
fn parts(set: SourceSet, folder: &Path) -> Parts {
    let config = config::read_image_config(Arch::X86_64).unwrap();
    let is_in_set = |part: &Part| match set {
        SourceSet::Upstream => part.upstream.is_some(),
        SourceSet::Debian => part.debian.is_some(),
    };
    let files: Vec<(Part, Vec<u8>)> = config
        .parts
        .into_iter()
        .filter(is_in_set)
        .map(|part| (part.clone(), part.path.into_bytes()))
        .collect();
    let sources = match set {
        SourceSet::Upstream => {
            let path = folder.join("alpine.tar.gz");
            std::fs::write(&path, alpine()).unwrap();
            let origin = "https://example.org/alpine-minirootfs-3.1-x86_64.tar.gz";
            vec![source("alpine", "3.1", origin, &path)]
        }
        SourceSet::Debian => ["ca-certificates", "busybox-static"]
            .map(|name| {
                let origin = format!("pool/x/{name}_1_amd64.deb");
                source(name, "1:1+b4", &origin, &folder.join("x.deb"))
            })
            .to_vec(),
    };
    Parts { files, set, sources }
}

/// An Alpine root file system that contains only apk's database.
fn alpine() -> Vec<u8> {
    let text = b"P:busybox\nV:1.37.0-r30\nF:bin\nR:busybox\n\nP:musl\nV:1.2.5-r21\nF:lib\nR:ld-musl-x86_64.so.1\n";
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(u64::try_from(text.len()).unwrap());
    archive.append_data(&mut header, "./lib/apk/db/installed", &text[..]).unwrap();
    archive::gzip::compress(&archive.into_inner().unwrap()).unwrap()
}

fn source(name: &str, version: &str, origin: &str, path: &Path) -> Source {
    Source {
        name: name.to_owned(),
        version: version.to_owned(),
        origin: origin.to_owned(),
        sha256: "ab".repeat(32),
        path: path.to_owned(),
    }
}
