//! The marker near the end of a disk, which says which layer was installed to it. Bytes in, values out, and the other way round. Never opens a disk.
//!
//! It lies outside of the image and of every partition, so that installing changes no byte of the image. It holds lines of text, zeroes, and the
//! SHA-256 of both in its last 32 bytes.

use crate::disk::buffer::ALIGNMENT;
use crate::write::HELD_BACK_BYTES;
use oci::digest::Digest;

/// One block, which every disk takes in a direct write.
pub const MARKER_BYTES: u64 = 4096;

/// Where it lies before the end of the disk: a usual backup GPT (20 KiB at most) has room behind it.
const BEFORE_END_BYTES: u64 = 64 << 10;

/// How much to keep free before a backup GPT, so that no partition is ever made over the marker. Its own place may be rounded down by almost a block.
pub const RESERVE_BYTES: u64 = BEFORE_END_BYTES + MARKER_BYTES;

const LENGTH: usize = 4096;
/// All but the SHA-256.
const CHECKED_BYTES: usize = LENGTH - 32;

/// What is on a disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Marker {
    /// Of the compressed layer, as it was verified.
    pub layer: Digest,
    pub image_bytes: u64,
    /// Of the disk that was installed to. A copy on another disk says nothing of that one.
    pub disk_bytes: u64,
}

/// Where the marker of such a disk lies: within its held back end, at a multiple of 4096. `None` where the disk is too small for two separate ends.
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

/// Reads a marker from the start of `bytes`. `None` where it is none, was damaged, or was made for a disk of another size than `disk_bytes`.
pub fn decode(bytes: &[u8], disk_bytes: u64) -> Option<Marker> {
    let bytes = bytes.get(..LENGTH)?;
    let text = bytes.split(|byte| *byte == 0).next()?;
    let mut lines = str::from_utf8(text).ok()?.lines().skip(1);
    let layer = lines.next()?.strip_prefix("layer ")?.parse().ok()?;
    let mut number =
        |name| lines.next()?.strip_prefix(name)?.strip_suffix(" bytes")?.parse::<u64>().ok();
    let marker = Marker { layer, image_bytes: number("image ")?, disk_bytes: number("disk ")? };
    // Encoding it again looks at the first line, the zeroes and the digest at once, and lets no second spelling through.
    (marker.disk_bytes == disk_bytes && encode(&marker) == bytes).then_some(marker)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
    fn a_second_spelling_with_a_right_digest_is_none() {
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
