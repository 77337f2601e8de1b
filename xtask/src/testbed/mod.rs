//! What tests run against: QEMU, registries, a certificate authority and sample disks.

pub mod authority;
pub mod console;
pub mod qemu;
pub mod registry;
pub mod sample;
