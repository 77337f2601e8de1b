//! The clock: never earlier than the build of the initramfs, then set by a time server.

pub(crate) mod clock;
mod server;
mod sntp;
mod utc;
