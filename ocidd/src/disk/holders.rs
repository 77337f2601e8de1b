//! Users of a disk and its partitions: mounts and swap from procfs, volumes and arrays from sysfs.

use crate::disk::sysfs::block_folder;
use crate::disk::sysfs::node;
use crate::disk::sysfs::read_names;
use crate::disk::sysfs::read_partition_names;
use crate::disk::sysfs::read_text;
use std::fmt;
use std::fs;
use std::path::Path;

/// One use of a disk or a partition, which must end before the disk may be overwritten.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Holder {
    /// The disk or partition, `/dev/…`.
    pub device: String,
    pub hold: Hold,
}

/// How a block device is used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Hold {
    Mount { point: String },
    Swap,
    Volume { kind: VolumeKind, name: String },
    Array { name: String, level: Option<String> },
    Other { name: String },
}

/// Kind of a device mapper volume, by its UUID.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VolumeKind {
    Lvm,
    Encrypted,
    Multipath,
    Mapped,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.device)?;
        match &self.hold {
            Hold::Mount { point } => write!(f, "is mounted on {point}"),
            Hold::Swap => f.write_str("is swap"),
            Hold::Volume { kind, name } => write!(f, "belongs to {} {name}", kind.noun()),
            Hold::Array { name, level: Some(level) } => {
                write!(f, "belongs to RAID array {name} ({level})")
            }
            Hold::Array { name, level: None } => write!(f, "belongs to RAID array {name}"),
            Hold::Other { name } => write!(f, "is held by {name}"),
        }
    }
}

impl VolumeKind {
    /// By the prefix of the UUID (Documentation/admin-guide/device-mapper in the kernel).
    fn of(uuid: &str) -> Self {
        if uuid.starts_with("LVM-") {
            Self::Lvm
        } else if uuid.starts_with("CRYPT-") {
            Self::Encrypted
        } else if uuid.starts_with("mpath-") {
            Self::Multipath
        } else {
            Self::Mapped
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Lvm => "LVM volume",
            Self::Encrypted => "encrypted volume",
            Self::Multipath => "multipath disk",
            Self::Mapped => "mapped volume",
        }
    }
}

/// The holders, separated by commas.
pub fn list(holders: &[Holder]) -> String {
    let all: Vec<String> = holders.iter().map(Holder::to_string).collect();
    all.join(", ")
}

/// All holders of the block device `name` and its partitions. `sys` and `proc` are a mounted sysfs
/// and procfs. Mounts in other namespaces are not visible.
pub fn read_holders(sys: &Path, proc: &Path, name: &str) -> Vec<Holder> {
    let mounts = parse_mounts(&read_table(&proc.join("self/mountinfo")));
    let swaps = parse_swaps(&read_table(&proc.join("swaps")));
    let disk = block_folder(sys, name);
    let mut holders = Vec::new();
    for part in std::iter::once(name.to_owned()).chain(read_partition_names(&disk)) {
        let folder = block_folder(sys, &part);
        let device = node(&part);
        let number = read_text(&folder.join("dev"));
        let mut add = |hold: Hold| holders.push(Holder { device: device.clone(), hold });
        for mount in &mounts {
            // Mounts of btrfs have a number of their own; compare the source as well.
            if Some(&mount.number) == number.as_ref() || mount.source == device {
                add(Hold::Mount { point: mount.point.clone() });
            }
        }
        if swaps.contains(&device) {
            add(Hold::Swap);
        }
        for holder in read_names(&folder.join("holders")) {
            add(read_hold(sys, holder));
        }
    }
    holders
}

/// How the block device `holder` uses the devices below it.
fn read_hold(sys: &Path, holder: String) -> Hold {
    let folder = block_folder(sys, &holder);
    if folder.join("dm").exists() {
        let kind = VolumeKind::of(&read_text(&folder.join("dm/uuid")).unwrap_or_default());
        return Hold::Volume { kind, name: read_text(&folder.join("dm/name")).unwrap_or(holder) };
    }
    if folder.join("md").exists() {
        return Hold::Array { level: read_text(&folder.join("md/level")), name: holder };
    }
    Hold::Other { name: holder }
}

/// A line of `mountinfo`.
#[derive(Debug, Eq, PartialEq)]
struct Mount {
    /// `major:minor`
    number: String,
    point: String,
    source: String,
}

/// Lines are `id parent major:minor root point options [tags…] - type source options` (proc(5)).
fn parse_mounts(text: &str) -> Vec<Mount> {
    let parse = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(2);
        let number = left.next()?.to_owned();
        let point = unescape(left.nth(1)?);
        Some(Mount { number, point, source: unescape(right.split(' ').nth(1)?) })
    };
    text.lines().filter_map(parse).collect()
}

/// The first column, without the header line.
fn parse_swaps(text: &str) -> Vec<String> {
    text.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(unescape).collect()
}

fn read_table(file: &Path) -> String {
    fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The kernel escapes blanks and backslashes in names as `\` and three octal digits.
fn unescape(text: &str) -> String {
    let mut pieces = text.split('\\');
    let mut name = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let escaped = piece.split_at_checked(3).and_then(|(digits, rest)| {
            Some((char::from(u8::from_str_radix(digits, 8).ok()?), rest))
        });
        if let Some((escaped, rest)) = escaped {
            name.push(escaped);
            name.push_str(rest);
        } else {
            name.push('\\');
            name.push_str(piece);
        }
    }
    name
}

#[cfg(test)]
mod tests;
