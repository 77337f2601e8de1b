//! Reads attributes of sysfs and procfs. A missing attribute is common, and `None`.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The directory of the block device `name`, a disk or a partition.
pub(crate) fn block_folder(sys: &Path, name: &str) -> PathBuf {
    sys.join("class/block").join(name)
}

/// The device node of the block device `name`.
pub(crate) fn node(name: &str) -> String {
    format!("/dev/{}", name.replace('!', "/")) // sysfs writes the slash of cciss/c0d0 as '!'.
}

/// The name of the block device with the device node `real`.
pub(crate) fn name_of_node(real: &Path) -> String {
    real.strip_prefix("/dev").unwrap_or(real).to_string_lossy().replace('/', "!")
}

/// The text of an attribute, cleaned by [`clean`].
pub(crate) fn read_text(file: &Path) -> Option<String> {
    clean(&fs::read(file).ok()?)
}

/// Bytes of a device as printable text: devices pad names with blanks or NULs, and escape sequences
/// must not reach the console. Each run of unprintable characters and blanks becomes one blank.
/// `None` if nothing is left.
pub(crate) fn clean(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|w| !w.is_empty())
        .collect();
    Some(words.join(" ")).filter(|text| !text.is_empty())
}

/// The sorted names in a directory; none if it cannot be read.
pub(crate) fn read_names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// The names of the partitions of the disk in `folder`.
pub(crate) fn read_partition_names(folder: &Path) -> Vec<String> {
    let mut names = read_names(folder);
    names.retain(|name| folder.join(name).join("partition").exists());
    names
}

/// The bus or class of a device: `pci`, `scsi`, `block`.
pub(crate) fn read_subsystem(folder: &Path) -> Option<String> {
    name_of(&fs::read_link(folder.join("subsystem")).ok()?)
}

pub(crate) fn name_of(path: &Path) -> Option<String> {
    path.file_name()?.to_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans_what_devices_say() {
        for (bytes, text) in [
            (&b"QEMU HARDDISK   \n"[..], Some("QEMU HARDDISK")),
            (b"  Z1D0\0\0", Some("Z1D0")),
            (b"A\x1b[2JB", Some("A [2JB")),
            (b"t10.ATA     DISK   1", Some("t10.ATA DISK 1")),
            (b"\xff1", Some("\u{fffd}1")),
            (b" \n", None),
        ] {
            assert_eq!(clean(bytes).as_deref(), text);
        }
    }
}
