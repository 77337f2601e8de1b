//! One reader for all formats. It reads the compressed stream to its last byte and never treats a
//! truncated stream as complete.

use std::{
    fmt, io,
    io::{BufRead, ErrorKind, Read},
};

use flate2::bufread::MultiGzDecoder;

use super::{Format, FormatError, xz::XzReader, zstd::ZstdReader};

/// Decompresses a disk image: all gzip members, zstd frames or xz streams. Trailing data, a wrong
/// checksum and a window larger than [`super::WINDOW_BYTES`] are errors. Errors of the inner reader
/// are returned unchanged. Nothing can be read after an error.
pub struct Decoder<R: BufRead> {
    stream: Stream<R>,
    failed: bool,
}

enum Stream<R: BufRead> {
    Gzip(Box<MultiGzDecoder<Guarded<R>>>),
    Zstd(Box<ZstdReader<Guarded<R>>>),
    Xz(Box<XzReader<Guarded<R>>>),
    Raw(Guarded<R>),
}

impl<R: BufRead> Decoder<R> {
    pub fn new(format: Format, reader: R) -> Self {
        let reader = Guarded { reader, failure: None };
        let stream = match format {
            Format::Gzip => Stream::Gzip(Box::new(MultiGzDecoder::new(reader))),
            Format::Zstd => Stream::Zstd(Box::new(ZstdReader::new(reader))),
            Format::Xz => Stream::Xz(Box::new(XzReader::new(reader))),
            Format::Raw => Stream::Raw(reader),
        };
        Self { stream, failed: false }
    }

    /// The reason of the last error if the stream is intact but unsupported.
    pub fn take_unsupported(&mut self) -> Option<FormatError> {
        match &mut self.stream {
            Stream::Zstd(decoder) => decoder.unsupported.take(),
            Stream::Xz(decoder) => decoder.unsupported.take(),
            Stream::Gzip(_) | Stream::Raw(_) => None,
        }
    }

    fn failure(&mut self) -> Option<io::Error> {
        let reader = match &mut self.stream {
            Stream::Gzip(decoder) => decoder.get_mut(),
            Stream::Zstd(decoder) => &mut decoder.reader,
            Stream::Xz(decoder) => &mut decoder.reader,
            Stream::Raw(reader) => reader,
        };
        reader.failure.take()
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            return Err(io::Error::other("reading after an error"));
        }
        if into.is_empty() {
            return Ok(0);
        }
        let outcome = match &mut self.stream {
            Stream::Gzip(decoder) => decoder.read(into),
            Stream::Zstd(decoder) => decoder.read(into),
            Stream::Xz(decoder) => decoder.read(into),
            Stream::Raw(reader) => reader.read(into),
        };
        // Checked at an end too: a library may treat an error as the end.
        let outcome = match outcome {
            Ok(length) if length > 0 => return Ok(length),
            ended => self.failure().map_or(ended, Err),
        };
        self.failed = outcome.is_err();
        outcome
    }
}

impl<R: BufRead> fmt::Debug for Decoder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("failed", &self.failed).finish_non_exhaustive()
    }
}

/// Stores the error of the inner reader, which the libraries wrap, reword or drop.
struct Guarded<R> {
    reader: R,
    failure: Option<io::Error>,
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
                    self.failure = Some(error);
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
