//! Builds the workspace's programs for the image. Goes in: names of packages and a toolchain. Comes out: static, stripped programs, with the same bytes
//! wherever the workspace, cargo's folder and the build folder lie, and whatever the caller's environment says.

use crate::arch::Arch;
use crate::cmd;
use crate::elf;
use crate::project;
use crate::report;
use crate::sources;
use crate::toolchain::Toolchain;
use anyhow::Context as _;
use anyhow::Result;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;
use xshell::Cmd;
use xshell::Shell;

/// What cargo and rustup may know of the caller: where their own files are, and how they reach the network. All else stays outside,
/// `RUSTFLAGS`, `CFLAGS`, `CARGO_PROFILE_*` and `CARGO_BUILD_*` above all.
const PASSED: [&str; 16] = [
    "HOME",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "RUSTC",
    "TMPDIR",
    "TERM",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
];
const PASSED_PREFIXES: [&str; 3] = ["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR"];

/// What separates flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\x1f";

/// The programs of `packages`, by package.
pub fn build(
    packages: &BTreeSet<&str>,
    arch: Arch,
    toolchain: &Toolchain,
) -> Result<BTreeMap<String, Vec<u8>>> {
    let names: Vec<&str> = packages.iter().copied().collect();
    let building = || format!("building {} for {}", names.join(" and "), toolchain.target);
    report::step(building());
    // A folder of its own: flags differ from those of everyday builds, which would rebuild each other's files.
    let target_dir = project::root().join("target/image");
    let maps = path_maps(&target_dir, toolchain).with_context(building)?;
    let shell = Shell::new()?;
    // Without ocidd's author side, which no machine needs while it is installed.
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
        elf::verify(&bytes, arch).with_context(|| format!("checking {}", path.display()))?;
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
            PASSED.contains(&name) || PASSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        });
        if is_passed {
            cargo = cargo.env(name, value);
        }
    }
    if sources::is_offline() { cargo.env("CARGO_NET_OFFLINE", "true") } else { cargo }
}

/// A folder, and what programs shall have in its place in their messages and in debuggers' data.
type PathMap = (PathBuf, String);

/// Every folder that compilers read from, under names that are the same everywhere. The last that fits a path counts.
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
    let metadata =
        cargo(&shell).args(arguments).read().context("asking cargo where packages lie")?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("parsing cargo's answer")?;
    let mut maps =
        vec![(project::root(), "/ocidd".to_owned()), (target_dir.to_owned(), "/target".to_owned())];
    // The standard library's paths begin so, unless its sources are installed.
    maps.push((
        toolchain.sysroot.join("lib/rustlib/src/rust"),
        format!("/rustc/{}", toolchain.commit),
    ));
    // Each package by itself, since registries, mirrors and vendored folders name the folders differently.
    for package in metadata.packages.into_iter().filter(|package| package.source.is_some()) {
        let folder = package.manifest_path.parent().map(Path::to_path_buf).unwrap_or_default();
        maps.push((folder, format!("/cargo/{}-{}", package.name, package.version)));
    }
    Ok(with_real_paths(maps))
}

/// Compilers see some folders through links and others as they really are, so both are mapped.
fn with_real_paths(maps: Vec<PathMap>) -> Vec<PathMap> {
    let both = |(folder, name): PathMap| {
        let real = folder
            .canonicalize()
            .ok()
            .filter(|real| *real != folder)
            .map(|real| (real, name.clone()));
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
        // Lets flags hold spaces and quotes.
        .env("CC_SHELL_ESCAPED_FLAGS", "1")
}

fn rust_flags(toolchain: &Toolchain, maps: &[PathMap]) -> String {
    let mut flags: Vec<String> = maps
        .iter()
        .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()))
        .collect();
    flags.push("-Ctarget-feature=+crt-static".to_owned());
    // A build ID hashes what stripping removes, paths included.
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
    // Distributions that fortify by default make C code call functions that only glibc has.
    flags.push("-U_FORTIFY_SOURCE".to_owned());
    flags.join(" ")
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
    fn flags_hide_every_folder_and_choose_the_linker() {
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
    fn maps_a_linked_folder_by_both_its_paths() {
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
}
