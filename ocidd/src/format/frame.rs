//! Reads what stands at the start of a zstd frame (RFC 8878, 3.1.1.1 and 3.1.2). Bytes in, numbers out; it never reads on.

use oci::size::length_of;

pub(super) const MAGIC: [u8; 4] = *b"\x28\xb5\x2f\xfd";
/// The last half byte may be anything.
const SKIPPABLE: u32 = 0x184D_2A50;

/// What a frame's header says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Header {
    /// How far back the frame may look, in bytes.
    pub(super) window: u64,
    /// Its size unpacked, where it tells.
    pub(super) content: Option<u64>,
}

/// Whether a frame of either kind starts so.
pub(super) fn is_magic(magic: [u8; 4]) -> bool {
    magic == MAGIC || is_skippable(magic)
}

pub(super) fn is_skippable(magic: [u8; 4]) -> bool {
    u32::from_le_bytes(magic) & !0xf == SKIPPABLE
}

/// The sizes of the fields that follow the descriptor: window, dictionary and content size.
fn fields(descriptor: u8) -> (usize, usize, usize) {
    let single = descriptor & 0x20 != 0;
    let dictionary = match descriptor & 3 {
        0 => 0,
        1 => 1,
        2 => 2,
        _ => 4,
    };
    let content = match descriptor >> 6 {
        0 => usize::from(single),
        1 => 2,
        2 => 4,
        _ => 8,
    };
    (usize::from(!single), dictionary, content)
}

/// How many bytes of header follow the descriptor.
pub(super) fn length(descriptor: u8) -> usize {
    let (window, dictionary, content) = fields(descriptor);
    window + dictionary + content
}

/// Parses the descriptor and what follows it. `None` where that is too short or from a format of the future.
pub(super) fn parse(descriptor: u8, rest: &[u8]) -> Option<Header> {
    let (window, dictionary, content_length) = fields(descriptor);
    if descriptor & 0x08 != 0 {
        return None;
    }
    let content = rest.get(window + dictionary..)?.get(..content_length)?;
    let content = (content_length > 0).then(|| {
        let size = content.iter().rev().fold(0, |size, byte| size << 8 | u64::from(*byte));
        if content_length == 2 { size + 256 } else { size }
    });
    let window = match rest.first().filter(|_| window == 1) {
        Some(byte) => {
            let base = 1_u64 << (10 + (byte >> 3));
            base + base / 8 * u64::from(byte & 7)
        }
        // A single segment: the content is the window.
        None => content?,
    };
    Some(Header { window, content })
}

/// The size unpacked of the first frame with content in `head`, where it tells.
pub(super) fn content_size(mut head: &[u8]) -> Option<u64> {
    loop {
        let (magic, rest) = head.split_first_chunk()?;
        if *magic == MAGIC {
            let (descriptor, rest) = rest.split_first()?;
            return parse(*descriptor, rest)?.content;
        }
        let (skipped, rest) = rest.split_first_chunk().filter(|_| is_skippable(*magic))?;
        let skipped = u64::from(u32::from_le_bytes(*skipped));
        if skipped > length_of(rest) {
            return None;
        }
        head = rest.get(usize::try_from(skipped).ok()?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_tells_window_and_size() {
        for (descriptor, rest, header) in [
            (0x00, &b"\x00"[..], Some((1 << 10, None))),
            (0x04, b"\x58", Some((2 << 20, None))),
            (0x00, b"\x78", Some((32 << 20, None))),
            (0x00, b"\x79", Some((36 << 20, None))),
            (0x00, b"\xff", Some((15 << 38, None))),
            (0x20, b"\x27", Some((39, Some(39)))),
            (0x60, b"\x00\x01", Some((512, Some(512)))),
            (0xa0, b"\x00\x00\x00\x80", Some((1 << 31, Some(1 << 31)))),
            (0xc1, b"\x58\x07\x01\0\0\0\0\0\0\x01", Some((2 << 20, Some((1 << 56) + 1)))),
            (0x08, b"\x00", None),
            (0x00, b"", None),
            (0xc0, b"\x58\x01\x02\x03\x04\x05\x06\x07", None),
        ] {
            let wanted = header.map(|(window, content)| Header { window, content });
            assert_eq!(parse(descriptor, rest), wanted, "{descriptor:#x} {rest:x?}");
            assert!(wanted.is_none() || length(descriptor) == rest.len());
        }
    }

    #[test]
    fn the_size_is_that_of_the_first_frame_with_content() {
        let frame = [&MAGIC[..], b"\x20\x27"].concat();
        let skipped = b"\x53\x2a\x4d\x18\x03\0\0\0abc".to_vec();
        for (head, size) in [
            (frame.clone(), Some(39)),
            ([skipped.clone(), frame.clone()].concat(), Some(39)),
            ([skipped.clone(), skipped.clone(), frame.clone()].concat(), Some(39)),
            (skipped.clone(), None),
            (b"\x53\x2a\x4d\x18\xff\xff\xff\xff".to_vec(), None),
            (frame[..5].to_vec(), None),
            (b"hello".to_vec(), None),
            (Vec::new(), None),
        ] {
            assert_eq!(content_size(&head), size, "{head:x?}");
        }
    }
}
