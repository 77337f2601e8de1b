//! Small files of sysfs and procfs: read and cleaned, or `None`. A missing attribute is usual and no error here.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// The folder of the block device called `name`, disk or partition, below `sys`.
pub(crate) fn block_folder(sys: &Path, name: &str) -> PathBuf {
    sys.join("class/block").join(name)
}

/// The node of the block device called `name`.
pub(crate) fn node(name: &str) -> String {
    format!("/dev/{}", name.replace('!', "/")) // sysfs writes the slash of cciss/c0d0 as '!'.
}

/// What an attribute says, cleaned as [`clean`] does it.
pub(crate) fn read_text(file: &Path) -> Option<String> {
    clean(&fs::read(file).ok()?)
}

/// Bytes of a device as text for people. Devices pad their names with blanks or NULs, and one with an escape sequence in its model must not
/// reach the console: what is no printable character is a blank, and each run of blanks becomes one. `None` where nothing is left.
pub(crate) fn clean(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|w| !w.is_empty())
        .collect();
    Some(words.join(" ")).filter(|text| !text.is_empty())
}

/// The names in a folder, sorted. None where there is no such folder.
pub(crate) fn read_names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// The partitions of the disk in `folder`, by name.
pub(crate) fn read_partition_names(folder: &Path) -> Vec<String> {
    let mut names = read_names(folder);
    names.retain(|name| folder.join(name).join("partition").exists());
    names
}

/// The bus or class a device's folder belongs to: `pci`, `scsi`, `block`.
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
