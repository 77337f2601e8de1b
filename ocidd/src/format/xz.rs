//! Decompresses xz: reads every stream, skips padding between them, limits the dictionary and
//! verifies all checks.

use std::{
    io,
    io::{BufRead, ErrorKind, Read},
    rc::Rc,
};

use lzma_rust2::{Action, Status, XzStream};

use super::{Bypass, Format, WINDOW_BYTES};

/// Memory that the decoder counts besides the dictionary, in KiB.
const BESIDES_KIB: u32 = 40;

pub(super) struct XzReader<R> {
    reader: R,
    stream: XzStream,
    bypass: Rc<Bypass>,
}

impl<R: BufRead> XzReader<R> {
    pub(super) fn new(reader: R, bypass: Rc<Bypass>) -> Self {
        let limit = u32::try_from(WINDOW_BYTES / 1024).unwrap_or(u32::MAX - BESIDES_KIB);
        let stream = XzStream::new_mem_limit(true, limit + BESIDES_KIB);
        Self { reader, stream, bypass }
    }

    /// Replaces the decoder's error about a dictionary that is too large.
    fn explain(&self, error: io::Error) -> io::Error {
        let needed = self.stream.memory_usage().unwrap_or_default();
        if error.kind() != ErrorKind::OutOfMemory || needed <= self.stream.mem_limit() {
            return error;
        }
        self.bypass.unsupported(Format::Xz, u64::from(needed - BESIDES_KIB) * 1024)
    }
}

impl<R: BufRead> Read for XzReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let input = self.reader.fill_buf()?;
            // Padding or another stream may follow, so only the end of the layer is the end.
            let action = if input.is_empty() { Action::Finish } else { Action::Run };
            let step = match self.stream.process(input, into, action) {
                Ok(step) => step,
                Err(error) => return Err(self.explain(error)),
            };
            self.reader.consume(step.bytes_consumed);
            if step.bytes_produced > 0 || step.status == Status::StreamEnd {
                return Ok(step.bytes_produced);
            }
        }
    }
}
