//! The machine: locations of its files, which a test replaces, and its identity.

use std::{path::PathBuf, time::Duration};

use registry::http::CertificateFiles;
use serde_json::{Value, json};

use crate::disk::sysfs::{read_names, read_text};

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
        let folder = self.sys.join("class/net");
        let cards = read_names(&folder).into_iter().map(|name| folder.join(name));
        // Loopback and tunnels have no device.
        let cards = cards.filter(|card| card.join("device").exists());
        cards.filter_map(|card| read_text(&card.join("address"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

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
        let none = PathBuf::new();
        let machine = Machine {
            sys: root.path().to_owned(),
            proc: none.clone(),
            certificates: CertificateFiles { bundle: none.clone(), folder: none.clone() },
            auth_file: none.clone(),
            keys_folder: none,
            first_retry_delay: Duration::ZERO,
        };
        let wanted = json!({
            "serial": "S 1",
            "product": "Board",
            "uuid": null,
            "macs": ["52:54:00:00:00:01", "52:54:00:00:00:02"],
        });
        assert_eq!(machine.describe(), wanted);
    }
}
