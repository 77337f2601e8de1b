//! The tools that builds and tests use, and the Debian packages that contain them.

use crate::host::arch::Arch;
use crate::host::cmd;
use crate::host::setup::Need;
use std::path::Path;
use std::path::PathBuf;

#[derive(Debug)]
pub struct Tool {
    detect: Detect,
    /// Separated by spaces.
    pub packages: &'static str,
    pub needs: &'static [Need],
    /// What it is used for.
    pub reason: &'static str,
}

/// How to find a tool without starting a program.
#[derive(Debug)]
enum Detect {
    /// One of these programs is in `PATH`.
    Program(&'static [&'static str]),
    /// The host's C compiler finds this header.
    Header(&'static str),
    /// This file exists.
    File(&'static str),
}

impl Tool {
    pub fn name(&self) -> String {
        match self.detect {
            Detect::Program(names) => names.join(" or "),
            Detect::Header(name) => format!("<{name}>"),
            Detect::File(path) => path.to_owned(),
        }
    }

    pub fn is_installed(&self) -> bool {
        match self.detect {
            Detect::Program(names) => names.iter().any(|name| cmd::find(name).is_some()),
            Detect::Header(name) => include_directories().any(|path| path.join(name).exists()),
            Detect::File(path) => Path::new(path).exists(),
        }
    }

    /// Whether it compiles for this machine's own architecture, which needs no cross compiler.
    pub fn is_for_host(&self) -> bool {
        self.needs
            .iter()
            .any(|need| matches!(need, Need::Compiler(arch) if Arch::host() == Some(*arch)))
    }
}

/// The common directories, and Debian's for the architecture.
fn include_directories() -> impl Iterator<Item = PathBuf> {
    let own = Arch::host().map(|arch| format!("/usr/include/{}-linux-gnu", arch.cpu()));
    ["/usr/include", "/usr/local/include"]
        .map(str::to_owned)
        .into_iter()
        .chain(own)
        .map(PathBuf::from)
}

const fn program(
    names: &'static [&'static str],
    packages: &'static str,
    needs: &'static [Need],
    reason: &'static str,
) -> Tool {
    Tool { detect: Detect::Program(names), packages, needs, reason }
}

const fn header(
    name: &'static str,
    packages: &'static str,
    needs: &'static [Need],
    reason: &'static str,
) -> Tool {
    Tool { detect: Detect::Header(name), packages, needs, reason }
}

const fn file(
    path: &'static str,
    packages: &'static str,
    needs: &'static [Need],
    reason: &'static str,
) -> Tool {
    Tool { detect: Detect::File(path), packages, needs, reason }
}

/// In `PATH`, or where Docker's packages install it. It can be run directly from both.
pub const COMPOSE: [&str; 2] = ["docker-compose", "/usr/libexec/docker/cli-plugins/docker-compose"];

const BUILD: &[Need] = &[Need::Binaries, Need::Kernel];
const KERNEL: &[Need] = &[Need::Kernel];
const FOR_X86_64: &[Need] = &[Need::Compiler(Arch::X86_64)];
const FOR_ARM64: &[Need] = &[Need::Compiler(Arch::Arm64)];
const X86_64_GUEST: &[Need] = &[Need::Emulator(Arch::X86_64)];
const ARM64_GUEST: &[Need] = &[Need::Emulator(Arch::Arm64)];
const BENCH: &[Need] = &[Need::Bench];
const LINT: &[Need] = &[Need::Lint];
const TEST: &[Need] = &[Need::Test];
const TEST_BENCH: &[Need] = &[Need::Test, Need::Bench];
const TEST_BOOT: &[Need] = &[Need::Boot, Need::Test];

/// Without Rust targets, which `rust-toolchain.toml` names, and the tools of every Linux system
/// (awk, sed, find, diff, tar, gzip).
pub const TOOLS: &[Tool] = &[
    program(&["gcc"], "gcc", BUILD, "compiles the kernel and the C parts of TLS"),
    header("stdio.h", "libc6-dev", BUILD, "C library for build-time programs"),
    header("linux/types.h", "linux-libc-dev", KERNEL, "kernel headers for build-time programs"),
    program(&["git"], "git", BUILD, "reads the time of the last commit"),
    program(&["make"], "make", KERNEL, "runs the kernel build"),
    program(&["flex"], "flex", KERNEL, "generates scanners of the kernel's tools"),
    program(&["bison"], "bison", KERNEL, "generates parsers of the kernel's tools"),
    program(&["bc"], "bc", KERNEL, "computes the kernel's time constants"),
    program(&["bash"], "bash", KERNEL, "runs kernel scripts, for example for KERNEL_CONFIG"),
    program(&["xz"], "xz-utils", KERNEL, "unpacks the kernel source"),
    header("libelf.h", "libelf-dev", KERNEL, "reads object files in the kernel's objtool"),
    header("openssl/opensslv.h", "libssl-dev", KERNEL, "kernels with built-in keys"),
    program(&["aarch64-linux-gnu-gcc"], "gcc-aarch64-linux-gnu", FOR_ARM64, "compiles for arm64"),
    file(
        "/usr/aarch64-linux-gnu/include/stdio.h",
        "libc6-dev-arm64-cross",
        FOR_ARM64,
        "C library of arm64",
    ),
    program(&["x86_64-linux-gnu-gcc"], "gcc-x86-64-linux-gnu", FOR_X86_64, "compiles for x86_64"),
    file(
        "/usr/x86_64-linux-gnu/include/stdio.h",
        "libc6-dev-amd64-cross",
        FOR_X86_64,
        "C library of x86_64",
    ),
    program(&["qemu-system-x86_64"], "qemu-system-x86", X86_64_GUEST, "boots x86_64 images"),
    file(Arch::X86_64.uefi_firmware(), "ovmf", X86_64_GUEST, "UEFI firmware for x86_64"),
    program(&["qemu-system-aarch64"], "qemu-system-arm", ARM64_GUEST, "boots arm64 images"),
    file(Arch::Arm64.uefi_firmware(), "qemu-efi-aarch64", ARM64_GUEST, "UEFI firmware for arm64"),
    program(&["mformat"], "mtools", TEST, "creates disks that UEFI boots"),
    program(&["docker-registry", "registry"], "docker-registry", TEST_BOOT, "serves test images"),
    program(&["cpio"], "cpio", TEST, "reads the initramfs, to compare"),
    program(&["bsdtar"], "libarchive-tools", TEST, "reads the initramfs, to compare"),
    program(&["skopeo"], "skopeo", TEST, "pushes images like users do"),
    program(&["umoci"], "umoci", TEST, "creates and reads image layouts, to compare"),
    program(&["jq"], "jq", TEST, "runs the examples of the documentation"),
    program(&["gpg"], "gnupg gpgv", TEST, "creates and verifies signatures like publishers do"),
    program(&["unshare"], "util-linux", TEST, "builds as another user, to compare"),
    program(&["taskset"], "util-linux", TEST, "builds on one processor, to compare"),
    program(&["reprotest"], "reprotest disorderfs faketime", TEST, "builds twice, to compare"),
    program(&["pip3"], "python3-pip", LINT, "installs linters of workflows and a registry client"),
    program(&COMPOSE, "docker-compose", TEST, "reads compose.yaml like users do"),
    program(&["curl"], "curl", TEST_BENCH, "downloads, to compare"),
    program(&["busybox"], "busybox", BENCH, "decompresses and writes, to compare"),
    program(&["time"], "time", BENCH, "measures time and memory"),
    program(&["losetup"], "mount", TEST_BENCH, "attaches files as disks"),
    program(&["sgdisk"], "gdisk", TEST, "creates and checks partition tables"),
    program(&["sfdisk"], "fdisk", TEST, "creates and checks partition tables"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::project;

    #[test]
    fn finds_installed_programs_files_and_headers() {
        for (tool, wanted) in [
            (program(&["no-such-program", "sh"], "", TEST, ""), true),
            (program(&["no-such-program"], "", TEST, ""), false),
            (file("/", "", TEST, ""), true),
            (file("/no/such/file", "", TEST, ""), false),
            (header("no/such/header.h", "", TEST, ""), false),
        ] {
            assert_eq!(tool.is_installed(), wanted, "{tool:?}");
        }
    }

    #[test]
    fn every_tool_has_a_package_a_need_and_a_reason() {
        for tool in TOOLS {
            assert!(
                !tool.packages.is_empty() && !tool.needs.is_empty() && !tool.reason.is_empty(),
                "{tool:?}"
            );
        }
    }

    #[test]
    fn builder_image_contains_the_tools_of_builds() {
        let text = std::fs::read_to_string(project::root().join("Containerfile")).unwrap();
        let installed: Vec<_> = text.split([' ', '"', '\n']).collect();
        let is_for_build =
            |need: &Need| matches!(need, Need::Binaries | Need::Kernel | Need::Compiler(_));
        for tool in TOOLS.iter().filter(|tool| tool.needs.iter().any(is_for_build)) {
            for package in tool.packages.split_whitespace() {
                assert!(installed.contains(&package), "{package} for {}", tool.name());
            }
        }
    }

    #[test]
    fn tools_have_different_names() {
        let mut names: Vec<_> = TOOLS.iter().map(Tool::name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), TOOLS.len());
    }
}
