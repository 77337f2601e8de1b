//! The marker near the end of a disk names the installed layer. It contains lines of text, zeroes,
//! and the SHA-256 of both in its last 32 bytes. It is outside of the image and of every partition.

use oci::digest::Digest;

use crate::{disk::buffer::ALIGNMENT, write::HELD_BACK_BYTES};

/// One block, which every disk accepts as a direct write.
pub const MARKER_BYTES: u64 = 4096;

/// Distance from the end of the disk. A usual backup GPT (at most 20 KiB) fits after the marker.
const BEFORE_END_BYTES: u64 = 64 << 10;

/// Space to keep free before a backup GPT, so that no partition overlaps the marker, whose offset
/// may be rounded down by almost a block.
pub const RESERVE_BYTES: u64 = BEFORE_END_BYTES + MARKER_BYTES;

const LENGTH: usize = 4096;
/// Everything except the SHA-256.
const CHECKED_BYTES: usize = LENGTH - 32;

/// A disk with an installed layer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Marker {
    /// Verified digest of the compressed layer.
    pub layer: Digest,
    pub image_bytes: u64,
    /// Of the target disk. A copy on a disk of another size is not valid.
    pub disk_bytes: u64,
}

/// Offset of the marker: within the held back end, at a multiple of 4096. `None` if the disk is too
/// small for two separate ends.
pub fn offset(disk_bytes: u64) -> Option<u64> {
    let block = u64::from(ALIGNMENT);
    (disk_bytes >= 2 * HELD_BACK_BYTES).then(|| (disk_bytes - BEFORE_END_BYTES) / block * block)
}

/// The marker's [`MARKER_BYTES`].
pub fn encode(marker: &Marker) -> Vec<u8> {
    let Marker { layer, image_bytes, disk_bytes } = marker;
    let text = format!(
        "ocidd installed\nlayer {layer}\nimage {image_bytes} bytes\ndisk {disk_bytes} bytes\n"
    );
    let mut bytes = text.into_bytes();
    bytes.resize(CHECKED_BYTES, 0);
    let digest = Digest::of(&bytes);
    bytes.extend_from_slice(digest.as_bytes());
    bytes
}

/// Decodes a marker at the start of `bytes`. `None` if there is none, if it is damaged, or if it is
/// for a disk of another size.
pub fn decode(bytes: &[u8], disk_bytes: u64) -> Option<Marker> {
    let bytes = bytes.get(..LENGTH)?;
    let text = bytes.split(|byte| *byte == 0).next()?;
    let mut lines = str::from_utf8(text).ok()?.lines().skip(1);
    let layer = lines.next()?.strip_prefix("layer ")?.parse().ok()?;
    let mut number =
        |name| lines.next()?.strip_prefix(name)?.strip_suffix(" bytes")?.parse::<u64>().ok();
    let marker = Marker { layer, image_bytes: number("image ")?, disk_bytes: number("disk ")? };
    // Comparing with the encoded form checks the first line, the zeroes and the digest, and rejects
    // any other spelling.
    (marker.disk_bytes == disk_bytes && encode(&marker) == bytes).then_some(marker)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DISK: u64 = 8 << 30;

    fn marker() -> Marker {
        Marker { layer: Digest::of(b"layer"), image_bytes: 5 << 30, disk_bytes: DISK }
    }

    #[test]
    fn a_marker_is_readable_for_people_and_read_back() {
        let bytes = encode(&marker());
        let text = format!(
            "ocidd installed\nlayer {}\nimage 5368709120 bytes\ndisk 8589934592 bytes\n\0",
            marker().layer
        );
        assert!(bytes.starts_with(text.as_bytes()));
        assert_eq!(bytes.len(), LENGTH);
        assert_eq!(decode(&bytes, DISK), Some(marker()));
    }

    #[test]
    fn a_marker_of_another_disk_is_none() {
        assert_eq!(decode(&encode(&marker()), DISK + 512), None);
    }

    #[test]
    fn a_marker_with_any_byte_changed_is_none() {
        let good = encode(&marker());
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 0x01;
            assert_eq!(decode(&bytes, DISK), None, "byte {at}");
        }
        assert_eq!(decode(&good[..LENGTH - 1], DISK), None);
        assert_eq!(decode(&[0; LENGTH], DISK), None);
    }

    #[test]
    fn rejects_another_spelling_with_a_valid_digest() {
        for (from, to) in [("image ", "image 0"), ("ocidd", "Ocidd"), ("5368709120", "+5368709120")]
        {
            let text = String::from_utf8(encode(&marker())[..256].to_vec()).unwrap();
            let mut bytes = text.replace(from, to).into_bytes();
            bytes.resize(CHECKED_BYTES, 0);
            let digest = Digest::of(&bytes);
            bytes.extend_from_slice(digest.as_bytes());
            assert_eq!(decode(&bytes, DISK), None, "{to}");
        }
    }

    #[test]
    fn lies_before_the_end_at_a_whole_block() {
        const MIB: u64 = 1 << 20;
        for (disk, wanted) in [
            (0, None),
            (2 * MIB - 1, None),
            (2 * MIB, Some(2 * MIB - 65536)),
            (8 * MIB + 512, Some(8 * MIB - 65536)),
            (8 * MIB - 512, Some(8 * MIB - 65536 - 4096)),
            (u64::MAX, Some(u64::MAX / 4096 * 4096 - 65536)),
        ] {
            assert_eq!(offset(disk), wanted, "{disk}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_no_marker_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
            prop_assert_eq!(decode(&bytes, DISK), None);
        }

        #[test]
        fn every_marker_is_read_back(layer: [u8; 8], image_bytes: u64, disk_bytes: u64) {
            let marker = Marker { layer: Digest::of(&layer), image_bytes, disk_bytes };
            prop_assert_eq!(decode(&encode(&marker), disk_bytes), Some(marker));
        }
    }
}
