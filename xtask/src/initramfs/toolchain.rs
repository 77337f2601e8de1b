//! Selects the Rust target, C compiler and linker of the image's programs. They are always static;
//! musl is preferred, because Rust includes it.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow};

use crate::{
    host::{arch::Arch, cmd, project, report, report::hinted},
    sources,
};

/// A Rust target and its compilers.
#[derive(Clone, Debug)]
pub struct Toolchain {
    pub target: String,
    /// First line of `rustc --version`.
    pub rustc: String,
    /// The commit of the Rust compiler, which the paths of its standard library contain.
    pub commit: String,
    pub sysroot: PathBuf,
    /// Names of the C compiler and archiver in `PATH`.
    pub cc: String,
    pub ar: String,
    /// First line of the C compiler's `--version`.
    pub cc_version: String,
    /// Rust's own linker, for musl targets; otherwise the C compiler links.
    pub lld: Option<PathBuf>,
}

/// The compilers for `arch`. Adds a missing Rust target.
pub fn select(arch: Arch) -> Result<Toolchain> {
    let version = rustc(&["-vV"])?;
    let field = |name: &str| {
        let value = version.lines().find_map(|line| line.strip_prefix(name));
        value.unwrap_or_default().trim().to_owned()
    };
    let sysroot = PathBuf::from(rustc(&["--print", "sysroot"])?.trim());
    let target = install_target(arch, &sysroot)?;
    let lld = sysroot.join("lib/rustlib").join(field("host:")).join("bin/rust-lld");
    let prefix = arch.cross_prefix();
    // The host's default compiler is `cc`, cross compilers have GNU names.
    let cc = if prefix.is_empty() { "cc".to_owned() } else { format!("{prefix}gcc") };
    Ok(Toolchain {
        rustc: version.lines().next().unwrap_or_default().to_owned(),
        commit: field("commit-hash:"),
        cc_version: cmd::version(&cc)?,
        ar: format!("{prefix}ar"),
        lld: (target.ends_with("-musl") && lld.is_file()).then_some(lld),
        cc,
        target,
        sysroot,
    })
}

/// Targets for static programs, the preferred one first.
fn candidates(arch: Arch) -> [String; 2] {
    ["musl", "gnu"].map(|library| format!("{}-unknown-linux-{library}", arch.cpu()))
}

fn install_target(arch: Arch, sysroot: &Path) -> Result<String> {
    let [musl, gnu] = candidates(arch);
    let is_installed = |target: &str| is_installed(sysroot, target);
    if is_installed(&musl) {
        return Ok(musl);
    }
    match add_target(&musl) {
        Ok(()) if is_installed(&musl) => return Ok(musl),
        Ok(()) => report::warn(format_args!(
            "rustup added {musl} to another toolchain than {}",
            sysroot.display()
        )),
        Err(error) => report::warn(format_args!("{error:#}")),
    }
    if is_installed(&gnu) {
        report::warn(format_args!(
            "building for {gnu} instead, with this machine's C library, unlike a release"
        ));
        return Ok(gnu);
    }
    let fact = format!("neither {musl} nor {gnu} is installed in {}", sysroot.display());
    Err(hinted(fact, format!("run rustup target add {musl}")))
}

fn is_installed(sysroot: &Path, target: &str) -> bool {
    sysroot.join("lib/rustlib").join(target).join("lib").is_dir()
}

fn add_target(target: &str) -> Result<()> {
    let adding = || format!("adding the Rust target {target}");
    let rustup = cmd::find("rustup")
        .ok_or_else(|| anyhow!("rustup not found in PATH"))
        .with_context(adding)?;
    if sources::is_offline() {
        return Err(anyhow!("--offline forbids downloads")).with_context(adding);
    }
    report::step(adding());
    let shell = project::shell()?;
    shell.cmd(rustup).args(["target", "add", target]).quiet().run().with_context(adding)
}

fn rustc(args: &[&str]) -> Result<String> {
    let program = std::env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    let shell = project::shell()?;
    shell.cmd(program).args(args).quiet().read().context("running rustc")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefers_musl_and_falls_back_to_gnu() {
        let sysroot = tempfile::tempdir().unwrap();
        let install = |target: &str| {
            let folder = sysroot.path().join("lib/rustlib").join(target).join("lib");
            std::fs::create_dir_all(folder).unwrap();
        };
        let [musl, gnu] = candidates(Arch::Arm64);
        assert_eq!(
            (musl.as_str(), gnu.as_str()),
            ("aarch64-unknown-linux-musl", "aarch64-unknown-linux-gnu")
        );
        install(&gnu);
        assert!(is_installed(sysroot.path(), &gnu) && !is_installed(sysroot.path(), &musl));
        install(&musl);
        assert_eq!(install_target(Arch::Arm64, sysroot.path()).unwrap(), musl);
    }

    #[test]
    fn finds_the_compilers_of_the_host() {
        let Some(host) = Arch::host() else { return };
        let toolchain = select(host).unwrap();
        assert!(toolchain.rustc.starts_with("rustc 1."), "{toolchain:?}");
        assert!(
            toolchain.target.starts_with(host.cpu()) && !toolchain.cc_version.is_empty(),
            "{toolchain:?}"
        );
    }
}
