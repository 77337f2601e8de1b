//! Directories of disks in sysfs, and their names in udev.

use super::*;
use crate::disk::tests::fake_machine::FakeMachine;

/// Every place a disk is found at in tests, with the transport and the path that udev shows for it.
const PLACES: [(&str, &str, Option<&str>); 15] = [
    (
        "pci0000:00/0000:00:1f.2/ata3/host2/target2:0:0/2:0:0:0/block/sda",
        "sata",
        Some("pci-0000:00:1f.2-ata-3"),
    ),
    (
        "pci0000:00/0000:00:01.1/ata7/host6/target6:0:1/6:0:1:0/block/sdb",
        "sata",
        Some("pci-0000:00:01.1-ata-1.1"),
    ),
    (
        "pci0000:00/0000:00:1f.2/ata4/host3/target3:2:0/3:2:0:0/block/sdc",
        "sata",
        Some("pci-0000:00:1f.2-ata-4.2.0"),
    ),
    (
        "pci0000:00/0000:00:05.0/virtio1/host8/target8:0:1/8:0:1:0/block/sdd",
        "scsi",
        Some("pci-0000:00:05.0-scsi-0:0:1:0"),
    ),
    (
        "pci0000:00/0000:00:06.0/usb2/2-1/2-1:1.0/host9/target9:0:0/9:0:0:0/block/sde",
        "usb",
        Some("pci-0000:00:06.0-usb-0:1:1.0-scsi-0:0:0:0"),
    ),
    ("pci0000:00/0000:00:03.0/virtio0/block/vda", "virtio", Some("pci-0000:00:03.0")),
    (
        "pci0000:00/0000:00:1c.0/0000:03:00.0/nvme/nvme0/nvme0n1",
        "nvme",
        Some("pci-0000:03:00.0-nvme-1"),
    ),
    (
        "pci0000:00/0000:00:09.0/mmc_host/mmc0/mmc0:4567/block/mmcblk0",
        "mmc",
        Some("pci-0000:00:09.0"),
    ),
    (
        "platform/fe310000.mmc/mmc_host/mmc1/mmc1:0001/block/mmcblk1",
        "mmc",
        Some("platform-fe310000.mmc"),
    ),
    (
        "platform/4010000000.pcie/pci0001:00/0001:00:02.0/virtio3/block/vdb",
        "virtio",
        Some("platform-4010000000.pcie-pci-0001:00:02.0"),
    ),
    ("vbd-51712/block/xvda", "xen", Some("xen-vbd-51712")),
    (
        "pci0000:00/0000:01:00.0/host1/port-1:0/end_device-1:0/target1:0:0/1:0:0:0/block/sdf",
        "sas",
        Some("pci-0000:01:00.0-sas-phy3-lun-0"),
    ),
    (
        "pci0000:00/0000:02:00.0/host4/port-4:1/expander-4:0/port-4:0:2/end_device-4:0:2/target4:0:2/4:0:2:0/block/sdg",
        "sas",
        Some("pci-0000:02:00.0-sas-exp0x500304801e8dc07f-phy5-lun-0"),
    ),
    ("platform/host5/session1/target5:0:0/5:0:0:1/block/sdh", "iscsi", None),
    ("virtual/block/pmem0", "other", None),
];

fn machine() -> FakeMachine {
    let machine = FakeMachine::new();
    for (number, (place, _, _)) in PLACES.iter().enumerate() {
        machine.disk(place, &format!("8:{}", number * 16), &[]);
    }
    for (port, file) in
        [("0000:00:1f.2", "ata3"), ("0000:00:1f.2", "ata4"), ("0000:00:01.1", "ata7")]
    {
        // The number counts within the controller.
        let number = if file == "ata7" { "1" } else { &file[3..] };
        let file = format!("pci0000:00/{port}/{file}/ata_port/{file}/port_no");
        machine.attribute(&file, format!("{number}\n"));
    }
    machine.attribute("pci0000:00/0000:00:1c.0/0000:03:00.0/nvme/nvme0/nvme0n1/nsid", "1\n");
    let (direct, expander) = (
        "pci0000:00/0000:01:00.0/host1/port-1:0",
        "pci0000:00/0000:02:00.0/host4/port-4:1/expander-4:0",
    );
    for (file, text) in [
        (format!("{direct}/sas_port/port-1:0/num_phys"), "1"),
        (format!("{direct}/end_device-1:0/sas_device/end_device-1:0/phy_identifier"), "3"),
        (format!("{expander}/sas_device/expander-4:0/sas_address"), "0x500304801e8dc07f"),
        (format!("{expander}/port-4:0:2/sas_port/port-4:0:2/num_phys"), "1"),
        (
            format!(
                "{expander}/port-4:0:2/end_device-4:0:2/sas_device/end_device-4:0:2/phy_identifier"
            ),
            "5",
        ),
    ] {
        machine.attribute(&file, text);
    }
    machine
}

#[test]
fn finds_transport_and_bus_path_of_every_kind_of_disk() {
    let machine = machine();
    let sys = machine.sys().canonicalize().unwrap();
    for (place, transport, path) in PLACES {
        let folder = sys.join("devices").join(place);
        assert_eq!(transport_of(&sys, &folder), transport, "{place}");
        assert_eq!(read_bus_path(&sys, &folder).as_deref(), path, "{place}");
    }
}

#[test]
fn identifies_a_wide_sas_port_by_its_address() {
    let machine = machine();
    let port = "pci0000:00/0000:01:00.0/host1/port-1:0";
    machine.attribute(&format!("{port}/sas_port/port-1:0/num_phys"), "4\n");
    machine.attribute(
        &format!("{port}/end_device-1:0/sas_device/end_device-1:0/sas_address"),
        "0x5000c50012345678\n",
    );
    let sys = machine.sys().canonicalize().unwrap();
    let folder = sys.join(format!("devices/{port}/end_device-1:0/target1:0:0/1:0:0:0/block/sdf"));
    assert_eq!(
        read_bus_path(&sys, &folder).as_deref(),
        Some("pci-0000:01:00.0-sas-0x5000c50012345678-lun-0")
    );
}

#[test]
fn finds_the_controller_of_a_multipath_nvme_disk_unless_there_are_two() {
    let machine = machine();
    machine.disk("virtual/nvme-subsystem/nvme-subsys0/nvme1n1", "259:3", &[("nsid", "1\n")]);
    let sys = machine.sys().canonicalize().unwrap();
    let subsystem = sys.join("devices/virtual/nvme-subsystem/nvme-subsys0");
    let disk = subsystem.join("nvme1n1");
    let link = |name: &str| {
        let controller = "../../../pci0000:00/0000:00:1c.0/0000:03:00.0/nvme/nvme0";
        std::os::unix::fs::symlink(controller, subsystem.join(name)).unwrap();
    };
    assert_eq!(transport_of(&sys, &disk), "nvme");
    link("nvme0");
    assert_eq!(read_bus_path(&sys, &disk).as_deref(), Some("pci-0000:03:00.0-nvme-1"));
    link("nvme2");
    assert_eq!(read_bus_path(&sys, &disk), None);
}
