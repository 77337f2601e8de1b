//! Builds the workspace's programs for the image: static, stripped, and independent of directories
//! and of the caller's environment.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use xshell::{Cmd, Shell};

use crate::{
    host::{arch::Arch, cmd, project, report},
    initramfs::toolchain::Toolchain,
    sources,
};

/// Variables of the caller for cargo and rustup: their directories and the network. All others are
/// ignored, above all `RUSTFLAGS`, `CFLAGS`, `CARGO_PROFILE_*` and `CARGO_BUILD_*`.
const PASSED: &str = "HOME CARGO_HOME RUSTUP_HOME RUSTUP_TOOLCHAIN RUSTC TMPDIR TERM \
    SSL_CERT_FILE SSL_CERT_DIR http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY \
    ALL_PROXY";
const PASSED_PREFIXES: [&str; 3] = ["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR"];

/// Separates flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\x1f";

/// The bytes of programs, by package.
pub type Programs = BTreeMap<String, Vec<u8>>;

/// The programs of `packages`.
pub fn build(packages: &BTreeSet<&str>, arch: Arch, toolchain: &Toolchain) -> Result<Programs> {
    let names: Vec<&str> = packages.iter().copied().collect();
    let building = || format!("building {} for {}", names.join(" and "), toolchain.target);
    report::step(building());
    // Not `target`: other flags would rebuild all files of everyday builds.
    let target_dir = project::root().join("target/image");
    let maps = path_maps(&target_dir, toolchain).with_context(building)?;
    let shell = Shell::new()?;
    // Without `ocidd image`, which the installer does not need.
    let mut cargo = cargo(&shell).args(["build", "--release", "--locked", "--no-default-features"]);
    cargo = cargo.args(["--target", &toolchain.target]);
    for package in packages {
        cargo = cargo.args(["--package", package]);
    }
    with_flags(cargo, toolchain, &maps)
        .env("CARGO_TARGET_DIR", &target_dir)
        .run()
        .with_context(building)?;
    let folder = target_dir.join(&toolchain.target).join("release");
    let mut programs = BTreeMap::new();
    for package in packages {
        let path = folder.join(package);
        let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        verify_elf(&path, arch).with_context(|| format!("checking {}", path.display()))?;
        programs.insert((*package).to_owned(), bytes);
    }
    Ok(programs)
}

/// The cargo that runs xtask, in the project, without the caller's environment.
pub fn cargo(shell: &Shell) -> Cmd<'_> {
    shell.change_dir(project::root());
    let mut cargo =
        cmd::clean_env(shell.cmd(cmd::cargo())).quiet().env("LC_ALL", "C").env("TZ", "UTC");
    for (name, value) in std::env::vars_os() {
        let is_passed = name.to_str().is_some_and(|name| {
            PASSED.split(' ').any(|passed| passed == name)
                || PASSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        });
        if is_passed {
            cargo = cargo.env(name, value);
        }
    }
    if sources::is_offline() { cargo.env("CARGO_NET_OFFLINE", "true") } else { cargo }
}

/// A directory and its replacement in messages and debug information.
type PathMap = (PathBuf, String);

/// All directories that compilers read from, with the same names everywhere. The last match wins.
fn path_maps(target_dir: &Path, toolchain: &Toolchain) -> Result<Vec<PathMap>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        version: String,
        manifest_path: PathBuf,
        source: Option<String>,
    }
    let shell = Shell::new()?;
    let arguments =
        ["metadata", "--locked", "--format-version=1", "--filter-platform", &toolchain.target];
    let metadata = cargo(&shell).args(arguments).read().context("running cargo metadata")?;
    let metadata: Metadata =
        serde_json::from_str(&metadata).context("parsing the output of cargo metadata")?;
    let mut maps =
        vec![(project::root(), "/ocidd".to_owned()), (target_dir.to_owned(), "/target".to_owned())];
    // The standard library has such paths unless its sources are installed.
    maps.push((
        toolchain.sysroot.join("lib/rustlib/src/rust"),
        format!("/rustc/{}", toolchain.commit),
    ));
    // One map per package, because registries, mirrors and vendored sources have different layouts.
    for package in metadata.packages.into_iter().filter(|package| package.source.is_some()) {
        let folder = package.manifest_path.parent().map(Path::to_path_buf).unwrap_or_default();
        maps.push((folder, format!("/cargo/{}-{}", package.name, package.version)));
    }
    Ok(with_real_paths(maps))
}

/// Maps symbolic links and their targets, because compilers use either path.
fn with_real_paths(maps: Vec<PathMap>) -> Vec<PathMap> {
    let both = |(folder, name): PathMap| {
        let real = folder.canonicalize().ok().filter(|real| *real != folder);
        let real = real.map(|real| (real, name.clone()));
        [Some((folder, name)), real].into_iter().flatten()
    };
    maps.into_iter().flat_map(both).collect()
}

fn with_flags<'a>(cargo: Cmd<'a>, toolchain: &Toolchain, maps: &[PathMap]) -> Cmd<'a> {
    let target = toolchain.target.replace('-', "_");
    cargo
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags(toolchain, maps))
        .env(format!("CC_{target}"), &toolchain.cc)
        .env(format!("AR_{target}"), &toolchain.ar)
        .env(format!("CFLAGS_{target}"), c_flags(maps))
        // Allows spaces and quotes in flags.
        .env("CC_SHELL_ESCAPED_FLAGS", "1")
}

fn rust_flags(toolchain: &Toolchain, maps: &[PathMap]) -> String {
    let mut flags: Vec<String> = maps
        .iter()
        .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()))
        .collect();
    flags.push("-Ctarget-feature=+crt-static".to_owned());
    // A build ID depends on what stripping removes, including paths.
    match &toolchain.lld {
        Some(lld) => flags.extend([
            format!("-Clinker={}", lld.display()),
            "-Clink-self-contained=yes".to_owned(),
            "-Clink-arg=--build-id=none".to_owned(),
        ]),
        None => flags.extend([
            format!("-Clinker={}", toolchain.cc),
            "-Clink-arg=-Wl,--build-id=none".to_owned(),
        ]),
    }
    flags.join(SEPARATOR)
}

fn c_flags(maps: &[PathMap]) -> String {
    let mut flags: Vec<String> = maps
        .iter()
        .map(|(from, to)| cmd::quoted(&format!("-ffile-prefix-map={}={to}", from.display())))
        .collect();
    // Compilers of some distributions fortify by default, which needs functions of glibc.
    flags.push("-U_FORTIFY_SOURCE".to_owned());
    flags.join(" ")
}

/// Verifies that `program` is a complete, static, stripped ELF program for `arch`.
fn verify_elf(program: &Path, arch: Arch) -> Result<()> {
    let shell = Shell::new()?;
    let readelf = shell.cmd("readelf").args(["--wide", "--file-header", "--segments"]);
    let readelf = cmd::clean_env(readelf.arg("--sections").arg(program)).env("LC_ALL", "C");
    let output = readelf.quiet().ignore_status().output().context("running readelf")?;
    let report = String::from_utf8_lossy(&output.stdout);
    let has = |word: &str| report.split_whitespace().any(|found| found == word);
    ensure!(has("ELF64") && has("little"), "not a 64-bit little-endian ELF file");
    let expected = arch.elf_machine();
    let found = report.lines().find_map(|line| line.trim_start().strip_prefix("Machine:"));
    let found = found.unwrap_or_default().trim();
    ensure!(found == expected, "expected ELF machine {expected} ({arch}), found {found}");
    ensure!(!has("INTERP"), "the program needs a dynamic loader, which the image does not contain");
    ensure!(!has("SYMTAB"), "the program is not stripped");
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(errors.is_empty(), "readelf reports: {}", errors.trim_end().replace('\n', "; "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toolchain(lld: Option<&str>) -> Toolchain {
        Toolchain {
            target: "x86_64-unknown-linux-musl".to_owned(),
            rustc: "rustc 1".to_owned(),
            commit: "abc".to_owned(),
            sysroot: PathBuf::from("/rust"),
            cc: "cc".to_owned(),
            ar: "ar".to_owned(),
            cc_version: "gcc 1".to_owned(),
            lld: lld.map(PathBuf::from),
        }
    }

    #[test]
    fn flags_map_all_directories_and_set_the_linker() {
        let maps = [(PathBuf::from("/home/a b"), "/ocidd".to_owned())];
        let flags = rust_flags(&toolchain(Some("/rust/lld")), &maps);
        assert!(flags.starts_with("--remap-path-prefix=/home/a b=/ocidd\x1f"), "{flags}");
        assert!(
            flags.contains("-Clinker=/rust/lld\x1f")
                && flags.ends_with("\x1f-Clink-arg=--build-id=none"),
            "{flags}"
        );
        assert!(
            rust_flags(&toolchain(None), &maps)
                .ends_with("-Clinker=cc\x1f-Clink-arg=-Wl,--build-id=none")
        );
        assert_eq!(c_flags(&maps), "'-ffile-prefix-map=/home/a b=/ocidd' -U_FORTIFY_SOURCE");
    }

    #[test]
    fn maps_a_linked_directory_by_both_paths() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap().join("real");
        let link = real.with_file_name("link");
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let name = || "/x".to_owned();
        assert_eq!(
            with_real_paths(vec![(link.clone(), name())]),
            [(link, name()), (real.clone(), name())]
        );
        assert_eq!(with_real_paths(vec![(real.clone(), name())]), [(real, name())]);
    }

    /// A header with one segment and one section of these types.
    fn program(machine: u8, segment: u32, section: u32) -> Vec<u8> {
        let mut bytes = vec![0; 192];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[18] = machine;
        bytes[32] = 64;
        bytes[40] = 128;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes[58] = 64;
        bytes[60] = 1;
        bytes[64..68].copy_from_slice(&segment.to_le_bytes());
        bytes[132..136].copy_from_slice(&section.to_le_bytes());
        bytes
    }

    #[test]
    fn accepts_only_static_stripped_programs() {
        const PT_INTERP: u32 = 3;
        const SHT_SYMTAB: u32 = 2;
        let file = tempfile::NamedTempFile::new().unwrap();
        let verify = |bytes: &[u8]| {
            std::fs::write(file.path(), bytes).unwrap();
            verify_elf(file.path(), Arch::X86_64).map_err(|error| error.to_string())
        };
        let good = program(62, 1, 1);
        assert_eq!(verify(&good), Ok(()));
        for (bytes, fact) in [
            (program(183, 1, 1), "X86-64 (x86_64), found AArch64"),
            (program(62, PT_INTERP, 1), "dynamic loader"),
            (program(62, 1, SHT_SYMTAB), "not stripped"),
            (b"#!/bin/sh\n".to_vec(), "not a 64-bit"),
            (good[..100].to_vec(), "extends past end of file"),
            (vec![], "not a 64-bit"),
        ] {
            let error = verify(&bytes).unwrap_err();
            assert!(error.contains(fact), "{fact}: {error}");
        }
    }

    #[test]
    fn rejects_a_dynamic_program() {
        let own = std::env::current_exe().unwrap();
        assert!(verify_elf(&own, Arch::host().unwrap()).is_err());
    }
}
