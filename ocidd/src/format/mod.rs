//! Formats of a disk image: detected by the first bytes, compared with the media type, and
//! decompressed while reading. No I/O of its own.

mod decoder;
mod detect;
mod gzip;
mod xz;
mod zstd;

use std::{cell::Cell, fmt, io, io::ErrorKind, rc::Rc};

pub use decoder::Decoder;
pub use detect::{START_BYTES, check_unpacked, detect, doubt};
use oci::{document::BYTES, size::Bytes};
use text::Foreign;
use thiserror::Error;

/// Number of first bytes that [`detect`] needs.
pub const FIRST_BYTES: usize = 512;

/// Zstd window or xz dictionary that is supported on every machine. With the buffers of the
/// pipeline, the program then stays below 64 MiB. RFC 8878 (3.1.1.1.2) requires at least 8 MiB, as
/// `zstd -19` needs; `zstd -20` and `xz -8` need 32 MiB, `xz -9` 64 MiB.
pub const MIN_WINDOW_BYTES: u64 = 32 << 20;

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
    NotAnnounced { announced: Foreign, found: Format },
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
            // Options that every machine supports.
            Self::Window { format, .. } => {
                let command = if *format == Format::Zstd { "zstd --long=25" } else { "xz -8" };
                format!("use a machine with more memory, or compress it with `{command}` or less")
            }
        }
    }
}

/// Facts that do not pass through the libraries, which wrap, reword or drop errors.
struct Bypass {
    /// Largest window or dictionary.
    window_bytes: u64,
    /// Whether something tried to read beyond the end of the inner reader.
    ended: Cell<bool>,
    /// The error of the inner reader.
    failure: Cell<Option<io::Error>>,
    /// Why the stream is not decompressed, if it is intact but unsupported.
    unsupported: Cell<Option<FormatError>>,
}

impl Bypass {
    fn new(window_bytes: u64) -> Rc<Self> {
        Rc::new(Self {
            window_bytes,
            ended: Cell::default(),
            failure: Cell::default(),
            unsupported: Cell::default(),
        })
    }

    /// Stores and returns the error for a window that is too large.
    fn unsupported(&self, format: Format, found: u64) -> io::Error {
        let error = FormatError::Window { format, found, allowed: self.window_bytes };
        self.unsupported.set(Some(error.clone()));
        io::Error::new(ErrorKind::OutOfMemory, error)
    }
}

/// Fails if the media type names another format than `found`. Of unknown types, only compressed
/// layers are known to be disk images.
pub fn check(announced: Option<&str>, found: Format) -> Result<(), FormatError> {
    let Some(announced) = announced else { return Ok(()) };
    let named = Format::ALL.into_iter().find(|format| {
        format.media_type().is_some_and(|known| known.eq_ignore_ascii_case(essence(announced)))
    });
    let known = [BYTES, "application/vnd.oci.image.layer.v1.tar"];
    let is_known = known.iter().any(|known| known.eq_ignore_ascii_case(essence(announced)));
    match named {
        None if found == Format::Raw && !is_known => {
            Err(FormatError::NotAnnounced { announced: announced.into(), found })
        }
        Some(named) if named != found => {
            Err(FormatError::NotAnnounced { announced: announced.into(), found })
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
