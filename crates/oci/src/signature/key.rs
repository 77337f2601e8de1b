//! Public keys for signatures, parsed from PEM or DER.

use std::fmt;

use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};
use rustls::pki_types::pem::{
    PemObject as _, SectionKind,
    SectionKind::{EcPrivateKey, PrivateKey, PublicKey, RsaPrivateKey},
};
use thiserror::Error;

use crate::digest::Digest;

/// The `SubjectPublicKeyInfo` of uncompressed keys up to the key itself (RFC 5480, 2). DER is
/// unambiguous, so every other prefix is another kind of key.
const P256_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// RFC 8410, 4.
const ED25519_HEAD: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The object identifiers of other kinds of keys, for errors.
const OTHERS: [(&str, &[u8]); 4] = [
    ("an RSA key", &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01]),
    ("an ECDSA key of curve P-384", &[0x2b, 0x81, 0x04, 0x00, 0x22]),
    ("an ECDSA key of curve P-521", &[0x2b, 0x81, 0x04, 0x00, 0x23]),
    (
        "an ECDSA key of curve P-256 in a compressed form",
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
    ),
];

#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum KeyError {
    #[error("found {0}, expected an ECDSA P-256 or Ed25519 public key")]
    Unsupported(&'static str),
    #[error("no public key found, expected PEM with -----BEGIN PUBLIC KEY-----")]
    None,
    #[error("found a private key, expected only public keys")]
    Private,
    #[error("found another PEM section, expected only -----BEGIN PUBLIC KEY-----")]
    Foreign,
    #[error("invalid PEM")]
    Pem,
}

/// A trusted key. `Display` prints its origin and the beginning of the SHA-256 of its DER.
#[derive(Clone, Debug)]
pub struct Key {
    /// ECDSA on P-256 with SHA-256 and DER signatures, the default of cosign, or Ed25519.
    public: UnparsedPublicKey<Vec<u8>>,
    fingerprint: Digest,
    origin: String,
}

impl Key {
    /// Parses a `SubjectPublicKeyInfo`. `origin` is printed with the key.
    pub fn parse_der(der: &[u8], origin: &str) -> Result<Self, KeyError> {
        let p256 = der
            .strip_prefix(&P256_HEAD)
            .filter(|bytes| matches!(bytes, [4, point @ ..] if point.len() == 64));
        let ed25519 = der.strip_prefix(&ED25519_HEAD).filter(|bytes| bytes.len() == 32);
        let public = match (p256, ed25519) {
            (Some(key), _) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1 as _, key.to_vec()),
            (None, Some(key)) => UnparsedPublicKey::new(&ED25519, key.to_vec()),
            (None, None) => return Err(KeyError::Unsupported(describe(der))),
        };
        Ok(Self { public, fingerprint: Digest::of(der), origin: origin.to_owned() })
    }

    /// Parses a PEM file of one or more public keys. Other content is an error.
    pub fn parse_pem(pem: &[u8], origin: &str) -> Result<Vec<Self>, KeyError> {
        let mut keys = Vec::new();
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
            match section.map_err(|_quotes_its_input| KeyError::Pem)? {
                (PublicKey, der) => keys.push(Self::parse_der(&der, origin)?),
                (PrivateKey | RsaPrivateKey | EcPrivateKey, _) => return Err(KeyError::Private),
                _ => return Err(KeyError::Foreign),
            }
        }
        if keys.is_empty() { Err(KeyError::None) } else { Ok(keys) }
    }

    /// Whether this key made `signature` of `message`.
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.public.verify(message, signature).is_ok()
    }
}

/// The fingerprint stands for the key.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        (self.fingerprint, &self.origin) == (other.fingerprint, &other.origin)
    }
}

impl Eq for Key {}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Sixteen digits are enough to distinguish a few keys.
        write!(f, "{} ({:.23}…)", self.origin, self.fingerprint.to_string())
    }
}

fn describe(der: &[u8]) -> &'static str {
    let holds = |id: &[u8]| der.windows(id.len()).take(32).any(|window| window == id);
    OTHERS.iter().find(|(_, id)| holds(id)).map_or("a key of an unknown kind", |(name, _)| name)
}
