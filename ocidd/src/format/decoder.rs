//! One reader for all formats. It reads the compressed stream to its last byte and never treats a
//! truncated stream as complete.

use std::{
    cell::Cell,
    fmt, io,
    io::{BufRead, ErrorKind, Read},
    rc::Rc,
};

use flate2::bufread::MultiGzDecoder;

use super::{Format, FormatError, WINDOW_BYTES, xz::XzReader, zstd::ZstdReader};

/// Decompresses a disk image: all gzip members, zstd frames or xz streams. Trailing data, a wrong
/// checksum and a window larger than [`WINDOW_BYTES`] are errors. Errors of the inner reader are
/// returned unchanged. Nothing can be read after an error.
pub struct Decoder<'a> {
    stream: Box<dyn Read + 'a>,
    errors: Rc<Errors>,
    failed: bool,
}

/// Errors that the libraries wrap, reword or drop, passed around them.
#[derive(Default)]
pub(super) struct Errors {
    inner: Cell<Option<io::Error>>,
    /// Why the stream is not decompressed, if it is intact but unsupported.
    unsupported: Cell<Option<FormatError>>,
}

impl Errors {
    /// Stores and returns the error for a window larger than [`WINDOW_BYTES`].
    pub(super) fn unsupported(&self, format: Format, found: u64) -> io::Error {
        let error = FormatError::Window { format, found, allowed: WINDOW_BYTES };
        self.unsupported.set(Some(error.clone()));
        io::Error::new(ErrorKind::OutOfMemory, error)
    }
}

impl<'a> Decoder<'a> {
    pub fn new(format: Format, reader: impl BufRead + 'a) -> Self {
        let errors = Rc::new(Errors::default());
        let reader = Guarded { reader, errors: Rc::clone(&errors) };
        let stream: Box<dyn Read + 'a> = match format {
            Format::Gzip => Box::new(MultiGzDecoder::new(reader)),
            Format::Zstd => Box::new(ZstdReader::new(reader, Rc::clone(&errors))),
            Format::Xz => Box::new(XzReader::new(reader, Rc::clone(&errors))),
            Format::Raw => Box::new(reader),
        };
        Self { stream, errors, failed: false }
    }

    /// The reason of the last error if the stream is intact but unsupported.
    pub fn take_unsupported(&mut self) -> Option<FormatError> {
        self.errors.unsupported.take()
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
            ended => self.errors.inner.take().map_or(ended, Err),
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

/// Stores the error of the inner reader.
struct Guarded<R> {
    reader: R,
    errors: Rc<Errors>,
}

impl<R: BufRead> BufRead for Guarded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        loop {
            match self.reader.fill_buf() {
                Ok([]) => return Ok(&[]),
                // A second call because of the borrow; it returns what the first one has filled.
                Ok(_) => return self.reader.fill_buf(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let stand_in = io::Error::from(error.kind());
                    self.errors.inner.set(Some(error));
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
