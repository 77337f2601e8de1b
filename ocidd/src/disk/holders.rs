//! Users of a disk and its partitions: mounts and swap from procfs, volumes and arrays from sysfs.

use std::{fs, path::Path};

use crate::disk::sysfs::{block_folder, node, read_names, read_partition_names, read_text};

/// Prefixes of the UUID of a device mapper volume, and what it belongs to
/// (Documentation/admin-guide/device-mapper in the kernel).
const VOLUMES: [(&str, &str); 3] =
    [("LVM-", "LVM volume"), ("CRYPT-", "encrypted volume"), ("mpath-", "multipath disk")];

/// All uses of the block device `name` and its partitions that must end before the disk may be
/// overwritten: `/dev/sda1 is mounted on /boot`. `sys` and `proc` are a mounted sysfs and procfs.
/// Mounts in other namespaces are not visible.
pub fn read_holders(sys: &Path, proc: &Path, name: &str) -> Vec<String> {
    let mounts = parse_mounts(&read_table(&proc.join("self/mountinfo")));
    let swaps = parse_swaps(&read_table(&proc.join("swaps")));
    let disk = block_folder(sys, name);
    let mut holders = Vec::new();
    for part in std::iter::once(name.to_owned()).chain(read_partition_names(&disk)) {
        let folder = block_folder(sys, &part);
        let device = node(&part);
        let number = read_text(&folder.join("dev"));
        let mut add = |hold: String| holders.push(format!("{device} {hold}"));
        for [mount, point, source] in &mounts {
            // Mounts of btrfs have a number of their own; compare the source as well.
            if Some(mount) == number.as_ref() || *source == device {
                add(format!("is mounted on {point}"));
            }
        }
        if swaps.contains(&device) {
            add("is swap".to_owned());
        }
        for holder in read_names(&folder.join("holders")) {
            add(read_hold(sys, holder));
        }
    }
    holders
}

/// How the block device `holder` uses the devices below it.
fn read_hold(sys: &Path, holder: String) -> String {
    let folder = block_folder(sys, &holder);
    if folder.join("dm").exists() {
        let uuid = read_text(&folder.join("dm/uuid")).unwrap_or_default();
        let kind = VOLUMES.iter().find(|(prefix, _)| uuid.starts_with(prefix));
        let kind = kind.map_or("mapped volume", |(_, kind)| kind);
        let name = read_text(&folder.join("dm/name")).unwrap_or(holder);
        return format!("belongs to {kind} {name}");
    }
    if folder.join("md").exists() {
        let level = read_text(&folder.join("md/level")).map(|level| format!(" ({level})"));
        return format!("belongs to RAID array {holder}{}", level.unwrap_or_default());
    }
    format!("is held by {holder}")
}

/// Number (`major:minor`), point and source of each mount. Lines of `mountinfo` are `id parent
/// major:minor root point options [tags…] - type source options` (proc(5)).
fn parse_mounts(text: &str) -> Vec<[String; 3]> {
    let parse = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(2);
        let number = left.next()?.to_owned();
        Some([number, unescape(left.nth(1)?), unescape(right.split(' ').nth(1)?)])
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
    let start = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(start, |name, piece| {
        let escaped = piece.split_at_checked(3).and_then(|(digits, rest)| {
            Some((char::from(u8::from_str_radix(digits, 8).ok()?), rest))
        });
        match escaped {
            Some((escaped, rest)) => format!("{name}{escaped}{rest}"),
            None => format!("{name}\\{piece}"),
        }
    })
}

#[cfg(test)]
mod tests;
