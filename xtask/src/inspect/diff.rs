//! `cargo xtask diff`: the differences between two initramfs files, entry by entry. `verify` uses
//! the same comparison.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use archive::{
    newc::Record,
    read::{Kind, printable},
};
use xshell::Shell;

use crate::{
    host::{cmd, report},
    inspect::tree,
};

/// The permission to read for group and others.
const READ_BY_OTHERS: u32 = 0o044;

/// Time limit of `diffoscope`. A kernel in all its layers would take an hour.
const DIFFOSCOPE_SECONDS: &str = "300";

/// Compare two initramfs files entry by entry
///
/// Exits with 0 if both unpack to the same files, 1 if they differ, 2 if one of them cannot be
/// read. Each file may contain several archives. The result that the kernel would unpack is
/// compared, so the order of entries, inode numbers and the compression are ignored. If
/// `diffoscope` is installed and every file is readable by others, its report of the contents
/// follows.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask diff release/initramfs-amd64.gz out/initramfs-amd64.gz
      Show the effect of a change: '-' only in the first, '+' only in the second, '~' changed
  cargo xtask diff out/initramfs-amd64.gz initramfs-site.gz
      Show what an overlay adds
  cargo xtask diff A B >/dev/null && echo equal
      Use it in a script")]
pub struct Args {
    /// The old initramfs
    a: PathBuf,
    /// The new initramfs
    b: PathBuf,
}

pub fn run(args: &Args) -> ExitCode {
    match compare(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            report::failure(&error);
            ExitCode::from(2)
        }
    }
}

/// Prints all differences. Returns whether the files are equal.
fn compare(args: &Args) -> Result<bool> {
    let entries = |path| -> Result<Vec<Record>> {
        Ok(tree::read(path)?.into_iter().flat_map(|part| part.members).collect())
    };
    let (one, other) = (entries(&args.a)?, entries(&args.b)?);
    let differences = differences(&one, &other);
    if differences.is_empty() {
        return Ok(true);
    }
    // One write: a reader like `head` may end before the last line.
    report::result(differences.join("\n"));
    // Keeps the credentials of an overlay out of CI logs.
    if one.iter().chain(&other).any(is_protected) {
        return Ok(false);
    }
    match diffoscope(&args.a, &args.b)? {
        Some(text) => report::result(text),
        None => report::step("hint: install diffoscope to compare the contents of files"),
    }
    Ok(false)
}

fn is_protected(entry: &Record) -> bool {
    entry.kind() == Kind::FILE && entry.permissions() & READ_BY_OTHERS == 0
}

/// The report of `diffoscope` on two different files, or `None` if it is not installed.
pub fn diffoscope(one: &Path, other: &Path) -> Result<Option<String>> {
    if cmd::find("diffoscope").is_none() {
        return Ok(None);
    }
    report::step("running diffoscope");
    let shell = Shell::new()?;
    let diffoscope = shell.cmd("diffoscope").args(["--timeout", DIFFOSCOPE_SECONDS, "--text", "-"]);
    // Its exit status is 1 if the files differ.
    let run = cmd::clean_env(diffoscope.arg(one).arg(other)).env("LC_ALL", "C.UTF-8").quiet();
    Ok(Some(run.ignore_status().read().context("running diffoscope")?))
}

/// The differences between the results that the kernel would unpack: one line for each path,
/// sorted.
pub fn differences(one: &[Record], other: &[Record]) -> Vec<String> {
    let (one, other) = (by_path(one), by_path(other));
    let difference = |path: &&str| {
        let (sign, text) = match (one.get(path), other.get(path)) {
            (Some(one), Some(other)) => ('~', changes(one, other)?),
            (Some(one), None) => ('-', summary(one)),
            (None, other) => ('+', summary(other?)),
        };
        Some(format!("{sign} {}: {text}", printable(path)))
    };
    let paths: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    paths.into_iter().filter_map(difference).collect()
}

/// The entries after unpacking: the last one wins, and `./a` and `/a` are `a`.
fn by_path(entries: &[Record]) -> BTreeMap<&str, &Record> {
    entries
        .iter()
        .map(|entry| (entry.path.trim_start_matches("./").trim_start_matches('/'), entry))
        .collect()
}

fn summary(entry: &Record) -> String {
    let text = format!("{}, mode {:04o}", entry.kind().name, entry.permissions());
    match entry.kind() {
        Kind::FILE => format!("{text}, {} bytes", entry.content.len()),
        Kind::LINK => format!("{text}, to {}", target(entry)),
        Kind::CHARACTERS | Kind::BLOCKS => format!("{text}, {}", device(entry)),
        _ => text,
    }
}

fn target(entry: &Record) -> String {
    format!("'{}'", printable(&String::from_utf8_lossy(&entry.content)))
}

fn device(entry: &Record) -> String {
    format!("{},{}", entry.device.0, entry.device.1)
}

/// The fields that differ, with both values.
fn changes(one: &Record, other: &Record) -> Option<String> {
    let mut changes = Vec::new();
    let mut compare = |name: &str, value: &dyn Fn(&Record) -> String| {
        let (one, other) = (value(one), value(other));
        if one != other {
            changes.push(format!("{name} {one} became {other}"));
        }
    };
    let both = |kind| [one, other].iter().all(|entry| entry.kind() == kind);
    compare("kind", &|entry| entry.kind().name.to_owned());
    compare("mode", &|entry| format!("{:04o}", entry.permissions()));
    compare("uid", &|entry| entry.uid.to_string());
    compare("gid", &|entry| entry.gid.to_string());
    compare("mtime", &|entry| tree::time(entry.mtime));
    // The links of a directory count its subdirectories, which have lines of their own.
    if [one, other].iter().all(|entry| entry.kind() != Kind::DIRECTORY) {
        compare("number of links", &|entry| entry.links.to_string());
    }
    if one.is_device() && other.is_device() {
        compare("device", &device);
    }
    if both(Kind::LINK) {
        compare("target", &target);
    } else if one.content != other.content {
        changes.push(content_difference(&one.content, &other.content));
    }
    (!changes.is_empty()).then(|| changes.join("; "))
}

/// The sizes of two unequal contents and the first byte that differs.
pub fn content_difference(one: &[u8], other: &[u8]) -> String {
    let equal = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let size = if one.len() == other.len() {
        format!("content of {} bytes", one.len())
    } else {
        format!("content of {} bytes became {}", one.len(), other.len())
    };
    format!("{size}, different from byte {equal} on")
}

#[cfg(test)]
mod tests;
