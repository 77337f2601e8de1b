//! Public keys that signatures are checked by: PEM or DER in, a key out, or a clear word about what it is instead. Pure.

use crate::digest::Digest;
use ring::signature::ECDSA_P256_SHA256_ASN1;
use ring::signature::ED25519;
use ring::signature::UnparsedPublicKey;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::pem::SectionKind;
use std::fmt;
use thiserror::Error;

/// A `SubjectPublicKeyInfo` up to the key itself: algorithm, parameters, and the head of the bit string. DER has one way to write it, so what
/// does not begin so is another kind of key (RFC 5480, 2; uncompressed, as everybody writes it).
const P256_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// RFC 8410, 4.
const ED25519_HEAD: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The object identifiers of what else people sign with, to tell them what they have.
const OTHERS: [(&str, &[u8]); 4] = [
    ("an RSA key", &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01]),
    ("an ECDSA key of curve P-384", &[0x2b, 0x81, 0x04, 0x00, 0x22]),
    ("an ECDSA key of curve P-521", &[0x2b, 0x81, 0x04, 0x00, 0x23]),
    (
        "an ECDSA key of curve P-256 in a form other than the uncompressed one",
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
    ),
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// With SHA-256 and signatures in DER, as cosign makes them where nothing is said.
    EcdsaP256,
    Ed25519,
}

#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum BadKey {
    #[error("it is {0}; hint: supported are ECDSA P-256 and Ed25519, as PEM 'PUBLIC KEY'")]
    Kind(&'static str),
    #[error("no public key is in it; hint: PEM, which begins with -----BEGIN PUBLIC KEY-----")]
    None,
    #[error(
        "a private key is in it, which no machine needs; hint: `openssl pkey -pubout` gives the public one"
    )]
    Private,
    #[error(
        "something else than a public key is in it; hint: leave -----BEGIN PUBLIC KEY----- and what follows"
    )]
    Foreign,
    #[error("its PEM is broken")]
    Pem,
}

/// A trusted key. Prints as where it was found, and the beginning of the SHA-256 of its DER.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Key {
    kind: Kind,
    /// As the algorithm has it, without what surrounds it in DER.
    bytes: Vec<u8>,
    fingerprint: Digest,
    origin: String,
}

impl Key {
    /// The key of a `SubjectPublicKeyInfo` in DER. `origin` is where it was found.
    pub fn parse_der(der: &[u8], origin: &str) -> Result<Self, BadKey> {
        let p256 = der
            .strip_prefix(&P256_HEAD)
            .filter(|bytes| matches!(bytes, [4, point @ ..] if point.len() == 64));
        let ed25519 = der.strip_prefix(&ED25519_HEAD).filter(|bytes| bytes.len() == 32);
        let (kind, bytes) = match (p256, ed25519) {
            (Some(bytes), _) => (Kind::EcdsaP256, bytes),
            (None, Some(bytes)) => (Kind::Ed25519, bytes),
            (None, None) => return Err(BadKey::Kind(describe(der))),
        };
        let (bytes, fingerprint) = (bytes.to_vec(), Digest::of(der));
        Ok(Self { kind, bytes, fingerprint, origin: origin.to_owned() })
    }

    /// Every key of a PEM file; there is at least one, and nothing else.
    pub fn parse_pem(pem: &[u8], origin: &str) -> Result<Vec<Self>, BadKey> {
        let mut keys = Vec::new();
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
            match section.map_err(|_quotes_what_it_found| BadKey::Pem)? {
                (SectionKind::PublicKey, der) => keys.push(Self::parse_der(&der, origin)?),
                (
                    SectionKind::PrivateKey
                    | SectionKind::RsaPrivateKey
                    | SectionKind::EcPrivateKey,
                    _,
                ) => return Err(BadKey::Private),
                _ => return Err(BadKey::Foreign),
            }
        }
        if keys.is_empty() { Err(BadKey::None) } else { Ok(keys) }
    }

    /// Whether this key made `signature` of `message`.
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match self.kind {
            Kind::EcdsaP256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.bytes)
                .verify(message, signature),
            Kind::Ed25519 => {
                UnparsedPublicKey::new(&ED25519, &self.bytes).verify(message, signature)
            }
        };
        verified.is_ok()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Sixteen digits tell a handful of keys apart.
        write!(f, "{} ({:.23}…)", self.origin, self.fingerprint.to_string())
    }
}

fn describe(der: &[u8]) -> &'static str {
    let holds = |id: &[u8]| der.windows(id.len()).take(32).any(|window| window == id);
    OTHERS.iter().find(|(_, id)| holds(id)).map_or("no key of a known kind", |(name, _)| name)
}
