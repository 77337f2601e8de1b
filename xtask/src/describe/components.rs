//! Names and licences of contents that are not crates. No file of a build contains them.

use super::manifest::Libc;
use crate::sources::SourceSet;

/// A file of the image that is from a source.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Component {
    /// The prefix of its path in the image.
    path: &'static str,
    pub name: &'static str,
    /// The licence that its authors declare, as an SPDX expression.
    pub licence: &'static str,
}

/// The files in `initramfs.toml` that are from sources.
const COMPONENTS: [Component; 3] = [
    Component { path: "bin/busybox", name: "busybox", licence: "GPL-2.0-only" },
    // Mozilla's list; bundling it adds nothing.
    Component {
        path: "etc/ssl/certs/ca-certificates.crt",
        name: "ca-certificates",
        licence: "MPL-2.0",
    },
    Component { path: "lib/ld-musl-", name: "musl", licence: "MIT" },
];

/// From the kernel's `COPYING`.
pub const KERNEL_LICENCE: &str = "GPL-2.0-only WITH Linux-syscall-note";
pub const RUST_LIBRARY_LICENCE: &str = "MIT OR Apache-2.0";

/// The component at `path` of the image, if it is in the table.
pub fn at(path: &str) -> Option<Component> {
    COMPONENTS.into_iter().find(|component| path.starts_with(component.path))
}

/// Names and licences of the C library and the stack unwinder. Both are linked into every program,
/// because Rust's standard library is compiled to unwind.
pub fn runtime(libc: &Libc) -> [(&str, &'static str); 2] {
    match libc.name.as_str() {
        "musl" => [("musl", "MIT"), ("libunwind", "Apache-2.0 WITH LLVM-exception")],
        name => {
            [(name, "LGPL-2.1-or-later"), ("libgcc", "GPL-3.0-or-later WITH GCC-exception-3.1")]
        }
    }
}

/// Rust's standard library consists of crates that no file of the build lists.
pub const RUST_LIBRARY_COMMENT: &str =
    "Holds the crates that library/Cargo.lock of its commit lists, each under its own licence.";

/// A comment on a file.
pub fn comment_on_file(name: &str, set: SourceSet) -> Option<&'static str> {
    (name == "busybox" && set == SourceSet::Debian)
        .then_some("Linked statically with the glibc that Debian had when it built the package.")
}

/// A comment on a crate.
pub fn comment_on_crate(name: &str) -> Option<&'static str> {
    (name == "ring").then_some(
        "Holds C and assembler code, in part from BoringSSL, which is compiled and linked too.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::host::arch::Arch;

    #[test]
    fn every_file_of_a_source_has_a_licence() {
        for arch in Arch::ALL {
            let config = config::read_image_config(arch).unwrap();
            assert!(!config.parts.is_empty());
            for part in &config.parts {
                assert!(at(&part.path).is_some(), "/{} is in no table", part.path);
            }
            for component in COMPONENTS {
                let is_used = config.parts.iter().any(|part| part.path.starts_with(component.path));
                assert!(is_used, "{component:?} is in no image");
            }
        }
        assert_eq!(at("etc/motd"), None);
    }
}
