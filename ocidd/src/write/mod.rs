//! Writes a compressed image to a disk, so that the disk becomes bootable last.

pub mod ends;
pub mod error;
pub mod gpt;
pub mod marker;
pub mod pipeline;
mod readback;
pub mod sink;
mod source;

/// Bytes held back at each end. 1 MiB covers the MBR, a GPT of 128 entries at 4 KiB sectors, and
/// the usual boot loader gap.
pub const HELD_BACK_BYTES: u64 = 1 << 20;
