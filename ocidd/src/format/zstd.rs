//! Decompresses zstd (RFC 8878): reads every frame, skips skippable ones, limits the window and
//! verifies sizes and checksums. Dictionaries are rejected.

use std::{
    io,
    io::{BufRead, ErrorKind, Read},
    rc::Rc,
};

use oci::size::length_of;
use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, FrameHeaderError},
};

use super::{Bypass, Format, WINDOW_BYTES};

const MAGIC: [u8; 4] = *b"\x28\xb5\x2f\xfd";
/// Magic number of a skippable frame. The low four bits may have any value.
const SKIPPABLE: u32 = 0x184D_2A50;

// Bits of the frame header descriptor (RFC 8878, 3.1.1.1.1).
const RESERVED_BIT: u8 = 0x08;
/// `Frame_Content_Size_flag` and `Single_Segment_flag`: the header contains a size if one is set.
const CONTENT_SIZE_BITS: u8 = 0xe0;

/// Header of a frame with the smallest window.
const SMALLEST: &[u8] = b"\x28\xb5\x2f\xfd\0\0";

pub(super) struct ZstdReader<R> {
    reader: R,
    decoder: FrameDecoder,
    /// The current frame.
    frame: Option<Frame>,
    bypass: Rc<Bypass>,
}

struct Frame {
    /// The size in its header.
    declared: Option<u64>,
    found: u64,
}

impl<R: BufRead> ZstdReader<R> {
    pub(super) fn new(reader: R, bypass: Rc<Bypass>) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW_BYTES);
        // The decoder grows the window of its first frame by copying, which takes up to half as
        // much memory again, and allocates the window of later frames at once. So the first frame
        // is an empty one; an error here only costs memory.
        decoder.reset(SMALLEST).ok();
        Self { reader, decoder, frame: None, bypass }
    }

    /// Opens the next frame with content. Returns false at the end of the stream.
    fn open_frame(&mut self) -> io::Result<bool> {
        while !self.reader.fill_buf()?.is_empty() {
            let magic = self.take()?;
            if magic == MAGIC {
                self.read_header()?;
                return Ok(true);
            }
            if !is_skippable(magic) {
                return Err(broken("invalid data after the last frame"));
            }
            let length = u64::from(u32::from_le_bytes(self.take()?));
            if io::copy(&mut self.reader.by_ref().take(length), &mut io::sink())? < length {
                return Err(ended());
            }
        }
        Ok(false)
    }

    fn read_header(&mut self) -> io::Result<()> {
        let [descriptor] = self.take()?;
        let start = [&MAGIC[..], &[descriptor]].concat();
        if descriptor & RESERVED_BIT != 0 {
            return Err(broken("a frame's header has the reserved bit set"));
        }
        self.decode(|decoder, source| decoder.reset(start.chain(source)))?;
        let is_declared = descriptor & CONTENT_SIZE_BITS != 0;
        let declared = is_declared.then(|| self.decoder.content_size());
        self.frame = Some(Frame { declared, found: 0 });
        Ok(())
    }

    /// Calls the decoder with the rest of the stream, and translates its errors.
    fn decode(
        &mut self,
        step: impl FnOnce(&mut FrameDecoder, &mut R) -> Result<(), FrameDecoderError>,
    ) -> io::Result<()> {
        step(&mut self.decoder, &mut self.reader).map_err(|error| match error {
            _ if self.bypass.ended.get() => ended(),
            FrameDecoderError::WindowSizeTooBig { requested: found, .. }
            | FrameDecoderError::FrameHeaderError(FrameHeaderError::WindowTooBig { got: found }) => {
                self.bypass.unsupported(Format::Zstd, found)
            }
            error => broken(&error.to_string()),
        })
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

    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => ended(),
            _ => error,
        })?;
        Ok(bytes)
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
                self.decode(|decoder, source| {
                    decoder.decode_blocks(source, BlockDecodingStrategy::UptoBlocks(1)).map(drop)
                })?;
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

fn ended() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "it ends within a frame")
}

fn broken(fact: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, fact)
}

/// Whether this starts a frame of either kind.
pub(super) fn is_magic(magic: [u8; 4]) -> bool {
    magic == MAGIC || is_skippable(magic)
}

fn is_skippable(magic: [u8; 4]) -> bool {
    u32::from_le_bytes(magic) & !0xf == SKIPPABLE
}

/// Decompressed size of the first frame with content in `head`, if its header contains it.
pub(super) fn content_size(head: &[u8]) -> Option<u64> {
    let mut reader = ZstdReader::new(head, Rc::default());
    reader.open_frame().ok()?;
    reader.frame?.declared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_size_is_that_of_the_first_frame_with_content() {
        let frame = [&MAGIC[..], b"\x20\x27"].concat();
        let skipped = b"\x53\x2a\x4d\x18\x03\0\0\0abc".to_vec();
        let header = |rest: &[u8]| [&MAGIC[..], rest].concat();
        for (head, size) in [
            (frame.clone(), Some(39)),
            ([skipped.clone(), frame.clone()].concat(), Some(39)),
            ([skipped.clone(), skipped.clone(), frame.clone()].concat(), Some(39)),
            (header(b"\x00\x00"), None),
            (header(b"\x04\x58"), None),
            (header(b"\x20\0"), Some(0)),
            (header(b"\x60\x00\x01"), Some(512)),
            (header(b"\xa0\0\0\0\x02"), Some(32 << 20)),
            (header(b"\xc0\x58\x01\0\0\0\0\0\0\x01"), Some((1 << 56) + 1)),
            (header(b"\xc0\x58\x01\x02\x03\x04\x05\x06\x07"), None),
            // The reserved bit, a missing window and one that is too large.
            (header(b"\x28\x27"), None),
            (header(b"\x00"), None),
            (header(b"\xc0\x79\x01\0\0\0\0\0\0\x01"), None),
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
