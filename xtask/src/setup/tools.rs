//! The table of what builds and tests use.

use crate::arch::Arch;
use crate::setup::Need;
use crate::setup::tool::Detect;
use crate::setup::tool::Packages;
use crate::setup::tool::Tool;
use crate::setup::tool::header;
use crate::setup::tool::program;

const UTIL_LINUX: Packages =
    Packages::of(["util-linux", "util-linux", "util-linux-misc", "util-linux"]);

/// By itself, or where Docker's own packages put it. Runs either way.
pub(super) const COMPOSE: [&str; 2] =
    ["docker-compose", "/usr/libexec/docker/cli-plugins/docker-compose"];

/// Rust targets are not here: `rust-toolchain.toml` names them, and a build that lacks one has another way.
/// Nor are tools that every Linux system has (awk, sed, find, diff, tar, gzip).
pub(super) const TOOLS: &[Tool] = &[
    program(
        &["gcc"],
        "compiles the kernel and the C parts of TLS",
        &[Need::Binaries, Need::Kernel],
        Packages::all("gcc"),
    ),
    header(
        "stdio.h",
        "the C library, for programs that run during a build",
        &[Need::Binaries, Need::Kernel],
        Packages::of(["libc6-dev", "glibc-devel", "musl-dev", "glibc"]),
    ),
    header(
        "linux/types.h",
        "the kernel's interface, for programs that run during a build",
        &[Need::Kernel],
        Packages::of(["linux-libc-dev", "kernel-headers", "linux-headers", "linux-api-headers"]),
    ),
    program(
        &["git"],
        "tells the time of the last commit, which outputs carry",
        &[Need::Binaries, Need::Kernel],
        Packages::all("git"),
    ),
    program(&["make"], "runs the kernel's build", &[Need::Kernel], Packages::all("make")),
    program(
        &["flex"],
        "writes scanners of the kernel's tools",
        &[Need::Kernel],
        Packages::all("flex"),
    ),
    program(
        &["bison"],
        "writes parsers of the kernel's tools",
        &[Need::Kernel],
        Packages::all("bison"),
    ),
    program(&["bc"], "computes the kernel's time constants", &[Need::Kernel], Packages::all("bc")),
    program(
        &["bash"],
        "runs scripts of the kernel, as for KERNEL_CONFIG",
        &[Need::Kernel],
        Packages::all("bash"),
    ),
    program(
        &["xz"],
        "unpacks the kernel's source",
        &[Need::Kernel],
        Packages::of(["xz-utils", "xz", "xz", "xz"]),
    ),
    header(
        "libelf.h",
        "the kernel's objtool reads object files with it",
        &[Need::Kernel],
        Packages::of(["libelf-dev", "elfutils-libelf-devel", "elfutils-dev", "libelf"]),
    ),
    header(
        "openssl/opensslv.h",
        "kernels with built-in keys, which KERNEL_CONFIG may ask for",
        &[Need::Kernel],
        Packages::of(["libssl-dev", "openssl-devel", "openssl-dev", "openssl"]),
    ),
    header(
        "ncurses.h",
        "draws the menu of the kernel's options",
        &[Need::Menuconfig],
        Packages::of(["libncurses-dev", "ncurses-devel", "ncurses-dev", "ncurses"]),
    ),
    program(
        &["aarch64-linux-gnu-gcc"],
        "compiles for arm64",
        &[Need::Compiler(Arch::Arm64)],
        Packages::of([
            "gcc-aarch64-linux-gnu",
            "gcc-aarch64-linux-gnu",
            "",
            "aarch64-linux-gnu-gcc",
        ]),
    ),
    Tool {
        detect: Detect::File("/usr/aarch64-linux-gnu/include/stdio.h"),
        reason: "the C library of arm64",
        needs: &[Need::Compiler(Arch::Arm64)],
        packages: Packages::of(["libc6-dev-arm64-cross", "", "", "aarch64-linux-gnu-glibc"]),
    },
    program(
        &["x86_64-linux-gnu-gcc"],
        "compiles for x86_64",
        &[Need::Compiler(Arch::X86_64)],
        Packages::of(["gcc-x86-64-linux-gnu", "gcc-x86_64-linux-gnu", "", ""]),
    ),
    Tool {
        detect: Detect::File("/usr/x86_64-linux-gnu/include/stdio.h"),
        reason: "the C library of x86_64",
        needs: &[Need::Compiler(Arch::X86_64)],
        packages: Packages::of(["libc6-dev-amd64-cross", "", "", ""]),
    },
    program(
        &["qemu-system-x86_64"],
        "the machine that boots what was built",
        &[Need::Emulator(Arch::X86_64)],
        Packages::of([
            "qemu-system-x86",
            "qemu-system-x86-core",
            "qemu-system-x86_64",
            "qemu-system-x86",
        ]),
    ),
    Tool {
        detect: Detect::File(Arch::X86_64.uefi_firmware()),
        reason: "that machine's UEFI firmware",
        needs: &[Need::Emulator(Arch::X86_64)],
        packages: Packages::of(["ovmf", "", "ovmf", ""]),
    },
    program(
        &["qemu-system-aarch64"],
        "the same for arm64",
        &[Need::Emulator(Arch::Arm64)],
        Packages::of([
            "qemu-system-arm",
            "qemu-system-aarch64-core",
            "qemu-system-aarch64",
            "qemu-system-aarch64",
        ]),
    ),
    Tool {
        detect: Detect::File(Arch::Arm64.uefi_firmware()),
        reason: "that machine's UEFI firmware",
        needs: &[Need::Emulator(Arch::Arm64)],
        packages: Packages::of(["qemu-efi-aarch64", "", "", ""]),
    },
    program(&["mformat"], "makes a disk that UEFI boots", &[Need::Test], Packages::all("mtools")),
    program(
        &["docker-registry", "registry"],
        "the registry that machine installs from",
        &[Need::Boot, Need::Test],
        Packages::of(["docker-registry", "docker-distribution", "docker-registry", ""]),
    ),
    program(&["cpio"], "reads our archive as another would", &[Need::Test], Packages::all("cpio")),
    program(
        &["bsdtar"],
        "reads our archive as yet another would",
        &[Need::Test],
        Packages::of(["libarchive-tools", "bsdtar", "libarchive-tools", "libarchive"]),
    ),
    program(&["bzip2"], "unpacks busybox's source", &[Need::Boot], Packages::all("bzip2")),
    program(&["skopeo"], "pushes images as users do", &[Need::Test], Packages::all("skopeo")),
    program(
        &["umoci"],
        "makes and reads image layouts as another would",
        &[Need::Test],
        Packages::of(["umoci", "", "", ""]),
    ),
    program(&["jq"], "takes answers apart as our pages say", &[Need::Test], Packages::all("jq")),
    program(
        &["gpg"],
        "signs as publishers do, and checks it",
        &[Need::Test],
        Packages::of(["gnupg gpgv", "gnupg2", "gnupg", "gnupg"]),
    ),
    program(&["unshare"], "builds as another user, to compare", &[Need::Test], UTIL_LINUX),
    program(&["taskset"], "builds on one processor, to compare", &[Need::Test], UTIL_LINUX),
    program(
        &["reprotest"],
        "builds twice with variations of its own",
        &[Need::Test],
        Packages::of(["reprotest disorderfs faketime", "reprotest disorderfs libfaketime", "", ""]),
    ),
    program(
        &["pip3"],
        "fetches the tools that look at workflows, and a client of registries",
        &[Need::Lint],
        Packages::of(["python3-pip", "python3-pip", "py3-pip", "python-pip"]),
    ),
    program(
        &COMPOSE,
        "reads compose.yaml as users' machines do",
        &[Need::Test],
        Packages::of(["docker-compose", "docker-compose", "docker-cli-compose", "docker-compose"]),
    ),
    program(
        &["curl"],
        "fetches, for comparison",
        &[Need::Test, Need::Bench],
        Packages::all("curl"),
    ),
    program(
        &["busybox"],
        "inflates and writes, for comparison",
        &[Need::Bench],
        Packages::all("busybox"),
    ),
    program(
        &["losetup"],
        "makes a disk out of a file",
        &[Need::Test, Need::Bench],
        Packages::of(["mount", "util-linux", "losetup", "util-linux"]),
    ),
    program(
        &["sgdisk"],
        "makes partition tables, and checks those we have changed",
        &[Need::Test],
        Packages::of(["gdisk", "gdisk", "sgdisk", "gptfdisk"]),
    ),
    program(
        &["sfdisk"],
        "makes and checks partition tables as another would",
        &[Need::Test],
        Packages::of(["fdisk", "util-linux", "sfdisk", "util-linux"]),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project;

    #[test]
    fn every_tool_has_a_package_on_debian_and_somebody_who_needs_it() {
        for tool in TOOLS {
            assert!(
                !tool.packages.apt.is_empty() && !tool.needs.is_empty() && !tool.reason.is_empty(),
                "{tool:?}"
            );
        }
    }

    #[test]
    fn the_builder_image_has_what_builds_need() {
        let text = std::fs::read_to_string(project::root().join("Containerfile")).unwrap();
        let installed: Vec<_> = text.split([' ', '"', '\n']).collect();
        let is_for_build =
            |need: &Need| matches!(need, Need::Binaries | Need::Kernel | Need::Compiler(_));
        for tool in TOOLS.iter().filter(|tool| tool.needs.iter().any(is_for_build)) {
            for package in tool.packages.apt.split_whitespace() {
                assert!(installed.contains(&package), "{package} for {}", tool.name());
            }
        }
    }

    #[test]
    fn no_tool_is_named_twice() {
        let mut names: Vec<_> = TOOLS.iter().map(Tool::name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), TOOLS.len());
    }
}
