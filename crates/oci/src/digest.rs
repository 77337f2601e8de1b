//! SHA-256 digests as OCI writes them, and the hashing that yields them. Nothing else hashes, so nothing can be compared but like with like.

use sha2::Digest as _;
use sha2::Sha256;
use std::fmt;
use std::io::Read;
use std::str::FromStr;
use thiserror::Error;

/// The content of a blob or manifest: `sha256:` and 64 lower-case hexadecimal digits (OCI image spec, descriptor.md, "Digests").
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
pub struct Digest([u8; 32]);

#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("digest '{0}' is not 'sha256:' and 64 lower-case hexadecimal digits")]
pub struct BadDigest(String);

impl Digest {
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// As a tag, which holds no colon: where clients list what is about a manifest (distribution spec, "Referrers Tag Schema"), and how the tag
    /// of its signatures begins.
    pub fn to_tag(self) -> String {
        self.to_string().replace(':', "-")
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        let bad = || BadDigest(text.to_owned());
        let hex = text.strip_prefix("sha256:").ok_or_else(bad)?;
        let nibble = |c: u8| match c {
            b'0'..=b'9' => Some(c - b'0'),
            b'a'..=b'f' => Some(c - b'a' + 10),
            _ => None,
        };
        let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
        let bytes: Option<Vec<u8>> =
            pairs.iter().map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?)).collect();
        let bytes = bytes.filter(|_| rest.is_empty()).ok_or_else(bad)?;
        bytes.try_into().map(Self).map_err(|_wrong_length: Vec<u8>| bad())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Digests bytes as they come.
#[derive(Clone, Debug, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// A stream that hashes what is read from it.
pub trait Digested: Read {
    /// Of everything read so far.
    fn digest(&self) -> Digest;
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn prints_what_it_parsed() {
        assert_eq!(EMPTY.parse::<Digest>().unwrap().to_string(), EMPTY);
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
    }

    #[test]
    fn hashing_in_pieces_is_hashing_at_once() {
        let mut hasher = Hasher::default();
        hasher.update(b"ab");
        hasher.update(b"c");
        assert_eq!(hasher.finish(), Digest::of(b"abc"));
    }

    #[test]
    fn refuses_other_algorithms_lengths_and_cases() {
        let upper = EMPTY.to_uppercase();
        let long = format!("{EMPTY}0");
        for bad in
            ["", "sha256:", &EMPTY[7..], &EMPTY[..70], &long, &upper, "sha512:00", "sha256:zz"]
        {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_tag_is_the_digest_without_what_tags_may_not_hold() {
        let wanted = "sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_tag(), wanted);
    }
}
