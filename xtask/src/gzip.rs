//! Compresses an archive the same way every time: one backend, one level, no name, no time, no operating system.

use anyhow::Context as _;
use anyhow::Result;
use flate2::Compression;
use flate2::GzBuilder;
use flate2::read::MultiGzDecoder;
use std::io::Read as _;
use std::io::Write as _;

/// "Unknown" in RFC 1952: the bytes do not depend on where they are made.
const NO_SYSTEM: u8 = 255;

/// `bytes` as one gzip member.
pub fn compress(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzBuilder::new()
        .mtime(0)
        .operating_system(NO_SYSTEM)
        .write(Vec::new(), Compression::best());
    encoder.write_all(bytes).context("compressing")?;
    encoder.finish().context("compressing")
}

/// What [`compress`] was given.
pub fn inflate(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut inflated = Vec::new();
    MultiGzDecoder::new(bytes).read_to_end(&mut inflated).context("inflating")?;
    Ok(inflated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_a_header_without_name_time_and_system() {
        let zipped = compress(b"some bytes").unwrap();
        // RFC 1952: magic, deflate, no flags, no time, best compression, no system.
        assert_eq!(zipped[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255]);
        assert_eq!(inflate(&zipped).unwrap(), b"some bytes");
    }

    /// A digest over all that the backend and its level decide. It changes with them only, and then every release's bytes do too.
    #[test]
    fn gives_the_bytes_it_always_gave() {
        let text: Vec<u8> =
            (0..200_000_u32).flat_map(|number| (number % 977).to_string().into_bytes()).collect();
        assert_eq!(
            crate::output::digest_of(&compress(&text).unwrap()),
            "eb65e9b10d1a5c914012b2d44233ae73e5ad6506f012680ffdb2e8407f407acf"
        );
    }

    #[test]
    fn refuses_cut_bytes() {
        let zipped = compress(b"some bytes").unwrap();
        assert!(inflate(&zipped[..zipped.len() - 1]).is_err());
    }
}
