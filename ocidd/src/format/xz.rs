//! Unpacks xz: every stream, the padding between them skipped, dictionaries bounded, all checks compared. A packed reader in, the content out.

use super::Format;
use super::FormatError;
use super::WINDOW_BYTES;
use lzma_rust2::Action;
use lzma_rust2::Status;
use lzma_rust2::XzStream;
use std::io;
use std::io::BufRead;
use std::io::ErrorKind;
use std::io::Read;

/// What the decoder counts besides the dictionary, in KiB.
const BESIDES_KIB: u32 = 40;

pub(super) struct XzReader<R> {
    reader: R,
    stream: XzStream,
}

impl<R: BufRead> XzReader<R> {
    pub(super) fn new(reader: R) -> Self {
        let limit = u32::try_from(WINDOW_BYTES / 1024).unwrap_or(u32::MAX - BESIDES_KIB);
        Self { reader, stream: XzStream::new_mem_limit(true, limit + BESIDES_KIB) }
    }

    pub(super) fn reader(&mut self) -> &mut R {
        &mut self.reader
    }

    /// The decoder's error; a refusal of a dictionary in our words.
    fn told(&self, error: io::Error) -> io::Error {
        let needed = self.stream.memory_usage().unwrap_or_default();
        if error.kind() != ErrorKind::OutOfMemory || needed <= self.stream.mem_limit() {
            return error;
        }
        let found = u64::from(needed - BESIDES_KIB) * 1024;
        let refusal = FormatError::Window { format: Format::Xz, found, allowed: WINDOW_BYTES };
        io::Error::new(ErrorKind::OutOfMemory, refusal)
    }
}

impl<R: BufRead> Read for XzReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let packed = self.reader.fill_buf()?;
            // Only the end of the layer ends the last stream: padding or another stream may follow it.
            let action = if packed.is_empty() { Action::Finish } else { Action::Run };
            let step = match self.stream.process(packed, into, action) {
                Ok(step) => step,
                Err(error) => return Err(self.told(error)),
            };
            self.reader.consume(step.bytes_consumed);
            if step.bytes_produced > 0 || step.status == Status::StreamEnd {
                return Ok(step.bytes_produced);
            }
        }
    }
}
