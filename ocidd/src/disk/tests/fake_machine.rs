//! A sysfs and a procfs in a temporary directory, with the directories and links of the kernel
//! (compared with Linux 6.1 under QEMU).

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

#[derive(Debug)]
pub(crate) struct FakeMachine {
    root: tempfile::TempDir,
}

impl FakeMachine {
    pub(crate) fn new() -> Self {
        let machine = Self { root: tempfile::tempdir().unwrap() };
        for folder in ["sys/devices", "sys/block", "sys/class/block", "proc/self"] {
            fs::create_dir_all(machine.root.path().join(folder)).unwrap();
        }
        machine
    }

    pub(crate) fn sys(&self) -> PathBuf {
        self.root.path().join("sys")
    }

    pub(crate) fn proc(&self) -> PathBuf {
        self.root.path().join("proc")
    }

    /// A disk at `place` below `devices/`, 1 MiB large unless `files` say otherwise. Names in `files` begin at the disk's folder.
    pub(crate) fn disk(&self, place: &str, number: &str, files: &[(&str, &str)]) {
        let name = Path::new(place).file_name().unwrap().to_str().unwrap();
        let folder = self.sys().join("devices").join(place);
        fs::create_dir_all(&folder).unwrap();
        symlink(format!("../devices/{place}"), self.sys().join("block").join(name)).unwrap();
        self.link_class(name, place);
        self.link_subsystems(&folder);
        let parent = folder.parent().unwrap();
        if parent.ends_with("block") && parent.parent().unwrap().join("subsystem").exists() {
            let device = parent.parent().unwrap().file_name().unwrap().to_str().unwrap();
            symlink(format!("../../../{device}"), folder.join("device")).unwrap();
        } else if !parent.ends_with("block") {
            let device = parent.file_name().unwrap().to_str().unwrap();
            symlink(format!("../../{device}"), folder.join("device")).unwrap();
        }
        let number = format!("{number}\n");
        let usual = [
            ("dev", number.as_str()),
            ("size", "2048\n"),
            ("ro", "0\n"),
            ("removable", "0\n"),
            ("hidden", "0\n"),
            ("queue/logical_block_size", "512\n"),
        ];
        for (file, text) in usual.iter().chain(files) {
            Self::write(&folder, file, text);
        }
    }

    pub(crate) fn partition(&self, disk: &str, name: &str, number: &str) {
        let folder = self.sys().join("block").join(disk).canonicalize().unwrap();
        let devices = self.sys().join("devices").canonicalize().unwrap();
        let place = folder.strip_prefix(devices).unwrap().join(name);
        for (file, text) in [("partition", "1\n"), ("size", "2048\n"), ("ro", "0\n")] {
            Self::write(&folder.join(name), file, text);
        }
        Self::write(&folder.join(name), "dev", format!("{number}\n"));
        self.link_class(name, place.to_str().unwrap());
    }

    /// A virtual device over the disk or partition `held`.
    pub(crate) fn holder(&self, held: &str, name: &str, files: &[(&str, &str)]) {
        self.disk(&format!("virtual/block/{name}"), "253:0", files);
        let folder = self.sys().join("class/block").join(held).join("holders");
        fs::create_dir_all(&folder).unwrap();
        symlink(self.sys().join("block").join(name), folder.join(name)).unwrap();
    }

    pub(crate) fn mounts(&self, lines: &[&str]) {
        Self::write(&self.proc(), "self/mountinfo", lines.join("\n") + "\n");
    }

    pub(crate) fn swaps(&self, lines: &[&str]) {
        let head = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        Self::write(&self.proc(), "swaps", format!("{head}{}\n", lines.join("\n")));
    }

    /// An attribute of any folder below `devices/`.
    pub(crate) fn attribute(&self, file: &str, text: impl AsRef<[u8]>) {
        Self::write(&self.sys().join("devices"), file, text);
    }

    fn write(folder: &Path, file: &str, text: impl AsRef<[u8]>) {
        let file = folder.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    fn link_class(&self, name: &str, place: &str) {
        symlink(format!("../../devices/{place}"), self.sys().join("class/block").join(name))
            .unwrap();
    }

    fn link_subsystems(&self, folder: &Path) {
        let devices = self.sys().join("devices");
        for parent in folder.ancestors().take_while(|parent| *parent != devices) {
            let name = parent.file_name().unwrap().to_str().unwrap();
            let subsystem = if parent == folder { "class/block" } else { subsystem_of(name) };
            if subsystem.is_empty() || parent.join("subsystem").is_symlink() {
                continue;
            }
            let depth = parent.strip_prefix(self.sys()).unwrap().iter().count();
            fs::create_dir_all(self.sys().join(subsystem)).unwrap();
            symlink("../".repeat(depth) + subsystem, parent.join("subsystem")).unwrap();
        }
    }
}

/// What the kernel links a folder of this name to; none where it makes no such link.
fn subsystem_of(name: &str) -> &'static str {
    let colons = name.matches(':').count();
    let begins = |mark: &str| {
        name.strip_prefix(mark).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    if begins("nvme-subsys") {
        "class/nvme-subsystem"
    } else if begins("nvme") {
        "class/nvme"
    } else if begins("virtio") {
        "bus/virtio"
    } else if begins("host") || begins("target") || colons == 3 {
        "bus/scsi"
    } else if begins("mmc") && colons == 1 {
        "bus/mmc"
    } else if begins("mmc") {
        "class/mmc_host"
    } else if begins("vbd-") {
        "bus/xen"
    } else if colons == 0 && name.contains('.') {
        "bus/platform"
    } else if begins("usb") || begins("") && name.contains('-') {
        "bus/usb"
    } else if begins("") && colons == 2 {
        "bus/pci"
    } else {
        ""
    }
}
