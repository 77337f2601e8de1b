//! The tools that builds and tests use, and the Debian packages that contain them.

use std::path::Path;

use crate::host::{arch::Arch, cmd, setup::Need};

#[derive(Debug)]
pub struct Tool {
    /// Alternatives, separated by ` or `: programs in `PATH`, headers of the host's C compiler, and
    /// absolute paths of files.
    pub name: &'static str,
    /// Separated by spaces.
    pub packages: &'static str,
    pub needs: &'static [Need],
    /// What it is used for.
    pub reason: &'static str,
}

const fn tool(
    name: &'static str,
    packages: &'static str,
    needs: &'static [Need],
    reason: &'static str,
) -> Tool {
    Tool { name, packages, needs, reason }
}

impl Tool {
    /// Starts no program.
    pub fn is_installed(&self) -> bool {
        self.name.split(" or ").any(|name| {
            if name.starts_with('/') {
                Path::new(name).exists()
            } else if Path::new(name).extension().is_some_and(|extension| extension == "h") {
                // The common directories, and Debian's for the architecture.
                let own = Arch::host().map(|arch| format!("/usr/include/{}-linux-gnu", arch.cpu()));
                let common = ["/usr/include", "/usr/local/include"].map(str::to_owned);
                common.into_iter().chain(own).any(|path| Path::new(&path).join(name).exists())
            } else {
                cmd::find(name).is_some()
            }
        })
    }

    /// Whether it compiles for this machine's own architecture, which needs no cross compiler.
    pub fn is_for_host(&self) -> bool {
        self.needs
            .iter()
            .any(|need| matches!(need, Need::Compiler(arch) if Arch::host() == Some(*arch)))
    }
}

/// In `PATH`, or where Docker's packages install it. It can be run directly from both.
pub const COMPOSE: &str = "docker-compose or /usr/libexec/docker/cli-plugins/docker-compose";

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
    tool("gcc", "gcc", BUILD, "compiles the kernel and the C parts of TLS"),
    tool("stdio.h", "libc6-dev", BUILD, "C library for build-time programs"),
    tool("linux/types.h", "linux-libc-dev", KERNEL, "kernel headers for build-time programs"),
    tool("/etc/ssl/certs/ca-certificates.crt", "ca-certificates", BUILD, "verifies servers"),
    tool("git", "git", BUILD, "reads the time of the last commit"),
    tool("make", "make", KERNEL, "runs the kernel build"),
    tool("flex", "flex", KERNEL, "generates scanners of the kernel's tools"),
    tool("bison", "bison", KERNEL, "generates parsers of the kernel's tools"),
    tool("bc", "bc", KERNEL, "computes the kernel's time constants"),
    tool("bash", "bash", KERNEL, "runs kernel scripts, for example for KERNEL_CONFIG"),
    tool("xz", "xz-utils", KERNEL, "unpacks the kernel source"),
    tool("libelf.h", "libelf-dev", KERNEL, "reads object files in the kernel's objtool"),
    tool("openssl/opensslv.h", "libssl-dev", KERNEL, "kernels with built-in keys"),
    tool("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu", FOR_ARM64, "compiles for arm64"),
    tool(
        "/usr/aarch64-linux-gnu/include/stdio.h",
        "libc6-dev-arm64-cross",
        FOR_ARM64,
        "C library of arm64",
    ),
    tool("x86_64-linux-gnu-gcc", "gcc-x86-64-linux-gnu", FOR_X86_64, "compiles for x86_64"),
    tool(
        "/usr/x86_64-linux-gnu/include/stdio.h",
        "libc6-dev-amd64-cross",
        FOR_X86_64,
        "C library of x86_64",
    ),
    tool("qemu-system-x86_64", "qemu-system-x86", X86_64_GUEST, "boots x86_64 images"),
    tool(Arch::X86_64.uefi_firmware(), "ovmf", X86_64_GUEST, "UEFI firmware for x86_64"),
    tool("qemu-system-aarch64", "qemu-system-arm", ARM64_GUEST, "boots arm64 images"),
    tool(Arch::Arm64.uefi_firmware(), "qemu-efi-aarch64", ARM64_GUEST, "UEFI firmware for arm64"),
    tool("mformat", "mtools", TEST, "creates disks that UEFI boots"),
    tool("docker-registry or registry", "docker-registry", TEST_BOOT, "serves test images"),
    tool("cpio", "cpio", TEST, "reads the initramfs, to compare"),
    tool("bsdtar", "libarchive-tools", TEST, "reads the initramfs, to compare"),
    tool("skopeo", "skopeo", TEST, "pushes images like users do"),
    tool("umoci", "umoci", TEST, "creates and reads image layouts, to compare"),
    tool("jq", "jq", TEST, "runs the examples of the documentation"),
    tool("gpg", "gnupg gpgv", TEST, "creates and verifies signatures like publishers do"),
    tool("unshare", "util-linux", TEST, "builds as another user, to compare"),
    tool("taskset", "util-linux", TEST, "builds on one processor, to compare"),
    tool("reprotest", "reprotest disorderfs", TEST, "builds twice, to compare"),
    tool("pip3", "python3-pip", LINT, "installs linters of workflows and a registry client"),
    tool(COMPOSE, "docker-compose", TEST, "reads compose.yaml like users do"),
    tool("curl", "curl", TEST_BENCH, "downloads, to compare"),
    tool("busybox", "busybox", BENCH, "decompresses and writes, to compare"),
    tool("time", "time", BENCH, "measures time and memory"),
    tool("losetup", "mount", TEST_BENCH, "attaches files as disks"),
    tool("sgdisk", "gdisk", TEST, "creates and checks partition tables"),
    tool("sfdisk", "fdisk", TEST, "creates and checks partition tables"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::project;

    #[test]
    fn finds_installed_programs_files_and_headers() {
        for (name, expected) in [
            ("no-such-program or sh", true),
            ("no-such-program", false),
            ("/", true),
            ("/no/such/file", false),
            ("no/such/header.h", false),
        ] {
            assert_eq!(tool(name, "", TEST, "").is_installed(), expected, "{name}");
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
                assert!(installed.contains(&package), "{package} for {}", tool.name);
            }
        }
    }

    #[test]
    fn tools_have_different_names() {
        let mut names: Vec<_> = TOOLS.iter().map(|tool| tool.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TOOLS.len());
    }
}
