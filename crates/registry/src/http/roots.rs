//! Certificate authorities from files: those of the image, and those that a site adds.

use anyhow::Context as _;
use anyhow::Result;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use ureq::tls::Certificate;
use ureq::tls::PemItem;

/// Where certificate authorities are read from.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// One PEM file with many certificates. It may be missing where the folder has some.
    pub bundle: PathBuf,
    /// A folder of PEM files that a site adds. It may be missing.
    pub folder: PathBuf,
}

pub fn read_roots(files: &CertificateFiles) -> Result<Vec<Certificate<'static>>> {
    let mut roots = Vec::new();
    match fs::read(&files.bundle) {
        Ok(pem) => add_certificates(&pem, &files.bundle, &mut roots)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error)
                .with_context(|| format!("reading certificates from {}", files.bundle.display()));
        }
    }
    let entries = fs::read_dir(&files.folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        let pem = fs::read(&path)
            .with_context(|| format!("reading certificates from {}", path.display()))?;
        add_certificates(&pem, &path, &mut roots)?;
    }
    Ok(roots)
}

fn add_certificates(pem: &[u8], path: &Path, roots: &mut Vec<Certificate<'static>>) -> Result<()> {
    for item in ureq::tls::parse_pem(pem) {
        if let PemItem::Certificate(certificate) =
            item.with_context(|| format!("reading certificates from {}", path.display()))?
        {
            roots.push(certificate);
        }
    }
    Ok(())
}
