//! Builds archives from a tree, and reads them. Bytes depend on the arguments only: nothing here
//! reads the clock, the host or a directory.

pub mod gzip;
pub mod newc;
pub mod read;
pub mod tar;
pub mod tree;

/// The SHA-256 of `bytes`, to compare with golden values.
#[cfg(test)]
fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(bytes);
    let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}
