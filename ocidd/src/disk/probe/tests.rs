//! A machine with a disk on each bus, as Linux under QEMU shows it.

use super::*;
use crate::disk::tests::fake_machine::FakeMachine;

const SATA: &str = "pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda";
const USB: &str = "pci0000:00/0000:00:06.0/usb2/2-1/2-1:1.0/host9/target9:0:0/9:0:0:0/block/sdd";

fn machine() -> FakeMachine {
    let machine = FakeMachine::new();
    machine.disk(
        SATA,
        "8:0",
        &[
            ("size", "8192\n"),
            ("device/model", "SATADISK        \n"),
            ("device/vendor", "ATA     \n"),
            ("device/wwid", "naa.5000c500a1b2c3d4\n"),
        ],
    );
    machine.attribute(&format!("{SATA}/device/vpd_pg80"), b"\0\x80\0\x14SATA1               ");
    machine.attribute("pci0000:00/0000:00:1f.2/ata1/ata_port/ata1/port_no", "1\n");
    machine.partition("sda", "sda1", "8:1");
    machine.partition("sda", "sda2", "8:2");
    machine.disk(
        "pci0000:00/0000:00:07.0/nvme/nvme0/nvme0n1",
        "259:0",
        &[
            ("device/model", "QEMU NVMe Ctrl                          \n"),
            ("device/serial", "NVME1               \n"),
            ("wwid", "nvme.1b36-4e564d4531-51454d55-00000001\n"),
            ("nsid", "1\n"),
            ("queue/logical_block_size", "4096\n"),
        ],
    );
    machine.disk(
        "pci0000:00/0000:00:03.0/virtio0/block/vda",
        "254:0",
        &[("serial", "V1"), ("device/vendor", "0x1af4\n"), ("ro", "1\n")],
    );
    machine.disk(
        "pci0000:00/0000:00:05.0/virtio1/host8/target8:0:1/8:0:1:0/block/sdc",
        "8:32",
        &[("device/model", "HARDDISK\n"), ("device/vendor", "QEMU    \n")],
    );
    machine.disk(
        USB,
        "8:48",
        &[
            ("removable", "1\n"),
            ("device/model", "SanDisk Stick\n"),
            ("device/vendor", "SANDISK \n"),
        ],
    );
    machine.attribute("pci0000:00/0000:00:06.0/usb2/2-1/idVendor", "46f4\n");
    machine.attribute("pci0000:00/0000:00:06.0/usb2/2-1/serial", "USB1\n");
    machine.disk(
        "pci0000:00/0000:00:09.0/mmc_host/mmc0/mmc0:4567/block/mmcblk0",
        "179:0",
        &[("device/name", "QEMU!\n"), ("device/serial", "0xdeadbeef\n")],
    );
    machine
}

fn disk(machine: &FakeMachine, path: &str) -> FoundDisk {
    let disks = read_disks(&machine.sys(), &machine.proc());
    disks.into_iter().find(|disk| disk.path == path).unwrap()
}

#[test]
fn lists_only_disks() {
    let machine = machine();
    for (place, files) in [
        ("virtual/block/loop0", &[][..]),
        ("virtual/block/zram0", &[]),
        ("virtual/block/dm-0", &[]),
        ("virtual/block/md127", &[]),
        ("pci0000:00/0000:00:1f.2/ata2/host1/target1:0:0/1:0:0:0/block/sr0", &[]),
        ("pci0000:00/0000:00:1f.2/ata2/host1/target1:0:1/1:0:1:0/block/sdx", &[("size", "0\n")]),
        ("pci0000:00/0000:00:07.0/nvme/nvme0/nvme0c0n1", &[("hidden", "1\n")]),
        ("pci0000:00/0000:00:09.0/mmc_host/mmc0/mmc0:4567/block/mmcblk0/mmcblk0boot0", &[]),
        ("pci0000:00/0000:0a:00.0/cciss0/c0d0/block/cciss!c0d0", &[]),
        ("platform/0.flash/mtd/mtd0/mtdblock0", &[]),
    ] {
        machine.disk(place, "7:0", files);
    }
    let disks = read_disks(&machine.sys(), &machine.proc());
    let paths: Vec<&str> = disks.iter().map(|disk| disk.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/dev/cciss/c0d0",
            "/dev/mmcblk0",
            "/dev/nvme0n1",
            "/dev/sda",
            "/dev/sdc",
            "/dev/sdd",
            "/dev/vda"
        ]
    );
}

#[test]
fn reads_everything_of_a_sata_disk() {
    let machine = machine();
    machine.mounts(&["30 1 8:2 / /mnt rw - ext4 /dev/sda2 rw"]);
    let partition = |name: &str| (name.to_owned(), 1 << 20);
    let wanted = FoundDisk {
        path: "/dev/sda".to_owned(),
        size_bytes: 4 << 20,
        sector_bytes: 512,
        model: Some("SATADISK".to_owned()),
        serial: Some("SATA1".to_owned()),
        wwn: Some("naa.5000c500a1b2c3d4".to_owned()),
        bus_path: Some("pci-0000:00:1f.2-ata-1".to_owned()),
        transport: "sata",
        removable: false,
        read_only: false,
        partitions: vec![partition("sda1"), partition("sda2")],
        holders: vec!["/dev/sda2 is mounted on /mnt".to_owned()],
    };
    assert_eq!(disk(&machine, "/dev/sda"), wanted);
}

#[test]
fn finds_model_serial_and_wwn_where_each_bus_has_them() {
    let machine = machine();
    for (path, model, serial, wwn) in [
        ("/dev/sda", Some("SATADISK"), Some("SATA1"), Some("naa.5000c500a1b2c3d4")),
        (
            "/dev/nvme0n1",
            Some("QEMU NVMe Ctrl"),
            Some("NVME1"),
            Some("nvme.1b36-4e564d4531-51454d55-00000001"),
        ),
        ("/dev/vda", None, Some("V1"), None),
        ("/dev/sdc", Some("QEMU HARDDISK"), None, None),
        ("/dev/sdd", Some("SanDisk Stick"), Some("USB1"), None),
        ("/dev/mmcblk0", Some("QEMU!"), Some("0xdeadbeef"), None),
    ] {
        let disk = disk(&machine, path);
        let found = (disk.model.as_deref(), disk.serial.as_deref(), disk.wwn.as_deref());
        assert_eq!(found, (model, serial, wwn), "{path}");
    }
    assert_eq!(disk(&machine, "/dev/nvme0n1").sector_bytes, 4096);
    assert!(disk(&machine, "/dev/sdd").removable);
    assert!(disk(&machine, "/dev/vda").read_only);
}

#[test]
fn detects_a_read_only_disk() {
    let machine = machine();
    let read_only = ["vda", "sda", "nosuch"].map(|name| is_read_only(&machine.sys(), name));
    assert_eq!(read_only, [true, false, false]);
}

#[test]
fn detects_a_partition() {
    let machine = machine();
    assert_eq!(read_parent(&machine.sys(), "sda1").as_deref(), Some("sda"));
    assert_eq!(read_parent(&machine.sys(), "sda"), None);
    assert_eq!(read_parent(&machine.sys(), "nosuch"), None);
}

#[test]
fn reads_the_unit_serial_page() {
    for (page, serial) in [
        (&b"\0\x80\0\x14SATA1               "[..], Some("SATA1")),
        (b"\0\x80\0\x05SCSI1 and what the length leaves out", Some("SCSI1")),
        (b"\0\x80\0\xffcut off", Some("cut off")),
        (b"\0\x80\0\0", None),
        (b"\0\x83\0\x05SCSI1", None),
        (b"\0\x80", None),
    ] {
        assert_eq!(parse_unit_serial(page).as_deref(), serial);
    }
}
