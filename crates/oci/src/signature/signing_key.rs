//! A key to sign with, from a PEM file: cosign's and skopeo's, which a password protects, or openssl's.

#[cfg(test)]
mod tests;

use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::KeyInit as _;
use crypto_secretbox::XSalsa20Poly1305;
use crypto_secretbox::aead::Aead as _;
use p256::SecretKey;
use p256::ecdsa::Signature;
use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::DecodePrivateKey as _;
use p256::pkcs8::der::pem;
use serde::Deserialize;
use std::env;
use std::fs;
use std::path::Path;

/// Where cosign takes the password from.
const PASSWORD: &str = "COSIGN_PASSWORD";

/// scrypt may take 128 bytes times both: cosign asks for 64 MiB, and nobody for more than this.
const MOST_WORK: u64 = 8 << 20;

/// An ECDSA key on the curve P-256, cosign's default.
#[derive(Clone, Debug)]
pub struct SigningKey(p256::ecdsa::SigningKey);

impl SigningKey {
    /// Reads a PEM file. The password of a protected one is in `COSIGN_PASSWORD`.
    pub fn read(path: &Path) -> Result<Self> {
        let doing = || format!("reading the signing key {}", path.display());
        let text = fs::read(path).with_context(doing)?;
        let password = || {
            env::var(PASSWORD)
                .map_err(|_unset| anyhow!("a password protects the key; hint: set {PASSWORD}"))
        };
        Self::parse(&text, password).with_context(doing)
    }

    fn parse(text: &[u8], password: impl FnOnce() -> Result<String>) -> Result<Self> {
        let (label, bytes) = pem::decode_vec(text)
            .map_err(|error| anyhow!("{error}; hint: a private key in PEM is wanted"))?;
        let key = match label {
            "PRIVATE KEY" => from_pkcs8(&bytes)?,
            "EC PRIVATE KEY" => SecretKey::from_sec1_der(&bytes).map_err(|_other| no_p256())?,
            "ENCRYPTED SIGSTORE PRIVATE KEY" | "ENCRYPTED COSIGN PRIVATE KEY" => {
                from_pkcs8(&decrypt(&bytes, &password()?)?)?
            }
            other => bail!(
                "it is a '{other}'; hint: a key by `cosign generate-key-pair`, `skopeo generate-sigstore-key` or `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`"
            ),
        };
        Ok(Self(key.into()))
    }

    /// In ASN.1, of the SHA-256 of `bytes`. Deterministic (RFC 6979).
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let signature: Signature = self.0.sign(bytes);
        signature.to_der().as_bytes().to_vec()
    }
}

fn from_pkcs8(der: &[u8]) -> Result<SecretKey> {
    SecretKey::from_pkcs8_der(der).map_err(|_other| no_p256())
}

fn no_p256() -> anyhow::Error {
    anyhow!("it is no ECDSA key on the curve P-256, which is what can be signed with")
}

/// A key file's content (sigstore's "encrypted" package).
#[derive(Deserialize)]
struct Locked {
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

fn decrypt(text: &[u8], password: &str) -> Result<Vec<u8>> {
    let locked: Locked = serde_json::from_slice(text).context("reading what protects the key")?;
    let Params { n, r, p } = locked.kdf.params;
    let known = locked.kdf.name == "scrypt" && locked.cipher.name == "nacl/secretbox";
    if !known || !n.is_power_of_two() || n.saturating_mul(r.into()) > MOST_WORK || p > 16 {
        bail!(
            "it is protected by {} and {} in a way that is not known here",
            locked.kdf.name,
            locked.cipher.name
        );
    }
    let decode = |text: &str| STANDARD.decode(text).context("reading what protects the key");
    let work = u8::try_from(n.trailing_zeros())?;
    let params = scrypt::Params::new(work, r, p)
        .map_err(|error| anyhow!("reading what protects the key: {error}"))?;
    let mut key = [0; 32];
    scrypt::scrypt(password.as_bytes(), &decode(&locked.kdf.salt)?, &params, &mut key)
        .map_err(|error| anyhow!("reading what protects the key: {error}"))?;
    let nonce: [u8; 24] = decode(&locked.cipher.nonce)?
        .try_into()
        .map_err(|_length: Vec<u8>| anyhow!("its nonce has not 24 bytes"))?;
    XSalsa20Poly1305::new(&key.into())
        .decrypt(&nonce.into(), decode(&locked.ciphertext)?.as_slice())
        .map_err(|_wrong| anyhow!("the password in {PASSWORD} does not open it"))
}
