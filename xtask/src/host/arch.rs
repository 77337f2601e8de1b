//! The architectures of ocidd and their names in each tool. All translations are here.

use anyhow::Result;
use anyhow::anyhow;
use clap::ValueEnum;

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

    /// The machine xtask runs on, or `None` where ocidd cannot be built for it.
    pub fn host() -> Option<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::X86_64),
            "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }

    /// The architecture asked for, else this machine's.
    pub fn or_host(asked: Option<Self>) -> Result<Self> {
        asked.or_else(Self::host).ok_or_else(|| {
            anyhow!("this machine's architecture is none of ocidd's  hint: pass --arch")
        })
    }

    /// The name of OCI platforms, Go and Debian, used in the names of our outputs.
    pub fn oci(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The name of Rust targets, Alpine, GNU and QEMU.
    pub fn cpu(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// The value of `ARCH` in a kernel build.
    pub fn kernel(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }

    /// The kernel's make target for a bootable image, and where the image lies below the build
    /// directory.
    pub fn kernel_image(self) -> (&'static str, &'static str) {
        match self {
            Self::X86_64 => ("bzImage", "arch/x86/boot/bzImage"),
            Self::Arm64 => ("Image", "arch/arm64/boot/Image"),
        }
    }

    /// The prefix of the GNU tools that build for this architecture on any other.
    pub fn cross_prefix(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-linux-gnu-",
            Self::Arm64 => "aarch64-linux-gnu-",
        }
    }

    /// Where Debian's packages put the UEFI firmware of QEMU's machine.
    pub const fn uefi_firmware(self) -> &'static str {
        match self {
            Self::X86_64 => "/usr/share/ovmf/OVMF.fd",
            Self::Arm64 => "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd",
        }
    }

    /// The name of the program that UEFI starts from a disk (UEFI specification 2.10, 3.5.1.1).
    pub fn uefi_program(self) -> &'static str {
        match self {
            Self::X86_64 => "BOOTX64.EFI",
            Self::Arm64 => "BOOTAA64.EFI",
        }
    }

    /// The first serial port, as `console=` takes it.
    pub fn serial_console(self) -> &'static str {
        match self {
            Self::X86_64 => "ttyS0",
            Self::Arm64 => "ttyAMA0",
        }
    }
}

/// What `--arch` takes where one run may serve several machines.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Archs {
    #[value(name = "x86_64", alias = "amd64")]
    X86_64,
    #[value(name = "arm64", alias = "aarch64")]
    Arm64,
    All,
}

/// The machines a subcommand works for.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct ArchOption {
    /// The machine to build for, or all of them [default: this one's]
    #[arg(long, value_enum)]
    arch: Option<Archs>,
}

impl From<Archs> for ArchOption {
    fn from(archs: Archs) -> Self {
        Self { arch: Some(archs) }
    }
}

impl ArchOption {
    /// The architectures asked for, else this machine's.
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
