//! Turns a source in the cache into a tree of files: the kernel's tarball, or the Debian package that holds one.

use crate::cmd;
use crate::debian;
use crate::sources::Source;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use xshell::Shell;

/// Unpacks the kernel's tree into `folder`, which must be there, without the tarball's topmost folder.
pub(super) fn unpack(source: &Source, folder: &Path) -> Result<()> {
    unpack_into(source, folder).with_context(|| format!("unpacking {}", source.path.display()))
}

fn unpack_into(source: &Source, folder: &Path) -> Result<()> {
    let shell = Shell::new()?;
    let tar = shell
        .cmd("tar")
        .args(["-xJ", "--strip-components=1", "--no-same-owner", "--no-same-permissions", "-C"])
        .arg(folder);
    let mut tar = cmd::Background::start(cmd::clean_env(tar), |command| {
        command.stdin(Stdio::piped());
    })?;
    let mut input = tar.child.stdin.take().context("tar has no input")?;
    let fed = if source.path.extension().is_some_and(|extension| extension == "deb") {
        debian::copy_members(&source.path, is_tarball, &mut input).and_then(|count| match count {
            1 => Ok(()),
            _ => bail!(
                "it holds {count} files like ./usr/src/linux-source-6.12.tar.xz, and one is wanted"
            ),
        })
    } else {
        File::open(&source.path)
            .and_then(|mut file| std::io::copy(&mut file, &mut input))
            .map(drop)
            .map_err(Into::into)
    };
    drop(input);
    let status = tar.child.wait()?;
    // Where tar gave up, feeding it broke off; tar has said why on the console.
    if !status.success() {
        bail!("`tar -xJ` ended with {status}");
    }
    fed
}

fn is_tarball(name: &str) -> bool {
    name.starts_with("./usr/src/linux-source-") && name.ends_with(".tar.xz")
}
