//! How a disk image may be packed: told by its first bytes, checked against what the registry announced, and unpacked as it is read. Bytes in,
//! bytes out; nothing here opens, writes or fetches anything.

mod decoder;
mod detect;
mod xz;
mod zstd;

pub use decoder::Decoder;
pub use detect::check_unpacked;
pub use detect::recognise;

use oci::size::Bytes;
use std::fmt;
use thiserror::Error;

/// As many of the first bytes as [`recognise`] looks at.
pub const FIRST_BYTES: usize = 512;

/// The most memory a stream may ask for to look back in: zstd's window, xz's dictionary. With the pipeline's buffers the program then stays
/// below 64 MiB; RFC 8878 (3.1.1.1.2) wants 8 MiB at least, `zstd -19` needs these, `zstd -20` and `xz -8` need all 32.
pub const WINDOW_BYTES: u64 = 32 << 20;

/// The media type of a disk image of any format, and of a raw one.
const DISK: &str = "application/octet-stream";

/// What a layer's bytes are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    Gzip,
    Zstd,
    Xz,
    /// The disk image as it is. Nothing in it tells where it ends: only the layer's size and digest do.
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

    /// The media type that says exactly this; of a raw image there is none.
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
    #[error("layer looks like {found}, not like a disk image; hint: {hint}")]
    NoDisk { found: &'static str, hint: &'static str },
    #[error("layer unpacks to what looks like {found}, not like a disk image; hint: {hint}")]
    NoDiskInside { found: &'static str, hint: &'static str },
    #[error("layer is announced as '{announced}', its first bytes say {found}; hint: push it again as '{}'", .found.media_type().unwrap_or(DISK))]
    NotAnnounced { announced: String, found: Format },
    #[error("layer's {format} stream has to look back {}, {} are allowed; hint: pack it again with `{}` or less", Bytes(*.found), Bytes(*.allowed), repack(*.format))]
    Window { format: Format, found: u64, allowed: u64 },
}

/// The option that makes the largest window allowed.
fn repack(format: Format) -> &'static str {
    match format {
        Format::Zstd => "zstd --long=25",
        Format::Xz => "xz -8",
        Format::Gzip | Format::Raw => "gzip",
    }
}

/// Err where the announced media type names a format and `found` is another. Media types that name none agree with everything.
pub fn check(announced: Option<&str>, found: Format) -> Result<(), FormatError> {
    let Some(announced) = announced else { return Ok(()) };
    let wanted = Format::ALL.into_iter().find(|format| {
        format.media_type().is_some_and(|known| known.eq_ignore_ascii_case(essence(announced)))
    });
    match wanted {
        Some(wanted) if wanted != found => {
            Err(FormatError::NotAnnounced { announced: announced.to_owned(), found })
        }
        _ => Ok(()),
    }
}

/// A media type without its parameters (RFC 9110, 8.3.1).
fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// A size in bytes that the raw image has at least, as far as a layer's first and last bytes tell. Not verified: a broken layer may say anything.
pub fn size_hint(format: Format, head: &[u8], tail: &[u8]) -> Option<u64> {
    match format {
        // The last member's size modulo 2^32 (RFC 1952, 2.3.1).
        Format::Gzip => tail.last_chunk().map(|size| u64::from(u32::from_le_bytes(*size))),
        Format::Zstd => zstd::content_size(head),
        Format::Xz | Format::Raw => None,
    }
}

#[cfg(test)]
mod tests;
