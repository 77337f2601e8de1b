//! SHA-256 digests in the notation of OCI, and the hashing that yields them.

use std::{fmt, io, io::Read, str::FromStr};

use sha2::{Digest as _, Sha256};

use crate::{
    error::{Error, Result},
    size::{Transfer, length_of},
};

/// The digest of a blob or manifest: `sha256:` and 64 lower-case hexadecimal digits (OCI image
/// spec, descriptor.md, "Digests").
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
pub struct Digest([u8; 32]);

impl Digest {
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The tag that stands for this digest (distribution spec, "Referrers Tag Schema"). Tags
    /// cannot contain a colon.
    pub fn to_tag(self) -> String {
        self.to_string().replace(':', "-")
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let hex = text.strip_prefix("sha256:")?;
            // `from_str_radix` accepts a sign and upper-case letters.
            let is_digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
            let is_valid = hex.len() == 64 && hex.bytes().all(is_digit);
            let (high, low) = hex.split_at_checked(32).filter(|_| is_valid)?;
            let half = |hex| Some(u128::from_str_radix(hex, 16).ok()?.to_be_bytes());
            [half(high)?, half(low)?].as_flattened().try_into().ok()
        };
        parse().map(Self).ok_or_else(|| Error::Digest(text.to_owned()))
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

/// Computes a digest incrementally.
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

/// Hashes and counts the bytes read from another reader.
#[expect(missing_debug_implementations, reason = "a reader and a callback have no useful output")]
pub struct HashingReader<'a, R> {
    from: R,
    hasher: Hasher,
    bytes: u64,
    transfer: Option<&'a dyn Transfer>,
}

impl<'a, R: Read> HashingReader<'a, R> {
    pub fn new(from: R) -> Self {
        Self { from, hasher: Hasher::default(), bytes: 0, transfer: None }
    }

    /// Also reports the bytes read to `transfer`.
    pub fn with_transfer(from: R, transfer: &'a dyn Transfer) -> Self {
        Self { transfer: Some(transfer), ..Self::new(from) }
    }

    /// Reads to the end. Returns the hash and the number of all bytes.
    pub fn drain(mut self) -> io::Result<(Hasher, u64)> {
        let mut buffer = vec![0; 1 << 20];
        while self.read(&mut buffer)? > 0 {}
        Ok((self.hasher, self.bytes))
    }

    /// The digest and the number of the bytes read.
    pub fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.bytes)
    }
}

impl<R: Read> Read for HashingReader<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(into)?;
        let read = into.get(..length).unwrap_or_default();
        self.hasher.update(read);
        self.bytes += length_of(read);
        if let Some(transfer) = self.transfer {
            transfer.add(length_of(read));
        }
        Ok(length)
    }
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
    fn hashing_in_pieces_equals_hashing_at_once() {
        let mut hasher = Hasher::default();
        hasher.update(b"ab");
        hasher.update(b"c");
        assert_eq!(hasher.finish(), Digest::of(b"abc"));
    }

    #[test]
    fn rejects_other_algorithms_lengths_and_cases() {
        let upper = EMPTY.to_uppercase();
        let long = format!("{EMPTY}0");
        for bad in
            ["", "sha256:", &EMPTY[7..], &EMPTY[..70], &long, &upper, "sha512:00", "sha256:zz"]
        {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn tag_contains_no_colon() {
        let wanted = "sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_tag(), wanted);
    }
}
