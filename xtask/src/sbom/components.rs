//! What is in the outputs and is no crate: under which licence, which no file of the build tells. Pure.

use crate::manifest::Libc;
use crate::sources::SourceSet;

/// A file of the image that comes out of a source.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Component {
    /// How its path in the image begins.
    path: &'static str,
    pub name: &'static str,
    /// As its authors declare it, in SPDX's words.
    pub licence: &'static str,
}

/// The files that `initramfs.toml` takes from sources.
const COMPONENTS: [Component; 3] = [
    Component { path: "bin/busybox", name: "busybox", licence: "GPL-2.0-only" },
    // Mozilla's list; what bundles it adds nothing.
    Component {
        path: "etc/ssl/certs/ca-certificates.crt",
        name: "ca-certificates",
        licence: "MPL-2.0",
    },
    Component { path: "lib/ld-musl-", name: "musl", licence: "MIT" },
];

/// The kernel's own `COPYING`.
pub const KERNEL_LICENCE: &str = "GPL-2.0-only WITH Linux-syscall-note";
pub const RUST_LIBRARY_LICENCE: &str = "MIT OR Apache-2.0";

/// What lies at `path` of the image. `None` of a file that somebody added to `initramfs.toml` and not to the table.
pub fn at(path: &str) -> Option<Component> {
    COMPONENTS.into_iter().find(|component| path.starts_with(component.path))
}

/// What a C library and the code that unwinds stacks are called, and their licences. Every program is linked with both: Rust's
/// standard library is compiled to unwind, even where a program aborts.
pub fn runtime(libc: &Libc) -> [(&str, &'static str); 2] {
    match libc.name.as_str() {
        "musl" => [("musl", "MIT"), ("libunwind", "Apache-2.0 WITH LLVM-exception")],
        name => {
            [(name, "LGPL-2.1-or-later"), ("libgcc", "GPL-3.0-or-later WITH GCC-exception-3.1")]
        }
    }
}

/// Rust's standard library is made of crates, which no file of the build names.
pub const RUST_LIBRARY_COMMENT: &str =
    "Holds the crates that library/Cargo.lock of its commit lists, each under its own licence.";

/// What is worth knowing of a file beyond its name.
pub fn comment_on_file(name: &str, set: SourceSet) -> Option<&'static str> {
    (name == "busybox" && set == SourceSet::Debian)
        .then_some("Linked statically with the glibc that Debian had when it built the package.")
}

/// What is worth knowing of a crate beyond its name.
pub fn comment_on_crate(name: &str) -> Option<&'static str> {
    (name == "ring").then_some(
        "Holds C and assembler code, in part from BoringSSL, which is compiled and linked too.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Arch;
    use crate::config;

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
