//! The machine: locations of its files, which a test replaces, and its identity.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use registry::http::CertificateFiles;
use serde_json::{Value, json};

use crate::{
    disk::sysfs::{read_names, read_text},
    format::MIN_WINDOW_BYTES,
    report::failure::{Cause, Failure},
};

/// The default of [`Machine::auth_file`].
pub const AUTH_FILE: &str = "/etc/ocidd/auth.json";

/// Locations of what an install reads.
#[derive(Clone, Debug)]
pub struct Machine {
    /// A mounted sysfs.
    pub sys: PathBuf,
    /// A mounted procfs.
    pub proc: PathBuf,
    pub certificates: CertificateFiles,
    /// Credentials in the format of docker's `config.json`. May be missing.
    pub auth_file: PathBuf,
    /// Directory of trusted keys. May be missing.
    pub keys_folder: PathBuf,
    /// Delay before the first retry of a request.
    pub first_retry_delay: Duration,
}

impl Machine {
    /// `serial`, `product`, `uuid` and `macs` for events. Unknown values are null.
    pub fn describe(&self) -> Value {
        let dmi = |name: &str| read_text(&self.sys.join("class/dmi/id").join(name));
        // Boards without DMI have a device tree.
        let tree = |name: &str| read_text(&self.sys.join("firmware/devicetree/base").join(name));
        json!({
            "serial": dmi("product_serial").or_else(|| tree("serial-number")),
            "product": dmi("product_name").or_else(|| tree("model")),
            "uuid": dmi("product_uuid"),
            "macs": self.read_macs(),
        })
    }

    /// The MAC addresses, sorted by interface name.
    fn read_macs(&self) -> Vec<String> {
        let cards = self.read_cards().into_iter();
        cards.filter_map(|(_, card)| read_text(&card.join("address"))).collect()
    }

    /// Names and directories of the network interfaces with a device, which loopback and tunnels
    /// lack.
    fn read_cards(&self) -> Vec<(String, PathBuf)> {
        let folder = self.sys.join("class/net");
        let cards = read_names(&folder).into_iter().map(|name| (folder.join(&name), name));
        let cards = cards.filter(|(card, _)| card.join("device").exists());
        cards.map(|(card, name)| (name, card)).collect()
    }

    /// Adds the state of the network to a failure that it may explain.
    #[must_use]
    pub fn explain(&self, mut failure: Failure) -> Failure {
        if failure.cause == Cause::UNREACHABLE {
            let message = std::mem::take(&mut failure.problem.message);
            let parts = std::iter::once(message).chain(self.network_faults());
            failure.problem.message = parts.collect::<Vec<_>>().join("; ");
        }
        failure
    }

    /// What keeps this machine from reaching any host.
    fn network_faults(&self) -> Vec<String> {
        let cards = self.read_cards();
        if cards.is_empty() {
            let drivers = self.cards_without_driver();
            let none = || vec!["this machine has no network card".to_owned()];
            return if drivers.is_empty() { none() } else { drivers };
        }
        // An interface with an address has routes, and an IPv6 one without has these two.
        let read = |file| fs::read_to_string(self.proc.join(file)).unwrap_or_default();
        let routes = ["net/route", "net/ipv6_route"].map(read).concat();
        let is_local = |line: &&str| line.starts_with("fe80") || line.starts_with("ff00");
        let mut words =
            routes.lines().filter(|line| !is_local(line)).flat_map(str::split_whitespace);
        if words.any(|word| cards.iter().any(|(name, _)| word == name)) {
            return Vec::new();
        }
        let mut faults: Vec<_> = cards
            .iter()
            // The carrier of an interface that is down cannot be read.
            .map(|(name, card)| match read_text(&card.join("carrier")).as_deref() {
                Some("1") => format!("{name} has a link, but no address"),
                Some(_) => format!("{name} has no link"),
                None => format!("{name} is down"),
            })
            .collect();
        let command_line = read_text(&self.proc.join("cmdline")).unwrap_or_default();
        if !command_line.split(' ').any(|word| word.starts_with("ip=")) {
            faults.push("the kernel command line has no ip=dhcp".to_owned());
        }
        faults
    }

    fn cards_without_driver(&self) -> Vec<String> {
        let folder = self.sys.join("bus/pci/devices");
        let text = |name: &str, attribute| read_text(&folder.join(name).join(attribute));
        // The base class of network controllers (PCI Code and ID Assignment, 1.3).
        let is_card = |name: &&String| text(name, "class").is_some_and(|c| c.starts_with("0x02"));
        let names = read_names(&folder);
        let cards = names.iter().filter(is_card);
        let idle = cards.filter(|name| !folder.join(name).join("driver").exists());
        idle.map(|name| {
            let [vendor, device] =
                ["vendor", "device"].map(|id| text(name, id).unwrap_or_default());
            format!("this kernel has no driver for the network card {vendor}:{device} at {name}")
        })
        .collect()
    }
}

/// The largest zstd window or xz dictionary for the memory of this machine: a quarter of what
/// `meminfo` in `proc` calls available, and at least [`MIN_WINDOW_BYTES`].
pub fn window_bytes(proc: &Path) -> u64 {
    let text = read_text(&proc.join("meminfo")).unwrap_or_default();
    let available = text.split_once("MemAvailable: ").and_then(|(_, rest)| rest.split(' ').next());
    let kib: u64 = available.and_then(|kib| kib.parse().ok()).unwrap_or_default();
    (kib.saturating_mul(1024) / 4).max(MIN_WINDOW_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_folder(root: &Path) -> Machine {
        let none = PathBuf::new();
        Machine {
            sys: root.to_owned(),
            proc: root.to_owned(),
            certificates: CertificateFiles { bundle: none.clone(), folder: none.clone() },
            auth_file: none.clone(),
            keys_folder: none,
            first_retry_delay: Duration::ZERO,
        }
    }

    #[test]
    fn an_unreachable_registry_is_explained_by_the_state_of_the_network() {
        let route = "Iface\tDestination\neth0\t00000000\n";
        for (files, message) in [
            (&[][..], "x; this machine has no network card"),
            (
                &[
                    ("bus/pci/devices/0000:00:03.0/class", "0x020000\n"),
                    ("bus/pci/devices/0000:00:03.0/vendor", "0x15ad\n"),
                    ("bus/pci/devices/0000:00:03.0/device", "0x07b0\n"),
                    ("bus/pci/devices/0000:00:04.0/class", "0x010000\n"),
                ],
                "x; this kernel has no driver for the network card 0x15ad:0x07b0 at 0000:00:03.0",
            ),
            (
                &[("class/net/eth0/device/x", ""), ("net/ipv6_route", "00 eth1\nfe80 40 eth0\n")],
                "x; eth0 is down; the kernel command line has no ip=dhcp",
            ),
            (
                &[
                    ("class/net/eth0/device/x", ""),
                    ("class/net/eth0/carrier", "0\n"),
                    ("class/net/eth1/device/x", ""),
                    ("class/net/eth1/carrier", "1\n"),
                    ("cmdline", "quiet ip=dhcp\n"),
                ],
                "x; eth0 has no link; eth1 has a link, but no address",
            ),
            (&[("class/net/eth0/device/x", ""), ("net/route", route)], "x"),
        ] {
            let root = tempfile::tempdir().unwrap();
            for (file, text) in files {
                let file = root.path().join(file);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, text).unwrap();
            }
            let machine = in_folder(root.path());
            let explain = |cause| machine.explain(Failure::new(cause, anyhow::anyhow!("x")));
            assert_eq!(explain(Cause::UNREACHABLE).problem.message, message);
            assert_eq!(explain(Cause::NOT_FOUND).problem.message, "x");
        }
    }

    #[test]
    fn windows_take_at_most_a_quarter_of_the_available_memory() {
        let proc = tempfile::tempdir().unwrap();
        for (meminfo, window) in [
            ("MemTotal:        1000000 kB\nMemAvailable:     917504 kB\n", 224 << 20),
            ("MemAvailable:      65536 kB\n", MIN_WINDOW_BYTES),
            ("MemAvailable: 18446744073709551615 kB\n", u64::MAX / 4),
            ("MemAvailable: lots\n", MIN_WINDOW_BYTES),
            ("", MIN_WINDOW_BYTES),
        ] {
            fs::write(proc.path().join("meminfo"), meminfo).unwrap();
            assert_eq!(window_bytes(proc.path()), window, "{meminfo}");
        }
        assert_eq!(window_bytes(Path::new("/nowhere")), MIN_WINDOW_BYTES);
    }

    #[test]
    fn describes_a_machine_by_serial_and_mac_addresses() {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("class/dmi/id/product_serial", "S 1\n"),
            ("class/dmi/id/product_name", "\n"),
            ("firmware/devicetree/base/model", "Board\0"),
            ("class/net/eth1/address", "52:54:00:00:00:02\n"),
            ("class/net/eth1/device/x", ""),
            ("class/net/eth0/address", "52:54:00:00:00:01\n"),
            ("class/net/eth0/device/x", ""),
            ("class/net/lo/address", "00:00:00:00:00:00\n"),
        ] {
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let machine = in_folder(root.path());
        let wanted = json!({
            "serial": "S 1",
            "product": "Board",
            "uuid": null,
            "macs": ["52:54:00:00:00:01", "52:54:00:00:00:02"],
        });
        assert_eq!(machine.describe(), wanted);
    }
}
