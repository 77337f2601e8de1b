//! What becomes of a disk when the machine boots from it, after an install.

use super::lab::Case;
use super::lab::GREETING;
use super::lab::Lab;
use crate::host::arch::Arch;
use crate::testbed::qemu::Boot;
use crate::testbed::qemu::Drive;
use crate::testbed::qemu::Firmware;
use crate::testbed::qemu::Guest;
use crate::testbed::qemu::Hardware;
use crate::testbed::qemu::Machine;
use anyhow::Result;
use anyhow::ensure;
use std::path::Path;

impl Lab {
    /// Boots from the disk that an install of `os:1` has left, and waits for what the image has to say.
    pub fn expect_greeting(&self, case: &Case, disk: &Path) -> Result<()> {
        self.expect_greeting_by(self.disk_firmware(), case, disk)
    }

    pub fn expect_greeting_by(&self, firmware: Firmware, case: &Case, disk: &Path) -> Result<()> {
        let mut guest = self.boot_disk(firmware, case, disk)?;
        guest.expect(GREETING)?;
        guest.wait_end().map(drop)
    }

    /// Boots from a disk that must not boot.
    pub fn expect_no_greeting(&self, case: &Case, disk: &Path) -> Result<()> {
        let mut guest = self.boot_disk(self.disk_firmware(), case, disk)?;
        let said = match self.disk_firmware() {
            // It reboots, which ends QEMU.
            Firmware::Plain => guest.wait_end()?,
            Firmware::Uefi => {
                guest.expect("UEFI Interactive Shell")?;
                guest.cut_power()?
            }
        };
        ensure!(!said.contains(GREETING), "half an image has booted");
        Ok(())
    }

    /// What `os:1` boots by.
    fn disk_firmware(&self) -> Firmware {
        match self.arch {
            Arch::X86_64 => Firmware::Plain,
            Arch::Arm64 => Firmware::Uefi,
        }
    }

    fn boot_disk(&self, firmware: Firmware, case: &Case, disk: &Path) -> Result<Guest> {
        let hardware = Hardware { firmware, drives: &[Drive::plain(disk)], ..Hardware::default() };
        Guest::start(&Machine { arch: self.arch, boot: Boot::Disk, hardware }, &self.log(case))
    }
}
