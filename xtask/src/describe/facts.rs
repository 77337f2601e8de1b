//! The facts about a finished build, and the manifest with them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use xshell::{Cmd, Shell, cmd};

use super::manifest::{
    Commit, Inputs, Kernel, Libc, Manifest, Output, SCHEMA, SourceEntry, Times, Tools,
};
use crate::{
    config,
    config::{Profile, env::Settings},
    host::{arch::Arch, cmd, output, project, report},
    initramfs::{Image, toolchain::Toolchain},
    kernel::KernelBuild,
    sources::Source,
};

/// Project files that determine a build, besides code and fragments of the kernel profile.
const FILES: [&str; 6] = [
    ".cargo/config.toml",
    "Cargo.lock",
    "Cargo.toml",
    config::IMAGE_FILE,
    config::KERNEL_FILE,
    "rust-toolchain.toml",
];

/// A finished build.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub arch: Arch,
    pub profile: Profile,
    pub settings: &'a Settings,
    pub kernel: &'a KernelBuild,
    pub image: &'a Image,
    /// The files in `out/`.
    pub outputs: &'a [PathBuf],
}

/// Facts that the results of a build do not contain.
#[derive(Clone, Debug)]
pub struct HostFacts {
    pub commit: Option<Commit>,
    pub kernel_ld: String,
    pub libc: Libc,
}

/// The common part of a build's file names: `amd64`, `arm64-hw`.
pub fn label(arch: Arch, profile: Profile) -> String {
    format!("{}{}", arch.oci(), profile.suffix())
}

impl Facts<'_> {
    /// The manifest of this build.
    pub fn to_manifest(self, host: &HostFacts) -> Result<Manifest> {
        let Self { settings, kernel, image, .. } = self;
        let toolchain = &image.toolchain;
        let mut sources: Vec<SourceEntry> =
            image.parts.sources.iter().chain([&kernel.source]).map(source_entry).collect();
        sources.sort();
        Ok(Manifest {
            arch: self.arch.oci().to_owned(),
            commit: host.commit.clone(),
            inputs: Inputs {
                files: self.project_files()?,
                programs: image.programs.clone(),
                set: image.parts.set_name().to_owned(),
                sources,
            },
            kernel: Kernel {
                config_sha256: output::digest(&kernel.config)?,
                key: kernel.key.clone(),
                options: settings.kernel_config.clone(),
                profile: self.profile.to_string(),
            },
            outputs: self.outputs.iter().map(|path| output_entry(path)).collect::<Result<_>>()?,
            schema: SCHEMA,
            times: Times {
                fs_mtime: Timestamp::from_second(settings.fs_mtime.into())?.to_string(),
                kernel_build_timestamp: settings.kernel_timestamp.to_string(),
            },
            tools: Tools {
                cc: toolchain.cc_version.clone(),
                kernel_cc: kernel.compiler.clone(),
                kernel_ld: host.kernel_ld.clone(),
                libc: host.libc.clone(),
                linker: if toolchain.lld.is_some() { "rust-lld" } else { "cc" }.to_owned(),
                rust_target: toolchain.target.clone(),
                rustc: toolchain.rustc.clone(),
                rustc_commit: toolchain.commit.clone(),
            },
        })
    }

    /// SHA-256 of the project's files that determine this build, by path in the project.
    pub fn project_files(self) -> Result<BTreeMap<String, String>> {
        let kernel = config::read_kernel_config()?;
        let fragments = kernel
            .profiles
            .get(&self.profile)
            .map_or(&[][..], |profile| profile.fragments(self.arch));
        let names = FILES.iter().map(Path::new).chain(fragments.iter().map(PathBuf::as_path));
        names
            .map(|name| {
                Ok((name.display().to_string(), output::digest(&project::root().join(name))?))
            })
            .collect()
    }
}

fn source_entry(source: &Source) -> SourceEntry {
    SourceEntry {
        name: source.name.clone(),
        origin: source.origin.clone(),
        sha256: source.sha256.clone(),
        version: source.version.clone(),
    }
}

fn output_entry(path: &Path) -> Result<(String, Output)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let metadata =
        path.metadata().with_context(|| format!("reading the size of {}", path.display()))?;
    Ok((name, Output { bytes: metadata.len(), sha256: output::digest(path)? }))
}

impl HostFacts {
    pub fn of(facts: &Facts<'_>) -> Result<Self> {
        let cross = facts.arch.cross_prefix();
        Ok(Self {
            commit: commit(&project::root()),
            kernel_ld: cmd::version(&format!("{cross}ld"))?,
            libc: libc(&facts.image.toolchain).context("finding the C library of the programs")?,
        })
    }
}

/// The commit checked out in `root`. `None` without a repository, and after a warning if git fails:
/// a build does not require git.
pub fn commit(root: &Path) -> Option<Commit> {
    // An unpacked archive of the project may be inside another repository.
    if !root.join(".git").exists() {
        return None;
    }
    let read = || {
        let id = git(root, &["rev-parse", "HEAD"])?;
        let changes = git(root, &["status", "--porcelain", "--untracked-files=normal"])?;
        anyhow::Ok(Commit { clean: changes.is_empty(), id })
    };
    let warn = |error: &anyhow::Error| {
        report::warn(format_args!("the manifest will not contain a commit: {error:#}"));
    };
    read().inspect_err(warn).ok()
}

/// The output of git for the repository in `root`, even in a hook of another one.
fn git(root: &Path, arguments: &[&str]) -> Result<String> {
    let shell = Shell::new()?;
    shell.change_dir(root);
    let git = ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"]
        .iter()
        .fold(shell.cmd("git"), Cmd::env_remove);
    Ok(git.args(arguments).quiet().read()?)
}

/// The C library that `toolchain` links statically.
fn libc(toolchain: &Toolchain) -> Result<Libc> {
    if toolchain.target.ends_with("-musl") {
        return Ok(Libc { name: "musl".to_owned(), sha256: None, version: None });
    }
    let (shell, cc) = (Shell::new()?, &toolchain.cc);
    let library = cmd!(shell, "{cc} -print-file-name=libc.a").quiet().read()?;
    let macros = cmd!(shell, "{cc} -E -dM -include features.h -x c /dev/null").quiet().read()?;
    let sha256 = Some(output::digest(Path::new(&library))?);
    Ok(Libc { name: "glibc".to_owned(), sha256, version: glibc_version(&macros) })
}

/// The version in the macros of glibc's headers.
fn glibc_version(macros: &str) -> Option<String> {
    let value = |name: &str| {
        macros.lines().find_map(|line| {
            line.strip_prefix("#define ")?.strip_prefix(name)?.strip_prefix(' ').map(str::trim)
        })
    };
    Some(format!("{}.{}", value("__GLIBC__")?, value("__GLIBC_MINOR__")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_version_of_glibc() {
        let macros =
            "#define __GLIBC_USE_LIB_EXT2 0\n#define __GLIBC_MINOR__ 36\n#define __GLIBC__ 2\n";
        assert_eq!(glibc_version(macros).as_deref(), Some("2.36"));
        assert_eq!(glibc_version("#define __GLIBC__ 2\n"), None);
    }

    #[test]
    fn detects_uncommitted_changes() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(commit(folder.path()), None);
        git(folder.path(), &["init", "--quiet"]).unwrap();
        let author = ["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"];
        let commit_it = ["commit", "--quiet", "--allow-empty", "-m", "x"];
        git(folder.path(), &[&author[..], &commit_it].concat()).unwrap();
        let clean = commit(folder.path()).unwrap();
        assert!(clean.clean && clean.id.len() >= 40, "{clean:?}");
        std::fs::write(folder.path().join("new"), "").unwrap();
        assert_eq!(commit(folder.path()), Some(Commit { clean: false, ..clean }));
    }
}
