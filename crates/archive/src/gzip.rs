//! Compresses with fixed settings, so that the same bytes always give the same bytes. A module of
//! its own, because not only archives are compressed.

use std::io::{Read as _, Result, Write as _};

use flate2::{Compression, GzBuilder, read::MultiGzDecoder};

/// "Unknown" in RFC 1952, so that the header does not depend on the host.
const UNKNOWN_SYSTEM: u8 = 255;

/// `bytes` as one gzip member.
pub fn compress(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzBuilder::new()
        .mtime(0)
        .operating_system(UNKNOWN_SYSTEM)
        .write(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// The content of all gzip members in `bytes`.
pub fn decompress(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    MultiGzDecoder::new(bytes).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_a_header_without_name_time_and_system() {
        let zipped = compress(b"some bytes").unwrap();
        // RFC 1952: magic, deflate, no flags, no time, best compression, no system.
        assert_eq!(zipped[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255]);
        assert_eq!(decompress(&zipped).unwrap(), b"some bytes");
    }

    /// Another backend or level changes this digest, and with it the bytes of every release.
    #[test]
    fn gives_golden_bytes() {
        let text: Vec<u8> =
            (0..200_000_u32).flat_map(|number| (number % 977).to_string().into_bytes()).collect();
        assert_eq!(
            crate::sha256(&compress(&text).unwrap()),
            "eb65e9b10d1a5c914012b2d44233ae73e5ad6506f012680ffdb2e8407f407acf"
        );
    }

    #[test]
    fn rejects_truncated_bytes() {
        let zipped = compress(b"some bytes").unwrap();
        assert!(decompress(&zipped[..zipped.len() - 1]).is_err());
    }
}
