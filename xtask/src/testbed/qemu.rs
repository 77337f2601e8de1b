//! A QEMU machine: its hardware, what it boots, and the command line that starts it.

use std::path::Path;

use crate::host::arch::Arch;

/// What a guest boots.
#[derive(Clone, Copy, Debug)]
pub enum Boot<'a> {
    /// Our files, loaded by QEMU, with more kernel parameters.
    Installer { kernel: &'a Path, initramfs: &'a Path, parameters: &'a str },
    /// The iPXE of the network card runs `boot.ipxe` in this directory, by TFTP.
    Network(&'a Path),
    /// The first disk.
    Disk,
}

/// What runs before the kernel or a disk's boot loader.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Firmware {
    /// A PC's BIOS. None on arm64, where QEMU itself starts the kernel.
    #[default]
    Plain,
    Uefi,
}

/// The hardware of a machine. Devices have the syntax of QEMU's `-device`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hardware<'a> {
    pub firmware: Firmware,
    /// A raw image file and a serial number of at most 20 characters for each disk. On the default
    /// bus these are `/dev/vda`, `/dev/vdb`, … in this order.
    pub drives: &'a [(&'a Path, Option<&'a str>)],
    /// For disks that need a controller.
    pub controller: Option<&'a str>,
    /// The type of the disks (default: `virtio-blk-pci`).
    pub disk: Option<&'a str>,
    /// The network card (default: `virtio-net-pci`).
    pub card: Option<&'a str>,
    /// The clock at power-on in UTC, like `1990-01-01T00:00:00` (default: the host's time).
    pub clock: Option<&'a str>,
    /// A socket to which a second console, the guest's `hvc0`, connects. Not a serial port: the
    /// kernel uses one console of a kind (Documentation/admin-guide/serial-console.rst).
    pub second_console: Option<&'a Path>,
}

#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    pub arch: Arch,
    pub boot: Boot<'a>,
    pub hardware: Hardware<'a>,
}

impl Machine<'_> {
    /// The arguments of a QEMU that ends when the guest reboots. The first serial port is standard
    /// input and output.
    pub fn command_line(&self) -> Vec<String> {
        let (machine, cpu) = match self.arch {
            Arch::X86_64 => ("q35", "max"),
            Arch::Arm64 => ("virt", "cortex-a57"),
        };
        let mut words: Vec<String> =
            ["-no-reboot", "-machine", machine, "-cpu", cpu].map(str::to_owned).into();
        let mut add = |option: &str, value: &str| {
            words.extend([option.to_owned(), value.to_owned()]);
        };
        add("-m", "1G");
        add("-accel", "tcg");
        add("-display", "none");
        add("-monitor", "none");
        add("-serial", "stdio");
        let hardware = &self.hardware;
        if hardware.firmware == Firmware::Uefi {
            add("-bios", self.arch.uefi_firmware());
        }
        // Only a network boot needs the card's boot code, a package of its own.
        let (tftp, rom) = match self.boot {
            Boot::Network(folder) => (format!(",tftp={},bootfile=boot.ipxe", value(folder)), ""),
            Boot::Installer { .. } | Boot::Disk => (String::new(), ",romfile="),
        };
        add("-netdev", &format!("user,id=network{tftp}"));
        let card = hardware.card.unwrap_or("virtio-net-pci");
        add("-device", &format!("{card},netdev=network{rom}"));
        if let Some(controller) = hardware.controller {
            add("-device", controller);
        }
        if let Some(socket) = hardware.second_console {
            add("-chardev", &format!("socket,id=second,path={}", value(socket)));
            add("-device", "virtio-serial-pci");
            add("-device", "virtconsole,chardev=second");
        }
        if let Some(time) = hardware.clock {
            add("-rtc", &format!("base={time}"));
        }
        for (number, (file, serial)) in (1..).zip(hardware.drives) {
            let file = value(file);
            // Only a crash of this host can lose data, not a killed QEMU.
            let options = format!("if=none,id=disk{number},file={file},format=raw,cache=unsafe");
            add("-drive", &options);
            let disk = hardware.disk.unwrap_or("virtio-blk-pci");
            // Memory cards have no boot index.
            let order = match self.boot {
                Boot::Disk => format!(",bootindex={number}"),
                Boot::Installer { .. } | Boot::Network(_) => String::new(),
            };
            let serial = serial.map(|serial| format!(",serial={serial}")).unwrap_or_default();
            add("-device", &format!("{disk},drive=disk{number}{order}{serial}"));
        }
        match self.boot {
            Boot::Installer { kernel, initramfs, parameters } => {
                add("-kernel", &kernel.display().to_string());
                add("-initrd", &initramfs.display().to_string());
                add("-append", &format!("{} {parameters}", kernel_parameters(self.arch)));
            }
            Boot::Network(_) => add("-boot", "order=n,strict=on"),
            // A firmware that finds nothing on the disk reboots, which ends QEMU.
            Boot::Disk => add("-boot", "strict=on,reboot-timeout=0"),
        }
        words
    }
}

/// The kernel parameters of every machine: network, console, and reboot after a panic.
pub fn kernel_parameters(arch: Arch) -> String {
    // On a busy host the emulated timer fails the self-test of a PC's kernel, which then stops.
    let timer = if arch == Arch::X86_64 { " no_timer_check" } else { "" };
    format!("ip=dhcp console={} panic=-1{timer}", arch.serial_console())
}

/// The program that emulates machines of this architecture.
pub fn program(arch: Arch) -> String {
    format!("qemu-system-{}", arch.cpu())
}

/// A path as the value of an option, with commas doubled.
fn value(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(boot: Boot<'_>, hardware: Hardware<'_>) -> String {
        let words = Machine { arch: Arch::X86_64, boot, hardware }.command_line();
        words.join(" ")
    }

    #[test]
    fn adds_hardware_in_given_order() {
        let drives = [(Path::new("/a,b.raw"), Some("TARGET01")), (Path::new("/c.raw"), None)];
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
    fn adds_firmware_controller_and_card() {
        let drives = [(Path::new("/a"), None)];
        let hardware = Hardware {
            firmware: Firmware::Uefi,
            drives: &drives,
            controller: Some("megasas"),
            disk: Some("scsi-hd"),
            card: Some("igb"),
            ..Hardware::default()
        };
        let line = line(Boot::Disk, hardware);
        let wanted = "-bios /usr/share/ovmf/OVMF.fd -netdev user,id=network -device igb,netdev=network,romfile= -device megasas \
            -drive if=none,id=disk1,file=/a,format=raw,cache=unsafe -device scsi-hd,drive=disk1,bootindex=1 ";
        assert!(line.contains(wanted), "{line}");
    }

    #[test]
    fn network_boot_keeps_boot_code_of_card() {
        let line = line(Boot::Network(Path::new("/a,b")), Hardware::default());
        let wanted = "-netdev user,id=network,tftp=/a,,b,bootfile=boot.ipxe -device virtio-net-pci,netdev=network -boot order=n,strict=on";
        assert!(line.ends_with(wanted), "{line}");
    }

    #[test]
    fn kernel_gets_network_and_console_before_given_parameters() {
        let (kernel, initramfs) = (Path::new("/k"), Path::new("/i"));
        let boot = Boot::Installer { kernel, initramfs, parameters: "quiet dd.of=/dev/vda" };
        let line = line(boot, Hardware::default());
        let wanted = "-kernel /k -initrd /i -append ip=dhcp console=ttyS0 panic=-1 no_timer_check quiet dd.of=/dev/vda";
        assert!(line.ends_with(wanted) && !line.contains("-rtc"), "{line}");
    }
}
