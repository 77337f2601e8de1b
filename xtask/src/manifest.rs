//! Tells what a build was made of and what it made. Facts in, JSON out: keys sorted, no path of the machine, no time of the day; the same build gives the same text.

use crate::arch::Arch;
use crate::build_initramfs::Image;
use crate::config;
use crate::config::Profile;
use crate::env::Settings;
use crate::kernel::KernelBuild;
use crate::output;
use crate::project;
use crate::sources::Source;
use anyhow::Context as _;
use anyhow::Result;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;
use std::path::Path;
use std::path::PathBuf;

/// The files of the project that decide what is built, beside the code itself.
const FILES: [&str; 4] =
    ["Cargo.lock", config::IMAGE_FILE, config::KERNEL_FILE, "rust-toolchain.toml"];

/// One build, finished.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub arch: Arch,
    pub profile: Profile,
    pub settings: &'a Settings,
    pub kernel: &'a KernelBuild,
    pub image: &'a Image,
    /// What lies in `out/` now.
    pub outputs: &'a [PathBuf],
}

/// Writes `out/manifest-<arch>.json`.
pub fn write(facts: &Facts<'_>) -> Result<()> {
    let path = project::out().join(format!(
        "manifest-{}{}.json",
        facts.arch.oci(),
        facts.profile.suffix()
    ));
    let mut text =
        serde_json::to_string_pretty(&manifest(facts)?).context("writing the manifest")?;
    text.push('\n');
    output::write(&path, text.as_bytes())
}

fn manifest(facts: &Facts<'_>) -> Result<Value> {
    let Facts { settings, kernel, image, .. } = facts;
    let toolchain = &image.toolchain;
    let digests = |folder: &Path, names: &mut dyn Iterator<Item = &str>| -> Result<Value> {
        names
            .map(|name| Ok((name.to_owned(), Value::from(output::digest(&folder.join(name))?))))
            .collect()
    };
    let names = facts.outputs.iter().filter_map(|path| path.file_name()?.to_str());
    let mut sources: Vec<&Source> = image.parts.sources.iter().chain([&kernel.source]).collect();
    sources.sort_by_key(|source| &source.name);
    Ok(json!({
        "arch": facts.arch.oci(),
        "inputs": {
            "files": digests(&project::root(), &mut FILES.into_iter())?,
            "programs": image.programs,
            "set": image.parts.set_name(),
            "sources": sources.into_iter().map(source).collect::<Vec<_>>(),
        },
        "kernel": {
            "config_sha256": output::digest(&kernel.config)?,
            "key": kernel.key,
            "options": settings.kernel_config,
            "profile": facts.profile.name(),
        },
        "outputs": digests(&project::out(), &mut { names })?,
        "times": {
            "fs_mtime": Timestamp::from_second(settings.fs_mtime.into())?.to_string(),
            "kernel_build_timestamp": settings.kernel_timestamp.to_string(),
        },
        "tools": {
            "cc": toolchain.cc_version,
            "kernel_cc": kernel.compiler,
            "linker": if toolchain.lld.is_some() { "rust-lld" } else { "cc" },
            "rust_target": toolchain.target,
            "rustc": toolchain.rustc,
        },
    }))
}

fn source(source: &Source) -> Value {
    json!({ "name": source.name, "origin": source.origin, "sha256": source.sha256, "version": source.version })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::Parts;
    use crate::sources::SourceSet;
    use crate::toolchain::Toolchain;
    use std::collections::BTreeMap;

    fn source(name: &str) -> Source {
        Source {
            name: name.to_owned(),
            version: "1".to_owned(),
            origin: format!("pool/{name}.deb"),
            sha256: "ab".repeat(32),
            path: PathBuf::from("/machine/cache/x.deb"),
        }
    }

    #[test]
    fn is_sorted_and_names_no_path_of_the_machine() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config");
        std::fs::write(&config, "abc").unwrap();
        let kernel = KernelBuild {
            image: PathBuf::from("/machine/cache/image"),
            config,
            source: source("linux"),
            compiler: "gcc 1".to_owned(),
            key: "cd".repeat(32),
        };
        let toolchain = Toolchain {
            target: "x86_64-unknown-linux-musl".to_owned(),
            rustc: "rustc 1".to_owned(),
            commit: "ef".to_owned(),
            sysroot: PathBuf::from("/machine/rust"),
            cc: "cc".to_owned(),
            ar: "ar".to_owned(),
            cc_version: "gcc 1".to_owned(),
            lld: Some(PathBuf::from("/machine/rust/lld")),
        };
        let parts = Parts {
            files: Vec::new(),
            set: SourceSet::Debian,
            sources: vec![source("z"), source("b")],
        };
        let programs = BTreeMap::from([("init".to_owned(), "12".to_owned())]);
        let image = Image { path: PathBuf::from("/machine/out/x"), toolchain, programs, parts };
        let settings = Settings {
            fs_mtime: 0,
            kernel_timestamp: Timestamp::from_second(1).unwrap(),
            kernel_config: Vec::new(),
        };
        let facts = Facts {
            arch: Arch::X86_64,
            profile: Profile::Default,
            settings: &settings,
            kernel: &kernel,
            image: &image,
            outputs: &[],
        };
        let manifest = manifest(&facts).unwrap();
        let text = manifest.to_string();
        assert!(
            !text.contains("/machine") && !text.contains(project::root().to_str().unwrap()),
            "{text}"
        );
        assert!(text.starts_with(r#"{"arch":"amd64","inputs":{"files":{"Cargo.lock":""#), "{text}");
        let names: Vec<_> = manifest["inputs"]["sources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|source| source["name"].clone())
            .collect();
        assert_eq!(names, ["b", "linux", "z"]);
        assert_eq!(manifest["times"]["fs_mtime"], "1970-01-01T00:00:00Z");
        assert_eq!(manifest["kernel"]["config_sha256"], output::digest_of(b"abc"));
    }
}
