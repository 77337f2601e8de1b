//! Choices among disks with different properties.

use super::*;
use crate::report::classify;

const GIB: u64 = 1 << 30;

fn disk(name: &str, size_bytes: u64, transport: &'static str, serial: &str) -> FoundDisk {
    FoundDisk {
        path: format!("/dev/{name}"),
        size_bytes,
        transport,
        serial: Some(serial.to_owned()),
        ..FoundDisk::default()
    }
}

/// Two equal `NVMe` disks, a larger SATA disk, and one of each kind that must not be chosen.
fn disks() -> Vec<FoundDisk> {
    vec![
        FoundDisk {
            model: Some("FAST DISK".to_owned()),
            wwn: Some("eui.01".to_owned()),
            bus_path: Some("pci-0000:03:00.0-nvme-1".to_owned()),
            ..disk("nvme0n1", 100 * GIB, "nvme", "N0")
        },
        disk("nvme1n1", 100 * GIB, "nvme", "N1"),
        FoundDisk { model: Some("BIG".to_owned()), ..disk("sda", 400 * GIB, "sata", "S0") },
        FoundDisk { removable: true, ..disk("sdb", 16 * GIB, "usb", "U0") },
        FoundDisk { read_only: true, ..disk("sdc", 800 * GIB, "sata", "S1") },
        FoundDisk {
            holders: vec!["/dev/sdd1 is mounted on /mnt".to_owned()],
            ..disk("sdd", 8 * GIB, "sata", "S2")
        },
    ]
}

fn choose(selector: &str) -> Result<String, TargetError> {
    let selector: Selector = selector.parse().unwrap();
    selector.choose(&disks()).map(|disk| disk.path.clone())
}

#[test]
fn chooses_the_only_disk_that_has_every_property() {
    for (selector, path) in [
        ("serial:n1", "/dev/nvme1n1"),
        ("wwn:01", "/dev/nvme0n1"),
        ("path:*03:00.0-nvme-1", "/dev/nvme0n1"),
        ("model:big", "/dev/sda"),
        ("transport:sata", "/dev/sda"),
        ("transport:nvme,model:fast*", "/dev/nvme0n1"),
        ("size:>100G", "/dev/sda"),
        ("size:>=100G,size:<101G,serial:*0", "/dev/nvme0n1"),
        ("largest", "/dev/sda"),
        ("smallest,transport:sata", "/dev/sda"),
        ("smallest,serial:*0", "/dev/nvme0n1"),
    ] {
        assert_eq!(choose(selector).unwrap(), path, "{selector}");
    }
}

#[test]
fn rejects_a_selector_that_matches_two_disks() {
    for selector in ["transport:nvme", "size:100G", "smallest", "largest,transport:nvme"] {
        let Err(TargetError::Ambiguous { matching, table, .. }) = choose(selector) else {
            panic!("'{selector}' is not ambiguous");
        };
        assert_eq!(matching, ["/dev/nvme0n1", "/dev/nvme1n1"], "{selector}");
        assert_eq!(table.matches("      matches\n").count(), 2, "{table}");
    }
}

#[test]
fn never_chooses_a_removable_a_read_only_or_a_busy_disk() {
    for (selector, reason) in [
        ("serial:U0", "no: is removable"),
        ("serial:S1", "no: is read-only"),
        ("serial:S2", "no: in use: /dev/sdd1 is mounted on /mnt"),
    ] {
        let error = choose(selector).unwrap_err();
        assert!(matches!(error, TargetError::NoMatch { .. }), "{selector}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn explains_every_rejected_disk() {
    let error = choose("transport:nvme,size:>=200G").unwrap_err().to_string();
    let wanted = "\
no disk matches 'transport:nvme,size:>=200G'; the disks of this machine:
  disk          size     transport  model      serial  wwn     path
  /dev/nvme0n1  100 GiB  nvme       FAST DISK  N0      eui.01  pci-0000:03:00.0-nvme-1
      no: size 100 GiB is not >= 200 GiB
  /dev/nvme1n1  100 GiB  nvme       -          N1      -       -
      no: size 100 GiB is not >= 200 GiB
  /dev/sda      400 GiB  sata       BIG        S0      -       -
      no: transport is 'sata'
  /dev/sdb      16 GiB   usb        -          U0      -       -
      no: transport is 'usb'; size 16 GiB is not >= 200 GiB; is removable
  /dev/sdc      800 GiB  sata       -          S1      -       -
      no: transport is 'sata'; is read-only
  /dev/sdd      8 GiB    sata       -          S2      -       -
      no: transport is 'sata'; size 8 GiB is not >= 200 GiB; in use: /dev/sdd1 is mounted on /mnt
no disk is selected";
    assert_eq!(error, wanted);
}

#[test]
fn explains_missing_properties_and_exact_sizes() {
    let error = choose("wwn:02,smallest").unwrap_err().to_string();
    assert!(error.contains("no: wwn is 'eui.01'\n"), "{error}");
    assert!(error.contains("no: has no wwn\n"), "{error}");
    let error = choose("size:429496729601c").unwrap_err().to_string();
    assert!(
        error.contains("size 429496729600 bytes (400 GiB) is not = 429496729601 bytes (400 GiB)"),
        "{error}"
    );
    let error = choose("smallest").unwrap_err().to_string();
    assert!(error.contains("no: is not the smallest\n"), "{error}");
}

#[test]
fn hints_depend_on_the_disks_of_the_machine() {
    let hint = |selector: &str, disks: &[FoundDisk]| {
        let selector: Selector = selector.parse().unwrap();
        classify::target(selector.choose(disks).unwrap_err()).diagnostic().to_string()
    };
    assert_eq!(
        hint("largest", &[]),
        "no disk matches 'largest'; this machine has no disks; nothing was written\nhint: check the kernel for the driver of the controller"
    );
    let no_match = hint("serial:X", &disks());
    let end = "\nno disk is selected; nothing was written\nhint: use a property from this list, such as dd.of=serial:…";
    assert!(no_match.ends_with(end), "{no_match}");
    let ambiguous = hint("smallest", &disks());
    let end = "\nno disk is selected; nothing was written\nhint: add a part that matches only one of them, such as serial:…";
    assert!(ambiguous.ends_with(end), "{ambiguous}");
}

#[test]
fn only_a_complete_serial_wwn_or_path_is_unique() {
    for (selector, is_unique) in [
        ("serial:S0", true),
        ("wwn:01,size:>1G", true),
        ("path:pci-0000:03:00.0-nvme-1", true),
        ("serial:S*", false),
        ("model:BIG", false),
        ("transport:sata,size:400G", false),
        ("smallest", false),
    ] {
        assert_eq!(selector.parse::<Selector>().unwrap().is_unique(), is_unique, "{selector}");
    }
}
