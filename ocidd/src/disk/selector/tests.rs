//! Valid and invalid selectors, and the disks that they match.

use super::*;
use crate::disk::probe::FoundDisk;

fn fault(text: &str) -> String {
    text.parse::<Target>().unwrap_err().to_string()
}

/// Whether the single text part of a selector is true of this value of its property.
fn matches(selector: &str, value: &str) -> bool {
    let Target::Selector(selector) = selector.parse().unwrap() else {
        panic!("'{selector}' is a path");
    };
    let [Part::Text { property, pattern }] = selector.parts.as_slice() else {
        panic!("'{}' is not one text", selector.text);
    };
    let value = Some(value.to_owned());
    let mut disk = FoundDisk::default();
    match *property {
        "serial" => disk.serial = value,
        "wwn" => disk.wwn = value,
        "model" => disk.model = value,
        "path" => disk.bus_path = value,
        _ => {
            let named = |name: &&str| Some(*name) == value.as_deref();
            disk.transport = TRANSPORTS.into_iter().find(named).unwrap();
        }
    }
    pattern.matches_any(&values(property, &disk))
}

#[test]
fn a_path_begins_with_a_slash_and_all_else_is_a_selector() {
    for text in ["/dev/sda", "/dev/disk/by-id/x:y,z", "/tmp/disk.raw"] {
        assert_eq!(text.parse(), Ok(Target::Path(text.into())));
    }
    for text in ["serial:S1", "smallest", "model:a\\,b, size:>=100G,transport:NVMe"] {
        assert!(matches!(text.parse(), Ok(Target::Selector(_))), "{text}");
    }
}

#[test]
fn prints_as_it_was_written() {
    for text in ["/dev/sda", "serial:S1", "model:A\\,b*, size:>=100G,smallest"] {
        assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
    }
}

#[test]
fn texts_match_in_any_case_with_stars_at_the_ends() {
    for (selector, value, is_match) in [
        ("serial:z1d0", "Z1D0", true),
        ("serial:Z1D", "Z1D0", false),
        ("serial:Z1D*", "Z1D0", true),
        ("serial:*1D0", "Z1D0", true),
        ("serial:*1d*", "Z1D0", true),
        ("serial:*2d*", "Z1D0", false),
        ("serial:*", "Z1D0", true),
        ("model:Samsung SSD 970*", "Samsung SSD 970 EVO", true),
        ("model:samsung_ssd_970_evo", "Samsung SSD 970 EVO", true),
        ("model:A\\,B", "a,b", true),
        ("transport:nvme", "nvme", true),
        ("transport:NVM*", "nvme", true),
        ("transport:ata", "sata", true),
        ("transport:scsi", "sas", false),
    ] {
        assert_eq!(matches(selector, value), is_match, "{selector} {value}");
    }
}

#[test]
fn matches_every_usual_spelling_of_a_wwn() {
    for text in [
        "5000c500a1b2c3d4",
        "0x5000C500A1B2C3D4",
        "naa.5000c500a1b2c3d4",
        "NAA.5000C500A1B2C3D4",
        "wwn-0x5000c500a1b2c3d4",
        "0x5000c5*",
        "naa.*",
        "*c3d4",
    ] {
        assert!(matches(&format!("wwn:{text}"), "naa.5000c500a1b2c3d4"), "{text}");
    }
    assert!(matches("wwn:nvme-eui.0025385b71b0d1c2", "eui.0025385b71b0d1c2"));
    assert!(matches("wwn:t10.ATA_QEMU_HARDDISK_IDE1", "t10.ATA QEMU HARDDISK IDE1"));
    for text in ["5000c500a1b2c3d", "0x000c500a1b2c3d4", "eui.*", "0x*"] {
        assert!(!matches(&format!("wwn:{text}"), "naa.5000c500a1b2c3d4"), "{text}");
    }
}

#[test]
fn matches_bus_paths_of_every_udev_version() {
    let disk = |place: &str, transport| FoundDisk {
        bus_path: Some(place.to_owned()),
        transport,
        ..FoundDisk::default()
    };
    let sata = values("path", &disk("pci-0000:00:1f.2-ata-1", "sata"));
    let virtio = values("path", &disk("pci-0000:00:05.0", "virtio"));
    for (text, spellings) in [
        ("pci-0000:00:1f.2-ata-1", &sata),
        ("pci-0000:00:1f.2-ata-1.0", &sata),
        ("*-ata-1", &sata),
        ("pci-0000:00:05.0", &virtio),
        ("virtio-pci-0000:00:05.0", &virtio),
    ] {
        assert!(Pattern::new(text).unwrap().matches_any(spellings), "{text}");
    }
    assert!(!Pattern::new("*-ata-1.1").unwrap().matches_any(&sata));
}

#[test]
fn parses_sizes_with_comparison_and_suffixes_of_dd() {
    let gib = 1 << 30;
    for (text, wanted, size) in [
        ("size:>=100G", ">=", 100 * gib),
        ("size:<= 2TB", "<=", 2_000_000_000_000),
        ("size:>100GB", ">", 100_000_000_000),
        ("size:<1T", "<", 1024 * gib),
        ("size:=16G", "=", 16 * gib),
        ("size:16G", "=", 16 * gib),
    ] {
        let selector: Selector = text.parse().unwrap();
        let [Part::Size { sign, bytes, .. }] = *selector.parts else { panic!("{text}") };
        assert_eq!((sign, bytes), (wanted, size), "{text}");
    }
    for (wanted, below, equal, above) in [
        (">=", false, true, true),
        ("<=", true, true, false),
        (">", false, false, true),
        ("<", true, false, false),
        ("=", false, true, false),
    ] {
        let held = [1, 2, 3].map(|size| accepts(wanted, size.cmp(&2)));
        assert_eq!(held, [below, equal, above], "{wanted}");
    }
}

#[test]
fn rejects_invalid_selectors_with_a_hint() {
    for (text, message) in [
        (
            "sda",
            "'sda' is neither a path nor a selector\nhint: a path begins with '/', such as /dev/sda",
        ),
        ("dev/sda", "hint: a path begins with '/', such as /dev/sda"),
        ("", "unknown part '' of a disk selector"),
        (
            "seriel:X",
            "unknown part 'seriel:X' of a disk selector\nhint: the parts are serial:TEXT, wwn:TEXT, model:TEXT, path:TEXT, transport:TEXT, size:>=SIZE, smallest, largest",
        ),
        ("serial:X,", "unknown part '' of a disk selector"),
        (
            "model:Foo, Inc.",
            "unknown part 'Inc.' of a disk selector\nhint: a comma in a text is written '\\,'",
        ),
        ("serial:", "'serial:' has no value\nhint: write serial:TEXT"),
        ("serial:a*b", "'serial:a*b' contains a '*' in the middle"),
        ("size:>=", "invalid size 'size:>='"),
        ("size:=>1G", "invalid size 'size:=>1G'"),
        ("size:100g", "hint: write size:>=100G, with >=, <=, >, < or ="),
        (
            "transport:nvm",
            "unknown transport 'transport:nvm'\nhint: one of nvme, virtio, sata, sas,",
        ),
        ("smallest,largest", "'smallest' and 'largest' are mutually exclusive"),
        ("smallest,smallest", "use one of them, once"),
    ] {
        let fault = fault(text);
        assert!(fault.contains(message), "{text}: {fault}");
    }
}
