//! Formats of a disk image: detected by the first bytes, compared with the media type, and
//! decompressed while reading. No I/O of its own.

mod decoder;
mod detect;
mod xz;
mod zstd;

use std::{cell::Cell, fmt, io, io::ErrorKind};

pub use decoder::Decoder;
pub use detect::{check_unpacked, detect};
use oci::{document::BYTES, size::Bytes};
use thiserror::Error;

/// Number of first bytes that [`detect`] needs.
pub const FIRST_BYTES: usize = 512;

/// Largest zstd window or xz dictionary. With the buffers of the pipeline, the program then stays
/// below 64 MiB. RFC 8878 (3.1.1.1.2) requires at least 8 MiB, as `zstd -19` needs; `zstd -20` and
/// `xz -8` need 32 MiB.
pub const WINDOW_BYTES: u64 = 32 << 20;

/// Format of a layer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    Gzip,
    Zstd,
    Xz,
    /// The plain disk image. Only the size and the digest of the layer show that it is complete.
    Raw,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Raw => "raw",
        })
    }
}

impl Format {
    const ALL: [Self; 4] = [Self::Gzip, Self::Zstd, Self::Xz, Self::Raw];

    /// The media type that names this format; a raw image has none.
    pub(crate) fn media_type(self) -> Option<&'static str> {
        match self {
            Self::Gzip => Some("application/octet-stream+gzip"),
            Self::Zstd => Some("application/octet-stream+zstd"),
            Self::Xz => Some("application/octet-stream+xz"),
            Self::Raw => None,
        }
    }
}

#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum FormatError {
    #[error("layer looks like {found}, not like a disk image")]
    NoDisk { found: &'static str, hint: &'static str },
    #[error("decompressed layer looks like {found}, not like a disk image")]
    NoDiskInside { found: &'static str, hint: &'static str },
    #[error("layer has the media type '{announced}', but its format is {found}")]
    NotAnnounced { announced: String, found: Format },
    #[error(
        "the {format} stream of the layer needs a window of {}, at most {} are supported",
        Bytes(*.found), Bytes(*.allowed)
    )]
    Window { format: Format, found: u64, allowed: u64 },
}

impl FormatError {
    pub fn hint(&self) -> String {
        match self {
            Self::NoDisk { hint, .. } | Self::NoDiskInside { hint, .. } => (*hint).to_owned(),
            Self::NotAnnounced { found, .. } => {
                format!("push it again as '{}'", found.media_type().unwrap_or(BYTES))
            }
            // The commands with the largest supported window.
            Self::Window { format: Format::Zstd, .. } => {
                "compress it with `zstd --long=25` or less".to_owned()
            }
            Self::Window { .. } => "compress it with `xz -8` or less".to_owned(),
        }
    }
}

/// Facts that do not pass through the libraries, which wrap, reword or drop errors.
#[derive(Default)]
struct Bypass {
    /// Whether something tried to read beyond the end of the inner reader.
    ended: Cell<bool>,
    /// The error of the inner reader.
    failure: Cell<Option<io::Error>>,
    /// Why the stream is not decompressed, if it is intact but unsupported.
    unsupported: Cell<Option<FormatError>>,
}

impl Bypass {
    /// Stores and returns the error for a window larger than [`WINDOW_BYTES`].
    fn unsupported(&self, format: Format, found: u64) -> io::Error {
        let error = FormatError::Window { format, found, allowed: WINDOW_BYTES };
        self.unsupported.set(Some(error.clone()));
        io::Error::new(ErrorKind::OutOfMemory, error)
    }
}

/// Fails if the media type names another format than `found`.
pub fn check(announced: Option<&str>, found: Format) -> Result<(), FormatError> {
    let Some(announced) = announced else { return Ok(()) };
    let named = Format::ALL.into_iter().find(|format| {
        format.media_type().is_some_and(|known| known.eq_ignore_ascii_case(essence(announced)))
    });
    match named {
        Some(named) if named != found => {
            Err(FormatError::NotAnnounced { announced: announced.to_owned(), found })
        }
        _ => Ok(()),
    }
}

/// A media type without its parameters (RFC 9110, 8.3.1).
fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// A lower bound of the image size, from the first and the last bytes of a layer. Not verified.
pub fn size_hint(format: Format, head: &[u8], tail: &[u8]) -> Option<u64> {
    match format {
        // The size of the last member, modulo 2^32 (RFC 1952, 2.3.1).
        Format::Gzip => tail.last_chunk().map(|size| u64::from(u32::from_le_bytes(*size))),
        Format::Zstd => zstd::content_size(head),
        Format::Xz | Format::Raw => None,
    }
}

#[cfg(test)]
mod tests;
