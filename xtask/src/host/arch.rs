//! The architectures of ocidd and their names in each tool. All translations are here.

use anyhow::Result;
use clap::ValueEnum;

use crate::host::report::hinted;

/// A machine's architecture, as the kernel names it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, ValueEnum)]
pub enum Arch {
    #[value(name = "x86_64", alias = "amd64")]
    X86_64,
    #[value(name = "arm64", alias = "aarch64")]
    Arm64,
}

impl Arch {
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Arm64];

    /// The architecture of this machine, or `None` if it is unsupported.
    pub fn host() -> Option<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::X86_64),
            "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }

    const fn either<T: Copy>(self, x86_64: T, arm64: T) -> T {
        match self {
            Self::X86_64 => x86_64,
            Self::Arm64 => arm64,
        }
    }

    /// `asked`, or this machine's architecture.
    pub fn or_host(asked: Option<Self>) -> Result<Self> {
        asked.or_else(Self::host).ok_or_else(|| {
            hinted("ocidd does not support this machine's architecture", "pass --arch")
        })
    }

    /// The name of OCI platforms, Go and Debian, and in names of outputs.
    pub fn oci(self) -> &'static str {
        self.either("amd64", "arm64")
    }

    /// The name of Rust targets, Alpine, GNU and QEMU.
    pub fn cpu(self) -> &'static str {
        self.either("x86_64", "aarch64")
    }

    /// The value of `ARCH` in a kernel build.
    pub fn kernel(self) -> &'static str {
        self.either("x86_64", "arm64")
    }

    /// The kernel's make target for a bootable image, and its path in the build
    /// directory.
    pub fn kernel_image(self) -> (&'static str, &'static str) {
        self.either(("bzImage", "arch/x86/boot/bzImage"), ("Image", "arch/arm64/boot/Image"))
    }

    /// The prefix of the GNU tools that build for this architecture; none on a machine with it.
    pub fn cross_prefix(self) -> &'static str {
        let prefix = self.either("x86_64-linux-gnu-", "aarch64-linux-gnu-");
        if Self::host() == Some(self) { "" } else { prefix }
    }

    /// The machine of ELF programs, as readelf prints it.
    pub fn elf_machine(self) -> &'static str {
        self.either("Advanced Micro Devices X86-64", "AArch64")
    }

    /// The UEFI firmware of QEMU's machine, as Debian installs it.
    pub const fn uefi_firmware(self) -> &'static str {
        self.either("/usr/share/ovmf/OVMF.fd", "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd")
    }

    /// The name of the program that UEFI starts from a disk (UEFI specification 2.10, 3.5.1.1).
    pub fn uefi_program(self) -> &'static str {
        self.either("BOOTX64.EFI", "BOOTAA64.EFI")
    }

    /// The first serial port, as in `console=`.
    pub fn serial_console(self) -> &'static str {
        self.either("ttyS0", "ttyAMA0")
    }
}

/// A value of `--arch` in subcommands that can build for several architectures.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Archs {
    #[value(name = "x86_64", alias = "amd64")]
    X86_64,
    #[value(name = "arm64", alias = "aarch64")]
    Arm64,
    All,
}

/// The architectures of a subcommand.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct ArchOption {
    /// Architecture to build for, or all [default: this machine's]
    #[arg(long, value_enum)]
    pub arch: Option<Archs>,
}

impl ArchOption {
    /// The selected architectures, by default this machine's.
    pub fn chosen(self) -> Result<Vec<Arch>> {
        Ok(match self.arch {
            Some(Archs::X86_64) => vec![Arch::X86_64],
            Some(Archs::Arm64) => vec![Arch::Arm64],
            Some(Archs::All) => Arch::ALL.to_vec(),
            None => vec![Arch::or_host(None)?],
        })
    }
}

impl std::fmt::Display for Arch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kernel())
    }
}
