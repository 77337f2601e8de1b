//! What a build leaves unsaid and the machine has to be asked for: the commit, the kernel's linker, the C library in the programs.

use crate::arch::Arch;
use crate::cmd;
use crate::manifest::Commit;
use crate::manifest::Facts;
use crate::output;
use crate::project;
use crate::report;
use crate::toolchain::Toolchain;
use anyhow::Context as _;
use anyhow::Result;
use serde::Deserialize;
use serde::Serialize;
use std::path::Path;
use xshell::Cmd;
use xshell::Shell;
use xshell::cmd;

/// The machine's answers.
#[derive(Clone, Debug)]
pub struct Asked {
    pub commit: Option<Commit>,
    pub kernel_ld: String,
    pub libc: Libc,
}

/// The C library that programs are linked with.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Libc {
    /// `musl` or `glibc`.
    pub name: String,
    /// The digest of `libc.a`: a distribution mends its library without giving it another version. `None` of musl, like the version:
    /// it comes with the Rust compiler, whose version decides both.
    pub sha256: Option<String>,
    pub version: Option<String>,
}

impl Asked {
    pub fn of(facts: &Facts<'_>) -> Result<Self> {
        let host = Arch::host() == Some(facts.arch);
        let cross = if host { "" } else { facts.arch.cross_prefix() };
        Ok(Self {
            commit: commit(&project::root()),
            kernel_ld: cmd::version(&format!("{cross}ld"))?,
            libc: Libc::of(&facts.image.toolchain)
                .context("finding the C library of the programs")?,
        })
    }
}

/// The commit that is checked out in `root`. `None` where there is none, and where git cannot tell: a build needs no git, so its
/// description does not either.
pub fn commit(root: &Path) -> Option<Commit> {
    // An unpacked archive of the project may lie within somebody else's repository.
    if !root.join(".git").exists() {
        return None;
    }
    match ask_git(root) {
        Ok(commit) => Some(commit),
        Err(error) => {
            report::warn(format_args!("the manifest will name no commit: {error:#}"));
            None
        }
    }
}

fn ask_git(root: &Path) -> Result<Commit> {
    let id = git(root, &["rev-parse", "HEAD"])?;
    let changes = git(root, &["status", "--porcelain", "--untracked-files=normal"])?;
    Ok(Commit { clean: changes.is_empty(), id })
}

/// What git says of the repository in `root`, even where the caller is a hook of another one.
fn git(root: &Path, arguments: &[&str]) -> Result<String> {
    let shell = Shell::new()?;
    shell.change_dir(root);
    let git = ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"]
        .iter()
        .fold(shell.cmd("git"), Cmd::env_remove);
    Ok(git.args(arguments).quiet().read()?)
}

impl Libc {
    /// The library that `toolchain` links statically.
    fn of(toolchain: &Toolchain) -> Result<Self> {
        if toolchain.target.ends_with("-musl") {
            return Ok(Self { name: "musl".to_owned(), sha256: None, version: None });
        }
        let (shell, cc) = (Shell::new()?, &toolchain.cc);
        let library = cmd!(shell, "{cc} -print-file-name=libc.a").quiet().read()?;
        let macros =
            cmd!(shell, "{cc} -E -dM -include features.h -x c /dev/null").quiet().read()?;
        let sha256 = Some(output::digest(Path::new(&library))?);
        Ok(Self { name: "glibc".to_owned(), sha256, version: glibc_version(&macros) })
    }
}

/// The version that glibc's headers define.
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
    fn tells_a_clean_tree_from_a_changed_one() {
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
