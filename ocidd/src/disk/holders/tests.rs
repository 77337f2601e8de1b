//! Machines whose disks are in use.

use super::*;
use crate::disk::tests::fake_machine::FakeMachine;

fn holders_of(machine: &FakeMachine, name: &str) -> Vec<String> {
    read_holders(&machine.sys(), &machine.proc(), name)
}

fn busy_machine() -> FakeMachine {
    let machine = FakeMachine::new();
    machine.disk("pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda", "8:0", &[]);
    for (number, dev) in ["8:1", "8:2", "8:3", "8:4", "8:5", "8:6"].iter().enumerate() {
        machine.partition("sda", &format!("sda{}", number + 1), dev);
    }
    machine.holder("sda2", "dm-0", &[("dm/name", "vg-root\n"), ("dm/uuid", "LVM-x5Yb\n")]);
    machine.holder("sda4", "md0", &[("md/level", "raid1\n")]);
    machine.holder("sda5", "dm-1", &[("dm/name", "secret\n"), ("dm/uuid", "CRYPT-LUKS2-1\n")]);
    machine.holder("sda5", "bcache0", &[]);
    machine.mounts(&[
        "21 1 0:19 / /proc rw,relatime - proc proc rw",
        "30 1 8:1 / /boot rw,relatime shared:1 - ext4 /dev/sda1 rw",
        "31 1 8:1 /a /mnt/my\\040disk rw - ext4 /dev/sda1 rw",
        "32 1 0:44 / /srv rw - btrfs /dev/sda6 rw,subvol=/",
        "33 1 8:16 / /other rw - ext4 /dev/sdb rw",
    ]);
    machine.swaps(&["/dev/sda3 partition 16380 0 -2", "/dev/sdb1 partition 16380 0 -3"]);
    machine
}

#[test]
fn names_every_holder() {
    assert_eq!(
        holders_of(&busy_machine(), "sda"),
        [
            "/dev/sda1 is mounted on /boot",
            "/dev/sda1 is mounted on /mnt/my disk",
            "/dev/sda2 belongs to LVM volume vg-root",
            "/dev/sda3 is swap",
            "/dev/sda4 belongs to RAID array md0 (raid1)",
            "/dev/sda5 is held by bcache0",
            "/dev/sda5 belongs to encrypted volume secret",
            "/dev/sda6 is mounted on /srv",
        ]
    );
}

#[test]
fn names_holders_of_a_whole_disk() {
    let machine = FakeMachine::new();
    machine.disk("pci0000:00/0000:00:07.0/nvme/nvme0/nvme0n1", "259:0", &[]);
    machine.disk("pci0000:00/0000:00:05.0/virtio1/block/vda", "254:0", &[]);
    machine.holder("nvme0n1", "dm-0", &[("dm/name", "mpatha\n"), ("dm/uuid", "mpath-eui.1\n")]);
    machine.holder("nvme0n1", "dm-1", &[("dm/name", "x\n")]);
    machine.holder("nvme0n1", "md127", &[("md/array_state", "inactive\n")]);
    assert_eq!(
        holders_of(&machine, "nvme0n1"),
        [
            "/dev/nvme0n1 belongs to multipath disk mpatha",
            "/dev/nvme0n1 belongs to mapped volume x",
            "/dev/nvme0n1 belongs to RAID array md127",
        ]
    );
    assert!(holders_of(&machine, "vda").is_empty());
    assert!(holders_of(&machine, "nosuch").is_empty());
}

#[test]
fn unescapes_octal_and_nothing_else() {
    for (text, name) in [
        ("/mnt/a\\040b\\134c", "/mnt/a b\\c"),
        ("\\011", "\t"),
        ("/a\\9", "/a\\9"),
        ("/a\\", "/a\\"),
        ("/plain", "/plain"),
    ] {
        assert_eq!(unescape(text), name);
    }
}
