//! Mounts the kernel's file systems and temporary ones from one table. No disk is mounted.

use std::ffi::CStr;

use anyhow::Context as _;
use rustix::{
    io::Errno,
    mount::{MountFlags, mount},
};

#[derive(Debug)]
struct Mount {
    fs: &'static str,
    target: &'static str,
    flags: MountFlags,
    options: &'static CStr,
}

const NOSUID: MountFlags = MountFlags::NOSUID;
const NODEV: MountFlags = NOSUID.union(MountFlags::NODEV);
const NODEV_NOEXEC: MountFlags = NODEV.union(MountFlags::NOEXEC);
const NOEXEC: MountFlags = NOSUID.union(MountFlags::NOEXEC);

/// In mount order: `/dev/pts` is inside `/dev`.
const MOUNTS: [Mount; 6] = [
    Mount { fs: "proc", target: "/proc", flags: NODEV_NOEXEC, options: c"" },
    Mount { fs: "sysfs", target: "/sys", flags: NODEV_NOEXEC, options: c"" },
    Mount { fs: "devtmpfs", target: "/dev", flags: NOEXEC, options: c"" },
    Mount { fs: "devpts", target: "/dev/pts", flags: NOEXEC, options: c"mode=0620,ptmxmode=0666" },
    Mount { fs: "tmpfs", target: "/run", flags: NODEV_NOEXEC, options: c"mode=0755" },
    // Users of the emergency shell can run scripts from here.
    Mount { fs: "tmpfs", target: "/tmp", flags: NODEV, options: c"mode=1777" },
];

/// Mounts all entries and returns the errors.
pub(crate) fn mount_all() -> Vec<anyhow::Error> {
    MOUNTS.iter().filter_map(|entry| mount_one(entry).err()).collect()
}

fn mount_one(entry: &Mount) -> anyhow::Result<()> {
    let Mount { fs, target, flags, options } = *entry;
    std::fs::create_dir_all(target).with_context(|| format!("creating {target}"))?;
    match mount(fs, target, fs, flags, options) {
        // Some kernels mount devtmpfs on their own.
        Ok(()) | Err(Errno::BUSY) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("mounting {fs} on {target}")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn targets_are_absolute_and_unique() {
        for (index, entry) in MOUNTS.iter().enumerate() {
            assert!(Path::new(entry.target).is_absolute(), "{}", entry.target);
            let again = MOUNTS[..index].iter().any(|earlier| earlier.target == entry.target);
            assert!(!again, "{} is mounted twice", entry.target);
        }
    }

    #[test]
    fn no_mount_hides_an_earlier_one() {
        for (index, entry) in MOUNTS.iter().enumerate() {
            for earlier in &MOUNTS[..index] {
                let hidden = Path::new(earlier.target).starts_with(entry.target);
                assert!(!hidden, "{} hides {}", entry.target, earlier.target);
            }
        }
    }

    #[test]
    fn only_device_file_systems_allow_devices_and_none_allows_suid() {
        for entry in &MOUNTS {
            assert!(entry.flags.contains(MountFlags::NOSUID), "{}", entry.target);
            let holds_devices = ["devtmpfs", "devpts"].contains(&entry.fs);
            assert_ne!(entry.flags.contains(MountFlags::NODEV), holds_devices, "{}", entry.target);
        }
    }
}
