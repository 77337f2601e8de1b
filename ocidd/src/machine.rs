//! The machine that an install runs on: where its kernel and its site tell about it, and by what it is known elsewhere. A test has its own.

use crate::sysfs::read_names;
use crate::sysfs::read_text;
use registry::http::CertificateFiles;
use serde_json::Value;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// The default of [`Machine::auth_file`].
pub const AUTH_FILE: &str = "/etc/ocidd/auth.json";

/// Where the machine keeps what an install reads from it.
#[derive(Clone, Debug)]
pub struct Machine {
    /// A mounted sysfs.
    pub sys: PathBuf,
    /// A mounted procfs.
    pub proc: PathBuf,
    pub certificates: CertificateFiles,
    /// Logins, in the format of docker's `config.json`. It may be missing.
    pub auth_file: PathBuf,
    /// The site's keys. It may be missing.
    pub keys_folder: PathBuf,
    /// The wait before a broken request is sent again for the first time.
    pub first_retry_delay: Duration,
}

impl Machine {
    /// `serial`, `product`, `uuid` and `macs`, for those who collect events of many machines. What is not known is null.
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

    /// The addresses of network cards, in the order of the cards' names.
    fn read_macs(&self) -> Vec<String> {
        let folder = self.sys.join("class/net");
        let cards = read_names(&folder).into_iter().map(|name| folder.join(name));
        // Only cards are devices; the loopback and tunnels are not.
        let cards = cards.filter(|card| card.join("device").exists());
        cards.filter_map(|card| read_text(&card.join("address"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_machine_is_known_by_its_serial_and_its_cards() {
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
