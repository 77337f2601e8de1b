//! Signing keys in PEM files: encrypted ones by cosign and skopeo, plain ones by openssl.

#[cfg(test)]
mod tests;

use std::{fs, io, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use crypto_secretbox::{KeyInit as _, XSalsa20Poly1305, aead::Aead as _};
use p256::{
    SecretKey,
    ecdsa::{Signature, signature::Signer as _},
    pkcs8::{DecodePrivateKey as _, EncodePublicKey as _, der::pem},
};
use serde::Deserialize;
use thiserror::Error;

use crate::signature::Key;

/// The maximum of N times r; scrypt needs 128 bytes times both. cosign asks for 64 MiB.
const MAX_WORK: u64 = 8 << 20;

#[derive(Debug, Error)]
pub enum SigningKeyError {
    #[error(transparent)]
    Read(#[from] io::Error),
    #[error("{0}: expected a private key in PEM")]
    Pem(pem::Error),
    #[error("found '{0}', expected a private key")]
    Label(String),
    #[error("not an ECDSA key on the curve P-256, the only supported kind")]
    Unsupported,
    #[error("the key is protected by a password")]
    NoPassword,
    #[error("the password is wrong")]
    WrongPassword,
    #[error("the protection by {kdf} and {cipher} is not supported")]
    Protection { kdf: String, cipher: String },
    #[error("reading the protection of the key: {0}")]
    Parameters(String),
}

/// An ECDSA key on the curve P-256, the default of cosign.
#[derive(Clone, Debug)]
pub struct SigningKey(p256::ecdsa::SigningKey);

impl SigningKey {
    /// Reads a PEM file. `password` decrypts a protected key.
    pub fn read(path: &Path, password: Option<&str>) -> Result<Self, SigningKeyError> {
        Self::parse(&fs::read(path)?, password)
    }

    fn parse(text: &[u8], password: Option<&str>) -> Result<Self, SigningKeyError> {
        let (label, bytes) = pem::decode_vec(text).map_err(SigningKeyError::Pem)?;
        let key = match label {
            "PRIVATE KEY" => from_pkcs8(&bytes)?,
            "EC PRIVATE KEY" => {
                SecretKey::from_sec1_der(&bytes).map_err(|_reason| SigningKeyError::Unsupported)?
            }
            "ENCRYPTED SIGSTORE PRIVATE KEY" | "ENCRYPTED COSIGN PRIVATE KEY" => {
                let password = password.ok_or(SigningKeyError::NoPassword)?;
                from_pkcs8(&decrypt(&bytes, password)?)?
            }
            other => return Err(SigningKeyError::Label(other.to_owned())),
        };
        Ok(Self(key.into()))
    }

    /// The key that verifies its signatures.
    pub fn public(&self) -> Result<Key, SigningKeyError> {
        let der = self.0.verifying_key().to_public_key_der();
        let der = der.map_err(|_reason| SigningKeyError::Unsupported)?;
        Key::parse_der(der.as_bytes(), "signing key")
            .map_err(|_reason| SigningKeyError::Unsupported)
    }

    /// Returns an ASN.1 signature of the SHA-256 of `bytes`. Deterministic (RFC 6979).
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let signature: Signature = self.0.sign(bytes);
        signature.to_der().as_bytes().to_vec()
    }
}

fn from_pkcs8(der: &[u8]) -> Result<SecretKey, SigningKeyError> {
    SecretKey::from_pkcs8_der(der).map_err(|_reason| SigningKeyError::Unsupported)
}

/// The content of an encrypted key file (sigstore's package "encrypted").
#[derive(Deserialize)]
struct Encrypted {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Deserialize)]
struct Kdf {
    name: String,
    params: Params,
    salt: String,
}

#[derive(Deserialize)]
struct Params {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

fn decrypt(text: &[u8], password: &str) -> Result<Vec<u8>, SigningKeyError> {
    #[expect(clippy::needless_pass_by_value, reason = "`map_err` passes values")]
    fn invalid(error: impl ToString) -> SigningKeyError {
        SigningKeyError::Parameters(error.to_string())
    }
    let Encrypted { kdf, cipher, ciphertext } = serde_json::from_slice(text).map_err(invalid)?;
    let Params { n, r, p } = kdf.params;
    let is_known = kdf.name == "scrypt" && cipher.name == "nacl/secretbox";
    if !is_known || !n.is_power_of_two() || n.saturating_mul(r.into()) > MAX_WORK || p > 16 {
        return Err(SigningKeyError::Protection { kdf: kdf.name, cipher: cipher.name });
    }
    let decode = |text: &str| STANDARD.decode(text).map_err(invalid);
    let log_n = u8::try_from(n.trailing_zeros()).map_err(invalid)?;
    let params = scrypt::Params::new(log_n, r, p).map_err(invalid)?;
    let mut key = [0; 32];
    scrypt::scrypt(password.as_bytes(), &decode(&kdf.salt)?, &params, &mut key).map_err(invalid)?;
    let nonce: [u8; 24] = decode(&cipher.nonce)?
        .try_into()
        .map_err(|_other: Vec<u8>| invalid("the nonce does not have 24 bytes"))?;
    XSalsa20Poly1305::new(&key.into())
        .decrypt(&nonce.into(), decode(&ciphertext)?.as_slice())
        .map_err(|_reason| SigningKeyError::WrongPassword)
}
