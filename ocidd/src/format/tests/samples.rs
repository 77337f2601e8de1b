//! Compressed samples, and a reader that returns them in pieces.

use std::{
    io,
    io::{BufRead, Read, Write},
    num::NonZeroU64,
};

use flate2::{Compression, write::GzEncoder};
use lzma_rust2::{CheckType, XzOptions, XzWriter};

/// What the tools' streams unpack to.
pub(super) const TEXT: &[u8] = b"ocidd writes disks, disks, disks, disks";

/// `gzip -nc`, GNU gzip 1.12.
pub(super) const GNU_GZIP: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xcb\x4f\xce\x4c\x49\x51\x28\x2f\xca\x2c\x49\x2d\x56\x48\xc9\x2c\xce\x2e\xd6\xc1\x46\x01\0\x13\x2a\xbc\x9e\x27\0\0\0";
/// `zstd -qc`, zstd 1.5.4.
pub(super) const TOOL_ZSTD: &[u8] = b"\x28\xb5\x2f\xfd\x24\x27\xcd\0\0\x98\x6f\x63\x69\x64\x64\x20\x77\x72\x69\x74\x65\x73\x20\x64\x69\x73\x6b\x73\x2c\x01\0\x45\x97\x30\x69\x15\x1d\xae";
/// `xz -c`, XZ Utils 5.4.1.
pub(super) const TOOL_XZ: &[u8] = b"\xfd\x37\x7a\x58\x5a\0\0\x04\xe6\xd6\xb4\x46\x02\0\x21\x01\x16\0\0\0\x74\x2f\xe5\xa3\xe0\0\x26\0\x1a\x5d\0\x37\x98\xc9\x71\xb6\x2f\x18\x7f\xf5\xfb\x22\x64\xe4\xd4\x56\x5b\xe3\x37\x12\x5d\x54\xcf\xb2\0\0\0\0\0\0\xed\x4d\xce\x6b\xd4\xf2\x8d\x1e\0\x01\x36\x27\x35\x91\x90\x0c\x1f\xb6\xf3\x7d\x01\0\0\0\0\x04\x59\x5a";
/// A zstd frame that holds nothing for us.
pub(super) const SKIPPED: &[u8] = b"\x5a\x2a\x4d\x18\x05\0\0\0hello";

/// Runs of zeroes and of bytes that look random, and repetitions of both.
pub(super) fn image(size: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut image = Vec::with_capacity(size + 4096);
    while image.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        match state % 4 {
            0 => image.extend([0; 4096]),
            1 => {
                let from = image.len() / 3;
                image.extend_from_within(from..(from + 1000).min(image.len()));
            }
            _ => image.extend(state.to_le_bytes().repeat(usize::from(state.to_le_bytes()[1]))),
        }
        image.extend(state.to_le_bytes());
    }
    image.truncate(size);
    image
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A frame as the tool makes them of a pipe: with a checksum, without a size.
pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd_with(bytes, |encoder| encoder.include_checksum(true))
}

/// A frame as the tool makes them of a file: with a size, too.
pub(super) fn zstd_sized(bytes: &[u8]) -> Vec<u8> {
    zstd_with(bytes, |encoder| {
        encoder.include_checksum(true)?;
        encoder.set_pledged_src_size(Some(bytes.len() as u64))
    })
}

pub(super) fn zstd_with(
    bytes: &[u8],
    set: impl FnOnce(&mut zstd::Encoder<'_, Vec<u8>>) -> io::Result<()>,
) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    set(&mut encoder).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd_at(bytes: &[u8], level: i32) -> Vec<u8> {
    zstd::encode_all(bytes, level).unwrap()
}

pub(super) fn xz(bytes: &[u8]) -> Vec<u8> {
    xz_with(bytes, |_| {})
}

pub(super) fn xz_with(bytes: &[u8], set: impl FnOnce(&mut XzOptions)) -> Vec<u8> {
    let mut options = XzOptions::with_preset(1);
    options.set_check_sum_type(CheckType::Crc64);
    options.set_block_size(NonZeroU64::new(100_000));
    set(&mut options);
    let mut writer = XzWriter::new(Vec::new(), options).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// Gives its bytes in pieces, every other call interrupted, and an error of its own at the end where it has one.
pub(super) struct Torn<'a> {
    bytes: &'a [u8],
    piece: usize,
    left: usize,
    interrupted: bool,
    fault: Option<fn() -> io::Error>,
}

impl<'a> Torn<'a> {
    pub(super) fn new(bytes: &'a [u8], piece: usize) -> Self {
        Self { bytes, piece, left: 0, interrupted: false, fault: None }
    }

    pub(super) fn failing(bytes: &'a [u8], fault: fn() -> io::Error) -> Self {
        Self { fault: Some(fault), ..Self::new(bytes, 1000) }
    }
}

impl BufRead for Torn<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            self.interrupted = !self.interrupted;
            if self.interrupted {
                return Err(io::ErrorKind::Interrupted.into());
            }
            self.left = self.piece.min(self.bytes.len());
        }
        match self.fault {
            Some(fault) if self.left == 0 => Err(fault()),
            _ => Ok(&self.bytes[..self.left]),
        }
    }

    fn consume(&mut self, amount: usize) {
        self.bytes = &self.bytes[amount..];
        self.left -= amount;
    }
}

impl Read for Torn<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(into)?;
        self.consume(length);
        Ok(length)
    }
}
