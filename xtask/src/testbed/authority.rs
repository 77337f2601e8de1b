//! A certificate authority for one run and a server certificate, for HTTPS on loopback.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

/// This machine's names and addresses as used by this machine and its guests.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "10.0.2.2"];

/// The PEM files of a server, and the authority that its clients must trust.
#[derive(Debug)]
pub struct ServerFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The authority's certificate, as PEM.
    pub authority: String,
    _folder: TempDir,
}

impl ServerFiles {
    pub fn make() -> Result<Self> {
        let mut params = parameters(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)
            .context("creating a certificate authority")?;
        let server_key = KeyPair::generate()?;
        let server = parameters(NAMES.map(str::to_owned))?
            .signed_by(&server_key, &issuer)
            .context("signing a certificate")?;
        let folder = tempfile::tempdir().context("creating a directory for certificates")?;
        let (certificate, key) =
            (folder.path().join("server.pem"), folder.path().join("server.key"));
        fs::write(&certificate, server.pem()).context("writing a certificate")?;
        fs::write(&key, server_key.serialize_pem()).context("writing a key")?;
        Ok(Self { certificate, key, authority: issuer.pem(), _folder: folder })
    }
}

/// Valid since long before any build, but not for a clock that has lost its time.
fn parameters(names: impl Into<Vec<String>>) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(names)?;
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    Ok(params)
}
