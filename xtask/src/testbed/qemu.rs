//! A machine in QEMU: what is built into it, and the command line that starts it. Builds words only; `guest` starts the machine, `console`
//! reads and types.

mod console;
mod guest;

pub use guest::Guest;

use crate::host::arch::Arch;
use std::ffi::OsString;
use std::path::Path;

/// What a guest boots.
#[derive(Clone, Copy, Debug)]
pub enum Boot<'a> {
    /// Our files, handed over as a boot loader does.
    Installer { kernel: &'a Path, initramfs: &'a Path, words: &'a str },
    /// What the network card's own iPXE finds as `boot.ipxe` in this folder, over TFTP.
    Network(&'a Path),
    /// Whatever the first disk holds.
    Disk,
}

/// A disk to build in.
#[derive(Clone, Copy, Debug)]
pub struct Drive<'a> {
    /// A raw image file.
    pub file: &'a Path,
    /// What the disk says its serial is; at most 20 characters.
    pub serial: Option<&'a str>,
}

impl<'a> Drive<'a> {
    /// A disk without a serial.
    pub fn plain(file: &'a Path) -> Self {
        Self { file, serial: None }
    }
}

/// What a machine's disks are wired to.
#[derive(Clone, Copy, Debug)]
pub struct Bus {
    /// The controller, where the disk itself is none, as QEMU's `-device` takes it.
    pub controller: Option<&'static str>,
    /// The disk, as QEMU's `-device` takes it.
    pub disk: &'static str,
}

impl Default for Bus {
    fn default() -> Self {
        Self { controller: None, disk: "virtio-blk-pci" }
    }
}

/// What runs before the kernel or a disk's boot loader.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Firmware {
    /// A PC's BIOS; on arm64 nothing, where QEMU itself starts the kernel.
    #[default]
    Plain,
    Uefi,
}

/// Everything of a machine but what it boots.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hardware<'a> {
    pub firmware: Firmware,
    /// In this order, `/dev/vda`, `/dev/vdb`, … of the guest where no other bus is given.
    pub drives: &'a [Drive<'a>],
    pub bus: Bus,
    /// QEMU's name of the network card (default: `virtio-net-pci`).
    pub card: Option<&'a str>,
    /// The clock at power-on in UTC, like `1990-01-01T00:00:00` (default: the host's time).
    pub clock: Option<&'a str>,
    /// A socket to which a second console, the guest's `hvc0`, connects at power-on. A second serial port would be none: the kernel takes one
    /// console of a kind (Documentation/admin-guide/serial-console.rst).
    pub second_console: Option<&'a Path>,
}

/// A machine to start.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    pub arch: Arch,
    pub boot: Boot<'a>,
    pub hardware: Hardware<'a>,
}

impl Machine<'_> {
    /// The command line of a QEMU that ends when the guest reboots and has the first serial port on standard input and output.
    pub fn command_line(&self) -> Vec<OsString> {
        let (machine, cpu) = match self.arch {
            Arch::X86_64 => ("q35", "max"),
            Arch::Arm64 => ("virt", "cortex-a57"),
        };
        let mut words: Vec<OsString> = [
            "-machine",
            machine,
            "-cpu",
            cpu,
            "-m",
            "1G",
            "-accel",
            "tcg",
            "-no-reboot",
            "-display",
            "none",
            "-monitor",
            "none",
            "-serial",
            "stdio",
        ]
        .map(OsString::from)
        .into();
        if self.hardware.firmware == Firmware::Uefi {
            words.extend(["-bios", self.arch.uefi_firmware()].map(OsString::from));
        }
        words.extend(self.hardware.words(self.boot).into_iter().map(OsString::from));
        match self.boot {
            Boot::Installer { kernel, initramfs, words: append } => {
                let append = format!("{} {append}", kernel_words(self.arch));
                words.extend(["-kernel".into(), kernel.into()]);
                words.extend(["-initrd".into(), initramfs.into()]);
                words.extend(["-append".into(), append.into()]);
            }
            Boot::Network(_) => words.extend(["-boot", "order=n,strict=on"].map(OsString::from)),
            // From nothing but the disk; and a firmware that finds nothing to boot reboots, which ends QEMU.
            Boot::Disk => words.extend(["-boot", "strict=on,reboot-timeout=0"].map(OsString::from)),
        }
        words
    }
}

/// Kernel parameters of such a machine: network, console, and reboot after a panic.
pub fn kernel_words(arch: Arch) -> String {
    // On a busy host the emulated timer misses the time that a PC's kernel gives it to prove itself, and the kernel gives up.
    let timer = if arch == Arch::X86_64 { " no_timer_check" } else { "" };
    format!("ip=dhcp console={} panic=-1{timer}", arch.serial_console())
}

/// The program that emulates machines of this architecture.
pub fn program(arch: Arch) -> String {
    format!("qemu-system-{}", arch.cpu())
}

impl Hardware<'_> {
    fn words(&self, boot: Boot<'_>) -> Vec<String> {
        let card = self.card.unwrap_or("virtio-net-pci");
        let (network, rom) = match boot {
            Boot::Network(folder) => {
                (format!("user,id=network,tftp={},bootfile=boot.ipxe", value(folder)), "")
            }
            // The card's boot code, a package of its own, is not needed.
            Boot::Installer { .. } | Boot::Disk => ("user,id=network".to_owned(), ",romfile="),
        };
        let card = format!("{card},netdev=network{rom}");
        let mut words = ["-netdev", &network, "-device", &card].map(str::to_owned).to_vec();
        if let Some(controller) = self.bus.controller {
            words.extend(["-device".to_owned(), controller.to_owned()]);
        }
        if let Some(socket) = self.second_console {
            let chardev = format!("socket,id=second,path={}", value(socket));
            words.extend(["-chardev".to_owned(), chardev]);
            words.extend(["-device", "virtio-serial-pci"].map(str::to_owned));
            words.extend(["-device", "virtconsole,chardev=second"].map(str::to_owned));
        }
        if let Some(time) = self.clock {
            words.extend(["-rtc".to_owned(), format!("base={time}")]);
        }
        for (number, drive) in (1..).zip(self.drives) {
            let id = format!("disk{number}");
            // A memory card knows of no such order.
            let order = match boot {
                Boot::Disk => format!(",bootindex={number}"),
                Boot::Installer { .. } | Boot::Network(_) => String::new(),
            };
            let serial = drive.serial.map(|serial| format!(",serial={serial}")).unwrap_or_default();
            // Unsafe only against a crash of this host: what the guest wrote is in the file even after QEMU was killed.
            let options =
                format!("if=none,id={id},file={},format=raw,cache=unsafe", value(drive.file));
            words.extend(["-drive".to_owned(), options]);
            let device = format!("{},drive={id}{order}{serial}", self.bus.disk);
            words.extend(["-device".to_owned(), device]);
        }
        words
    }
}

/// A path as an option's value: a comma would end it unless it is doubled.
fn value(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(boot: Boot<'_>, hardware: Hardware<'_>) -> String {
        let words = Machine { arch: Arch::X86_64, boot, hardware }.command_line();
        words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn hardware_is_built_in_in_the_order_given() {
        let drives = [
            Drive { file: Path::new("/a,b.raw"), serial: Some("TARGET01") },
            Drive::plain(Path::new("/c.raw")),
        ];
        let hardware = Hardware {
            drives: &drives,
            clock: Some("1990-01-01T00:00:00"),
            second_console: Some(Path::new("/port")),
            ..Hardware::default()
        };
        let line = line(Boot::Disk, hardware);
        let wanted = "-serial stdio -netdev user,id=network -device virtio-net-pci,netdev=network,romfile= -chardev socket,id=second,path=/port -device virtio-serial-pci -device virtconsole,chardev=second -rtc base=1990-01-01T00:00:00 \
            -drive if=none,id=disk1,file=/a,,b.raw,format=raw,cache=unsafe -device virtio-blk-pci,drive=disk1,bootindex=1,serial=TARGET01 \
            -drive if=none,id=disk2,file=/c.raw,format=raw,cache=unsafe -device virtio-blk-pci,drive=disk2,bootindex=2 \
            -boot strict=on,reboot-timeout=0";
        assert!(line.ends_with(wanted), "{line}");
    }

    #[test]
    fn disks_and_cards_of_other_makers() {
        let bus = Bus { controller: Some("megasas"), disk: "scsi-hd" };
        let drives = [Drive::plain(Path::new("/a"))];
        let hardware = Hardware {
            firmware: Firmware::Uefi,
            drives: &drives,
            bus,
            card: Some("igb"),
            ..Hardware::default()
        };
        let line = line(Boot::Disk, hardware);
        let wanted = "-bios /usr/share/ovmf/OVMF.fd -netdev user,id=network -device igb,netdev=network,romfile= -device megasas \
            -drive if=none,id=disk1,file=/a,format=raw,cache=unsafe -device scsi-hd,drive=disk1,bootindex=1 ";
        assert!(line.contains(wanted), "{line}");
    }

    #[test]
    fn a_card_that_boots_keeps_its_boot_code() {
        let line = line(Boot::Network(Path::new("/a,b")), Hardware::default());
        let wanted = "-netdev user,id=network,tftp=/a,,b,bootfile=boot.ipxe -device virtio-net-pci,netdev=network -boot order=n,strict=on";
        assert!(line.ends_with(wanted), "{line}");
    }

    #[test]
    fn the_kernel_gets_network_and_console_before_the_words_of_the_test() {
        let (kernel, initramfs) = (Path::new("/k"), Path::new("/i"));
        let boot = Boot::Installer { kernel, initramfs, words: "quiet dd.of=/dev/vda" };
        let line = line(boot, Hardware::default());
        let wanted = "-kernel /k -initrd /i -append ip=dhcp console=ttyS0 panic=-1 no_timer_check quiet dd.of=/dev/vda";
        assert!(line.ends_with(wanted) && !line.contains("-rtc"), "{line}");
    }
}
