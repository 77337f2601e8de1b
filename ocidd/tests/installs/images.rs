//! Disk images, their gzip streams in every shape, and layers made of them. The same call always makes the same bytes.

use flate2::Compression;
use flate2::GzBuilder;
use flate2::write::GzEncoder;
use ocidd::digest::Digest;
use std::io::Write;
use std::ops::Range;

pub(crate) const MIB: usize = 1 << 20;

const BLOCK: usize = 4096;

/// Bytes that gzip cannot shorten, different in every block, and never all zero in any piece of it.
pub(crate) fn image(size: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    // xorshift64, once: whole images of it would take long in a test build.
    let words = (0..8 * BLOCK / 8).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let noise: Vec<u8> = words.collect();
    let mut bytes = noise.repeat(size / noise.len() + 1);
    for (number, block) in bytes.chunks_mut(BLOCK).enumerate() {
        block[..8].copy_from_slice(&(number as u64 + 1).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
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
