//! `cargo xtask tree`: lists the entries of every archive in an initramfs.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use archive::{
    newc::Record,
    read::{Compression, Kind, Part, printable},
};
use jiff::Timestamp;

use crate::{
    host::{arch::Arch, report, report::hinted},
    initramfs,
};

/// List the contents of an initramfs
///
/// Prints one line per entry: mode, owner and group, size (or device numbers), time, path and link
/// target. A file may contain several archives, for example with an overlay. The kernel unpacks all
/// of them, and later entries replace earlier ones.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask tree
      The last build for this machine's architecture
  cargo xtask tree initramfs-site.gz
      An initramfs with an overlay appended
  cargo xtask tree /boot/initrd.img
      Any initramfs that is uncompressed or compressed with gzip")]
pub struct Args {
    /// File to list [default: out/initramfs-ARCH.gz]
    #[arg(conflicts_with = "arch")]
    file: Option<PathBuf>,
    /// Architecture of the initramfs in out/ [default: this machine's]
    #[arg(long)]
    arch: Option<Arch>,
}

pub fn run(args: &Args) -> Result<()> {
    let path = match &args.file {
        Some(path) => path.clone(),
        None => initramfs::output_path(Arch::or_host(args.arch)?),
    };
    // One write: a reader like `head` may end before the last line.
    report::result(listing(&read(&path)?));
    Ok(())
}

pub fn read(path: &Path) -> Result<Vec<Part>> {
    let reading = || format!("reading {}", path.display());
    if !path.exists() {
        let fact = format!("{} not found", path.display());
        return Err(hinted(fact, "run `cargo xtask build-initramfs`"));
    }
    let bytes = std::fs::read(path).with_context(reading)?;
    archive::read::read(&bytes).with_context(reading)
}

fn listing(parts: &[Part]) -> String {
    let members: Vec<&Record> = parts.iter().flat_map(|part| &part.members).collect();
    let owners = members.iter().map(|member| owner(member).len()).max().unwrap_or_default();
    let sizes = members.iter().map(|member| size(member).len()).max().unwrap_or_default();
    let mut lines = Vec::new();
    for Part { start, size: bytes, decompressed_size, compression, members } in parts {
        lines.push(match compression {
            Compression::None => format!("archive at byte {start}: {bytes} bytes"),
            Compression::Gzip => {
                format!(
                    "archive at byte {start}: {bytes} bytes by gzip, {decompressed_size} unpacked"
                )
            }
        });
        for member in members {
            let (mode, owner, size) = (mode(member), owner(member), size(member));
            let (time, name) = (time(member.mtime), name(member));
            lines.push(format!("{mode} {owner:<owners$} {size:>sizes$} {time} {name}"));
        }
        lines.push(totals(&members.iter().collect::<Vec<_>>()));
    }
    if parts.len() > 1 {
        lines.push(format!("{} archives: {}", parts.len(), totals(&members)));
    }
    lines.join("\n")
}

/// The mode in the format of `ls -l`.
fn mode(member: &Record) -> String {
    let bits = member.permissions();
    let mut text = String::from(member.kind().letter);
    // For each class: its bits, and the special bit that replaces its `x`.
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let class = bits >> shift;
        text.push(if class & 4 != 0 { 'r' } else { '-' });
        text.push(if class & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & special != 0, class & 1 != 0) {
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

fn owner(member: &Record) -> String {
    format!("{}:{}", member.uid, member.gid)
}

fn size(member: &Record) -> String {
    if member.is_device() {
        let (major, minor) = member.device;
        return format!("{major},{minor}");
    }
    member.content.len().to_string()
}

/// Formats seconds since 1970.
pub fn time(seconds: u32) -> String {
    Timestamp::from_second(i64::from(seconds))
        .map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

fn name(member: &Record) -> String {
    let path = printable(&member.path);
    if member.kind() == Kind::LINK {
        let target = String::from_utf8_lossy(&member.content);
        return format!("{path} -> {}", printable(&target));
    }
    path
}

fn totals(members: &[&Record]) -> String {
    let count = |kind| members.iter().filter(|member| member.kind() == kind).count();
    let files = members.iter().filter(|member| member.kind() == Kind::FILE);
    let bytes: usize = files.map(|member| member.content.len()).sum();
    let others = count(Kind::PIPE) + count(Kind::SOCKET) + count(Kind::UNKNOWN);
    format!(
        "{} entries: {} files of {bytes} bytes, {} folders, {} links, {} devices{}",
        members.len(),
        count(Kind::FILE),
        count(Kind::DIRECTORY),
        count(Kind::LINK),
        count(Kind::CHARACTERS) + count(Kind::BLOCKS),
        if others > 0 { format!(", {others} others") } else { String::new() }
    )
}

#[cfg(test)]
pub mod tests {
    use archive::{
        gzip, newc,
        tree::{Entry, Tree},
    };

    use super::*;

    /// An archive of these files, padded to whole blocks.
    pub fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let entry = |(path, text): &(&str, &str)| {
            ((*path).to_owned(), Entry::file(0o644, text.as_bytes().to_vec()))
        };
        newc::write(&Tree::new(files.iter().map(entry)).unwrap(), 7).unwrap()
    }

    #[test]
    fn lists_every_kind_with_its_totals() {
        let tree = Tree::new([
            ("bin".to_owned(), Entry::directory(0o755)),
            ("bin/sh".to_owned(), Entry::link("busybox")),
            ("bin/su".to_owned(), Entry::file(0o4754, vec![b'x'; 1234])),
            ("dev/console".to_owned(), Entry::device(0o600, 5, 1)),
            ("tmp".to_owned(), Entry::directory(0o1777)),
            ("tmp/odd".to_owned(), Entry::file(0o7644, vec![])),
        ])
        .unwrap();
        let plain = newc::write(&tree, 1_700_000_000).unwrap();
        let found = listing(&archive::read::read(&plain).unwrap());
        let wanted = "\
archive at byte 0: 2200 bytes
drwxr-xr-x 0:0    0 2023-11-14T22:13:20Z bin
lrwxrwxrwx 0:0    7 2023-11-14T22:13:20Z bin/sh -> busybox
-rwsr-xr-- 0:0 1234 2023-11-14T22:13:20Z bin/su
drwxr-xr-x 0:0    0 2023-11-14T22:13:20Z dev
crw------- 0:0  5,1 2023-11-14T22:13:20Z dev/console
drwxrwxrwt 0:0    0 2023-11-14T22:13:20Z tmp
-rwSr-Sr-T 0:0    0 2023-11-14T22:13:20Z tmp/odd
7 entries: 2 files of 1234 bytes, 3 folders, 1 links, 1 devices";
        assert_eq!(found, wanted);
    }

    #[test]
    fn lists_each_archive_and_the_total() {
        let (one, two) =
            (archive(&[("a", "1")]), gzip::compress(&archive(&[("b", "22")])).unwrap());
        let found = listing(&archive::read::read(&[&one[..], &two].concat()).unwrap());
        let lines: Vec<&str> = found.lines().collect();
        assert_eq!(lines[0], "archive at byte 0: 240 bytes");
        assert_eq!(
            lines[3],
            format!("archive at byte 512: {} bytes by gzip, 512 unpacked", two.len())
        );
        assert_eq!(
            lines[6],
            "2 archives: 2 entries: 2 files of 3 bytes, 0 folders, 0 links, 0 devices"
        );
    }

    #[test]
    fn names_missing_or_broken_file() {
        let folder = tempfile::tempdir().unwrap();
        let missing = report::lines(&read(&folder.path().join("none")).unwrap_err());
        assert!(missing.contains("/none not found\nhint: "), "{missing}");
        let path = folder.path().join("cut");
        std::fs::write(&path, &archive(&[("a", "1")])[..60]).unwrap();
        let broken = format!("{:#}", read(&path).unwrap_err());
        assert!(broken.contains("/cut: reading entry 1 at byte 0: "), "{broken}");
    }
}
