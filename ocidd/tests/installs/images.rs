//! Disk images, their gzip streams in every shape, and layers made of them. The same call always makes the same bytes.

use std::{io::Write, ops::Range};

use flate2::{Compression, GzBuilder, write::GzEncoder};
use lzma_rust2::{XzOptions, XzWriter};
use oci::digest::Digest;

use crate::noise::noise;

pub(crate) const MIB: usize = 1 << 20;

/// A disk image that nothing can shorten.
pub(crate) fn image(size: usize) -> Vec<u8> {
    noise(0, size)
}

/// `image` with zeroes instead of what it holds in `range`.
pub(crate) fn zeroed(mut image: Vec<u8>, range: Range<usize>) -> Vec<u8> {
    image[range].fill(0);
    image
}

/// One gzip member.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    pack(GzBuilder::new(), bytes, Compression::fast())
}

/// One gzip member with every optional field of the header that the encoder can write.
pub(crate) fn gzip_with_fields(bytes: &[u8]) -> Vec<u8> {
    let fields = GzBuilder::new().filename("disk.raw").comment("a disk").extra(*b"XX\x02\0ab");
    pack(fields.mtime(1_700_000_000), bytes, Compression::fast())
}

/// One gzip member that holds the bytes as they are.
pub(crate) fn gzip_stored(bytes: &[u8]) -> Vec<u8> {
    pack(GzBuilder::new(), bytes, Compression::none())
}

/// A gzip member for every so many bytes.
pub(crate) fn gzip_members(bytes: &[u8], size: usize) -> Vec<u8> {
    bytes.chunks(size).flat_map(gzip).collect()
}

/// One zstd frame with a checksum, as `zstd` makes it of a pipe.
pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd_with_window(bytes, 21)
}

/// One zstd frame that may look back 2^`log` bytes.
pub(crate) fn zstd_with_window(bytes: &[u8], log: u32) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.window_log(log).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One xz stream with a CRC64.
pub(crate) fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut writer = XzWriter::new(Vec::new(), XzOptions::with_preset(0)).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn pack(builder: GzBuilder, bytes: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder: GzEncoder<Vec<u8>> = builder.write(Vec::new(), level);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A blob and what it is called.
#[derive(Clone)]
pub(crate) struct Layer {
    pub(crate) compressed: Vec<u8>,
    pub(crate) digest: Digest,
}

impl Layer {
    pub(crate) fn new(compressed: impl Into<Vec<u8>>) -> Self {
        let compressed = compressed.into();
        Self { digest: Digest::of(&compressed), compressed }
    }

    /// As it stands in a manifest.
    pub(crate) fn descriptor(&self, media_type: &str) -> serde_json::Value {
        serde_json::json!({
            "mediaType": media_type,
            "digest": self.digest.to_string(),
            "size": self.compressed.len(),
        })
    }
}

/// A format of layers, as others' tools pack it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Packing {
    Gzip,
    Zstd,
    Xz,
    Raw,
}

impl Packing {
    pub(crate) const ALL: [Self; 4] = [Self::Gzip, Self::Zstd, Self::Xz, Self::Raw];

    pub(crate) fn pack(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Gzip => gzip(bytes),
            // With the image's size in its header, as `zstd` makes it of a file.
            Self::Zstd => zstd::bulk::compress(bytes, 1).unwrap(),
            Self::Xz => xz(bytes),
            Self::Raw => bytes.to_vec(),
        }
    }

    /// That says exactly this, where there is one.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Gzip => "application/octet-stream+gzip",
            Self::Zstd => "application/octet-stream+zstd",
            Self::Xz => "application/octet-stream+xz",
            Self::Raw => "application/octet-stream",
        }
    }
}
