//! Decompresses zstd (RFC 8878): reads every frame, skips skippable ones, limits the window and
//! verifies sizes and checksums. Dictionaries are rejected.

use std::{
    io,
    io::{BufRead, ErrorKind, Read},
};

use oci::size::length_of;
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::{Format, FormatError, WINDOW_BYTES};

/// Header of a frame with the smallest window.
const SMALLEST: &[u8] = b"\x28\xb5\x2f\xfd\0\0";

pub(super) struct ZstdReader<R> {
    pub(super) reader: R,
    decoder: FrameDecoder,
    /// The current frame.
    frame: Option<Frame>,
    /// Why the stream is not decompressed, if it is intact but unsupported.
    pub(super) unsupported: Option<FormatError>,
}

struct Frame {
    /// The size in its header.
    declared: Option<u64>,
    found: u64,
}

impl<R: BufRead> ZstdReader<R> {
    pub(super) fn new(reader: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW_BYTES);
        // The decoder grows the window of its first frame by copying, which takes up to half as
        // much memory again, and allocates the window of later frames at once. So the first frame
        // is an empty one; an error here only costs memory.
        decoder.reset(SMALLEST).ok();
        Self { reader, decoder, frame: None, unsupported: None }
    }

    /// Opens the next frame with content. Returns false at the end of the stream.
    fn open_frame(&mut self) -> io::Result<bool> {
        while !self.reader.fill_buf()?.is_empty() {
            let mut magic = [0; 4];
            self.take(&mut magic)?;
            if magic == MAGIC {
                self.read_header()?;
                return Ok(true);
            }
            if !is_skippable(magic) {
                return Err(broken("invalid data after the last frame"));
            }
            let mut length = [0; 4];
            self.take(&mut length)?;
            let length = u64::from(u32::from_le_bytes(length));
            if io::copy(&mut self.reader.by_ref().take(length), &mut io::sink())? < length {
                return Err(ended());
            }
        }
        Ok(false)
    }

    fn read_header(&mut self) -> io::Result<()> {
        let mut descriptor = [0];
        self.take(&mut descriptor)?;
        let [descriptor] = descriptor;
        let mut rest = vec![0; length(descriptor)];
        self.take(&mut rest)?;
        let header = parse(descriptor, &rest)
            .ok_or_else(|| broken("a frame's header has the reserved bit set"))?;
        let (found, allowed) = (header.window, WINDOW_BYTES);
        if found > allowed {
            let error = FormatError::Window { format: Format::Zstd, found, allowed };
            self.unsupported = Some(error.clone());
            return Err(io::Error::new(ErrorKind::OutOfMemory, error));
        }
        let bytes = [&MAGIC[..], &[descriptor], &rest].concat();
        self.decoder.reset(bytes.as_slice()).map_err(|error| broken(&error.to_string()))?;
        self.frame = Some(Frame { declared: header.content, found: 0 });
        Ok(())
    }

    /// Verifies the size and the checksum of a decompressed frame.
    fn close_frame(&mut self, frame: &Frame) -> io::Result<()> {
        if frame.declared.is_some_and(|declared| declared != frame.found) {
            return Err(broken("a frame's size is not the one in its header"));
        }
        let found = self.decoder.get_calculated_checksum();
        if self.decoder.get_checksum_from_data().is_some_and(|wanted| found != Some(wanted)) {
            return Err(broken("a frame's checksum is wrong"));
        }
        Ok(())
    }

    fn take(&mut self, into: &mut [u8]) -> io::Result<()> {
        self.reader.read_exact(into).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => ended(),
            _ => error,
        })
    }
}

impl<R: BufRead> Read for ZstdReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(mut frame) = self.frame.take() else {
                if self.open_frame()? {
                    continue;
                }
                return Ok(0);
            };
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let mut source = EndRecorder { reader: &mut self.reader, ended: false };
                let decoded =
                    self.decoder.decode_blocks(&mut source, BlockDecodingStrategy::UptoBlocks(1));
                match decoded {
                    Ok(_) => {}
                    Err(_) if source.ended => return Err(ended()),
                    Err(error) => return Err(broken(&error.to_string())),
                }
            }
            let length = self.decoder.read(into)?;
            if length == 0 {
                self.close_frame(&frame)?;
                continue;
            }
            frame.found += length_of(into.get(..length).unwrap_or_default());
            self.frame = Some(frame);
            return Ok(length);
        }
    }
}

/// Records whether the decoder has read past the end: it wraps that error in errors of its own.
struct EndRecorder<'a, R> {
    reader: &'a mut R,
    ended: bool,
}

impl<R: Read> Read for EndRecorder<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(into)?;
        self.ended |= length == 0 && !into.is_empty();
        Ok(length)
    }
}

fn ended() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "it ends within a frame")
}

fn broken(fact: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, fact)
}

pub(super) const MAGIC: [u8; 4] = *b"\x28\xb5\x2f\xfd";
/// The low four bits may have any value.
const SKIPPABLE: u32 = 0x184D_2A50;

/// Header of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Header {
    /// Window size in bytes.
    pub(super) window: u64,
    /// Decompressed size, if the header contains it.
    pub(super) content: Option<u64>,
}

/// Whether this starts a frame of either kind.
pub(super) fn is_magic(magic: [u8; 4]) -> bool {
    magic == MAGIC || is_skippable(magic)
}

pub(super) fn is_skippable(magic: [u8; 4]) -> bool {
    u32::from_le_bytes(magic) & !0xf == SKIPPABLE
}

/// The sizes of the fields that follow the descriptor: window, dictionary and content size.
fn fields(descriptor: u8) -> (usize, usize, usize) {
    let single = descriptor & 0x20 != 0;
    // 0, 1, 2 or 4 bytes (RFC 8878, 3.1.1.1.1.6).
    let dictionary = (1 << (descriptor & 3)) >> 1;
    let content = match descriptor >> 6 {
        0 => usize::from(single),
        // 2, 4 or 8 bytes (RFC 8878, 3.1.1.1.1.1).
        flag => 1 << flag,
    };
    (usize::from(!single), dictionary, content)
}

/// Number of header bytes after the descriptor.
pub(super) fn length(descriptor: u8) -> usize {
    let (window, dictionary, content) = fields(descriptor);
    window + dictionary + content
}

/// Parses a header. `None` if it is too short or has the reserved bit set.
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

/// Decompressed size of the first frame with content in `head`, if its header contains it.
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
    fn parses_window_and_size_of_a_header() {
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
    fn content_size_is_that_of_the_first_frame_with_content() {
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
