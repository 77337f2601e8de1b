//! Unpacks zstd (RFC 8878): every frame, skippable ones skipped, windows bounded, sizes and checksums compared. A packed reader in, the content out.
//! Dictionaries are not for disk images, and refused.

use super::Format;
use super::FormatError;
use super::WINDOW_BYTES;
use super::frame;
use oci::size::length_of;
use ruzstd::decoding::BlockDecodingStrategy;
use ruzstd::decoding::FrameDecoder;
use ruzstd::decoding::errors::FrameDecoderError;
use std::error::Error;
use std::io;
use std::io::BufRead;
use std::io::ErrorKind;
use std::io::Read;

/// The header of a frame with the smallest window.
const SMALLEST: &[u8] = b"\x28\xb5\x2f\xfd\0\0";

pub(super) struct ZstdReader<R> {
    reader: R,
    decoder: FrameDecoder,
    /// The frame that is being unpacked.
    frame: Option<Frame>,
}

struct Frame {
    /// The size its header tells.
    announced: Option<u64>,
    unpacked: u64,
}

impl<R: BufRead> ZstdReader<R> {
    pub(super) fn new(reader: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW_BYTES);
        // For its first frame the decoder lets the window grow by copying, which at its peak takes half as much memory again; for all later
        // ones it reserves the window at once. Without that first frame it works all the same.
        decoder.reset(SMALLEST).ok();
        Self { reader, decoder, frame: None }
    }

    pub(super) fn reader(&mut self) -> &mut R {
        &mut self.reader
    }

    /// Goes on to the next frame with content. False when there is none.
    fn open_frame(&mut self) -> io::Result<bool> {
        while !self.reader.fill_buf()?.is_empty() {
            let mut magic = [0; 4];
            self.take(&mut magic)?;
            if magic == frame::MAGIC {
                self.read_header()?;
                return Ok(true);
            }
            if !frame::is_skippable(magic) {
                return Err(broken("what follows the last frame is no frame"));
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
        let mut rest = vec![0; frame::length(descriptor)];
        self.take(&mut rest)?;
        let header = frame::parse(descriptor, &rest)
            .ok_or_else(|| broken("a frame's header has the reserved bit set"))?;
        let (found, allowed) = (header.window, WINDOW_BYTES);
        if found > allowed {
            let error = FormatError::Window { format: Format::Zstd, found, allowed };
            return Err(io::Error::new(ErrorKind::OutOfMemory, error));
        }
        let bytes = [&frame::MAGIC[..], &[descriptor], &rest].concat();
        self.decoder.reset(bytes.as_slice()).map_err(|error| told(&error))?;
        self.frame = Some(Frame { announced: header.content, unpacked: 0 });
        Ok(())
    }

    /// Compares what was unpacked with what the frame says of it.
    fn close_frame(&mut self, frame: &Frame) -> io::Result<()> {
        if frame.announced.is_some_and(|announced| announced != frame.unpacked) {
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
                self.decoder
                    .decode_blocks(&mut self.reader, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(|error| told(&error))?;
            }
            let length = self.decoder.read(into)?;
            if length == 0 {
                self.close_frame(&frame)?;
                continue;
            }
            frame.unpacked += length_of(into.get(..length).unwrap_or_default());
            self.frame = Some(frame);
            return Ok(length);
        }
    }
}

/// The decoder's error in fewer words. An end of the stream is somewhere among its sources.
fn told(error: &FrameDecoderError) -> io::Error {
    let mut sources = std::iter::successors(error.source(), |error| (*error).source());
    let is_end = sources.any(|source| {
        source.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == ErrorKind::UnexpectedEof)
    });
    if is_end { ended() } else { broken(&error.to_string()) }
}

fn ended() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "it ends within a frame")
}

fn broken(fact: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, fact)
}
