//! One reader for all formats. It reads the compressed stream to its last byte and never treats a
//! truncated stream as complete.

use std::{
    fmt, io,
    io::{BufRead, ErrorKind, Read},
    rc::Rc,
};

use flate2::bufread::MultiGzDecoder;

use super::{Bypass, Format, FormatError, xz::XzReader, zstd::ZstdReader};

/// Decompresses a disk image: all gzip members, zstd frames or xz streams. Trailing data, a wrong
/// checksum and a window larger than [`super::WINDOW_BYTES`] are errors. Errors of the inner reader
/// are returned unchanged. Nothing can be read after an error.
pub struct Decoder<'a> {
    stream: Box<dyn Read + 'a>,
    bypass: Rc<Bypass>,
    failed: bool,
}

impl<'a> Decoder<'a> {
    pub fn new(format: Format, reader: impl BufRead + 'a) -> Self {
        let bypass = Rc::new(Bypass::default());
        let reader = Guarded { reader, bypass: Rc::clone(&bypass) };
        let stream: Box<dyn Read + 'a> = match format {
            Format::Gzip => Box::new(MultiGzDecoder::new(reader)),
            Format::Zstd => Box::new(ZstdReader::new(reader, Rc::clone(&bypass))),
            Format::Xz => Box::new(XzReader::new(reader, Rc::clone(&bypass))),
            Format::Raw => Box::new(reader),
        };
        Self { stream, bypass, failed: false }
    }

    /// The reason of the last error if the stream is intact but unsupported.
    pub fn take_unsupported(&mut self) -> Option<FormatError> {
        self.bypass.unsupported.take()
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            return Err(io::Error::other("reading after an error"));
        }
        if into.is_empty() {
            return Ok(0);
        }
        let outcome = match self.stream.read(into) {
            Ok(length) if length > 0 => return Ok(length),
            // Checked at an end too: a library may treat an error as the end.
            ended => self.bypass.failure.take().map_or(ended, Err),
        };
        self.failed = outcome.is_err();
        outcome
    }
}

impl fmt::Debug for Decoder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("failed", &self.failed).finish_non_exhaustive()
    }
}

/// Records the end and the error of the inner reader.
struct Guarded<R> {
    reader: R,
    bypass: Rc<Bypass>,
}

impl<R: BufRead> BufRead for Guarded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        loop {
            match self.reader.fill_buf() {
                Ok([]) => {
                    self.bypass.ended.set(true);
                    return Ok(&[]);
                }
                // A second call because of the borrow; it returns what the first one has filled.
                Ok(_) => return self.reader.fill_buf(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let stand_in = io::Error::from(error.kind());
                    self.bypass.failure.set(Some(error));
                    return Err(stand_in);
                }
            }
        }
    }

    fn consume(&mut self, amount: usize) {
        self.reader.consume(amount);
    }
}

impl<R: BufRead> Read for Guarded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(into)?;
        self.consume(length);
        Ok(length)
    }
}
