//! Which compilers make the programs of the image. Goes in: an architecture. Comes out: a Rust target whose standard library is installed, and the C compiler
//! and linker for it. The programs are always static; musl is preferred because Rust brings it along, whatever the machine's own C library is.

use crate::arch::Arch;
use crate::cmd;
use crate::project;
use crate::report;
use crate::sources;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;
use xshell::Shell;

/// Compilers that work together.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// The Rust target.
    pub target: String,
    /// What the Rust compiler says of its version.
    pub rustc: String,
    /// The commit the Rust compiler was built from, which its standard library has in its paths.
    pub commit: String,
    pub sysroot: PathBuf,
    /// The C compiler and archiver: their names, to be looked up in `PATH`.
    pub cc: String,
    pub ar: String,
    /// What the C compiler says of its version.
    pub cc_version: String,
    /// Rust's own linker, where it can be used: then the machine's linker does not matter. Else the C compiler links.
    pub lld: Option<PathBuf>,
}

/// The compilers for `arch`, after adding the Rust target where it is missing.
pub fn select(arch: Arch) -> Result<Toolchain> {
    let version = rustc(&["-vV"])?;
    let field = |name: &str| {
        version
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let sysroot = PathBuf::from(rustc(&["--print", "sysroot"])?.trim());
    let target = install_target(arch, &sysroot)?;
    let lld = sysroot.join("lib/rustlib").join(field("host:")).join("bin/rust-lld");
    let prefix = if Arch::host() == Some(arch) { "" } else { arch.cross_prefix() };
    // On its own architecture a machine's choice of compiler is `cc`; another's has GNU's name.
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

/// The targets that can make static programs, the preferred one first.
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
            "building for {gnu} instead: the programs depend on this machine's C library and differ from a release's"
        ));
        return Ok(gnu);
    }
    Err(anyhow!(
        "neither {musl} nor {gnu} is installed in {}  hint: rustup target add {musl}",
        sysroot.display()
    ))
}

fn is_installed(sysroot: &Path, target: &str) -> bool {
    sysroot.join("lib/rustlib").join(target).join("lib").is_dir()
}

fn add_target(target: &str) -> Result<()> {
    let adding = || format!("adding the Rust target {target}");
    let rustup = cmd::find("rustup")
        .ok_or_else(|| anyhow!("there is no rustup in PATH"))
        .with_context(adding)?;
    if sources::is_offline() {
        return Err(anyhow!("--offline asks no host")).with_context(adding);
    }
    report::step(adding());
    let shell = project_shell()?;
    shell.cmd(rustup).args(["target", "add", target]).quiet().run().with_context(adding)
}

fn rustc(args: &[&str]) -> Result<String> {
    let program = std::env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    let shell = project_shell()?;
    shell.cmd(program).args(args).quiet().read().context("asking the Rust compiler about itself")
}

/// In the project, rustup obeys its `rust-toolchain.toml`.
fn project_shell() -> Result<Shell> {
    let shell = Shell::new()?;
    shell.change_dir(project::root());
    Ok(shell)
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
    fn finds_the_compilers_of_this_machine() {
        let Some(host) = Arch::host() else { return };
        let toolchain = select(host).unwrap();
        assert!(toolchain.rustc.starts_with("rustc 1."), "{toolchain:?}");
        assert!(
            toolchain.target.starts_with(host.cpu()) && !toolchain.cc_version.is_empty(),
            "{toolchain:?}"
        );
    }
}
