//! `cargo xtask overlay`: archives a site's directory, to be appended to the initramfs. The same
//! directory gives the same bytes. Files that the installer does not read are rejected.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use archive::{
    gzip, newc,
    tree::{Entry, Kind, Tree},
};
use oci::{reference::Repository, signature::Key};
use params::PARAMETERS;
use registry::credentials::Credentials;
use rustls::{RootCertStore, pki_types::CertificateDer};
use serde_json::Value;
use ureq::tls::PemItem;
use walkdir::WalkDir;

use crate::host::{output, output::Readers, project, report};

/// Archive a site's parameters, CAs, keys, credentials, hooks and firmware for the initramfs
///
/// DIR can contain: parameters (installer parameters, one per line; '#' starts a comment line),
/// ca.d/*.pem (certificate authorities), keys.d/*.pub and keys.d/*.pem (public keys; only images
/// signed with one of them are installed), auth.json (credentials in the format of Docker's
/// config.json), and the scripts hooks/before, hooks/after and hooks/failed (the initramfs has
/// /bin/sh). They are placed in /etc/ocidd. Files in firmware/ are placed in /lib/firmware, where
/// the kernel looks for the firmware of network cards. Hidden files are ignored, others rejected.
/// The same DIR gives the same bytes.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask overlay site
      Writes out/overlay.cpio.gz
  cat out/initramfs-amd64.gz out/overlay.cpio.gz > initramfs-site.gz
      Append it to the initramfs. Boot loaders with several initrd files can load it separately
  zcat out/overlay.cpio.gz | cpio -itv
      List its content

Everyone who can fetch the overlay can read its credentials: restrict them to pulling.")]
pub struct Args {
    /// The site's directory
    dir: PathBuf,
    /// The archive to write [default: out/overlay.cpio.gz]
    #[arg(long, short)]
    output: Option<PathBuf>,
}

/// A constant, so that the bytes depend on the directory only: with the commit time of this
/// project, they would change with every update. init has the minimum of its clock elsewhere.
const MTIME: u32 = 0;

const CREDENTIALS: &str = "etc/ocidd/auth.json";
const KNOWN: &str = "parameters, ca.d/*.pem, keys.d/*.pub, keys.d/*.pem, auth.json, \
                     hooks/{before,after,failed} and firmware/";

#[derive(Debug)]
pub struct Overlay {
    tree: Tree,
    pub bytes: Vec<u8>,
}

pub fn run(args: &Args) -> Result<()> {
    let overlay = pack(&args.dir)?;
    let path = args.output.clone().unwrap_or_else(|| project::out().join("overlay.cpio.gz"));
    let has_credentials = overlay.tree.entries().any(|(path, _)| path == CREDENTIALS);
    let readers = if has_credentials { Readers::Owner } else { Readers::All };
    output::write_for(&path, &overlay.bytes, readers)?;
    let (size, digest) = (overlay.bytes.len(), output::digest_of(&overlay.bytes));
    report::result(format_args!("{}: {size} bytes, sha256 {digest}", path.display()));
    for line in overlay.listing() {
        report::result(format_args!("  {line}"));
    }
    if has_credentials {
        report::warn(
            "the file contains credentials: only you and machines that boot it can read them",
        );
    }
    Ok(())
}

/// Archives `folder`. The error has one line per problem.
pub fn pack(folder: &Path) -> Result<Overlay> {
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    // Hidden files belong to tools like git.
    let is_visible = |entry: &walkdir::DirEntry| {
        entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".")
    };
    let mut walk = WalkDir::new(folder)
        .min_depth(1)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(is_visible);
    while let Some(found) = walk.next() {
        let found = found.with_context(|| format!("reading {}", folder.display()))?;
        let path = found.path().strip_prefix(folder)?;
        let path = path.to_str().with_context(|| format!("'{}' is not UTF-8", path.display()))?;
        if found.file_type().is_dir() {
            if !matches!(path.split('/').next(), Some("ca.d" | "keys.d" | "hooks" | "firmware"))
                || path.contains('/') && !path.starts_with("firmware/")
            {
                problems.push(format!("unknown directory '{path}'; hint: expected {KNOWN}"));
                walk.skip_current_dir();
            }
            continue;
        }
        let Some((target, mode, check)) = rule(path).filter(|_| found.file_type().is_file()) else {
            problems.push(format!("unknown file '{path}'; hint: expected {KNOWN}"));
            continue;
        };
        let bytes = std::fs::read(found.path()).with_context(|| format!("reading {path}"))?;
        if let Err(error) = check(found.path(), &bytes) {
            problems.push(format!("{path}: {error:#}"));
        }
        entries.push((target, Entry::file(mode, bytes)));
    }
    // The installer rejects an empty directory of keys.
    let has_key = entries.iter().any(|(path, _)| path.starts_with("etc/ocidd/keys.d/"));
    if problems.is_empty() && folder.join("keys.d").is_dir() && !has_key {
        problems
            .push("no key found in 'keys.d'; hint: add one, or remove the directory".to_owned());
    }
    if !problems.is_empty() {
        bail!("packing {}: {}", folder.display(), problems.join("\n  "));
    }
    if entries.is_empty() {
        bail!("packing {}: no files found; hint: it can contain {KNOWN}", folder.display());
    }
    let tree = Tree::new(entries)?;
    let bytes = gzip::compress(&newc::write(&tree, MTIME)?)?;
    Ok(Overlay { tree, bytes })
}

impl Overlay {
    /// Mode, size and path of each file.
    fn listing(&self) -> Vec<String> {
        let line = |(path, entry): (&str, &Entry)| match &entry.kind {
            Kind::File(bytes) => Some(format!("{:04o} {:>8} /{path}", entry.mode, bytes.len())),
            _ => None,
        };
        self.tree.entries().filter_map(line).collect()
    }
}

type Check = fn(&Path, &[u8]) -> Result<()>;

/// Path in the initramfs, mode and check of a site's file. `None` if the installer ignores it.
fn rule(path: &str) -> Option<(String, u32, Check)> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    let (mode, check): (u32, Check) = match (folder, extension) {
        _ if path == "parameters" => (0o644, check_parameters),
        _ if path == "auth.json" => (0o600, check_credentials),
        ("ca.d", "pem") => (0o644, check_authorities),
        ("keys.d", "pub" | "pem") => (0o644, |_, pem| Ok(Key::parse_pem(pem, "").map(drop)?)),
        _ if ["hooks/before", "hooks/after", "hooks/failed"].contains(&path) => (0o755, check_hook),
        // The kernel's directory (Documentation/driver-api/firmware/fw_search_path.rst).
        _ if path.starts_with("firmware/") => {
            return Some((format!("lib/{path}"), 0o644, |_, _| Ok(())));
        }
        _ => return None,
    };
    Some((format!("etc/ocidd/{path}"), mode, check))
}

/// Checks each line like the installer, and also rejects what it would ignore.
fn check_parameters(file: &Path, _text: &[u8]) -> Result<()> {
    let key_of = |text: &str| text.split('=').next().unwrap_or_default().to_owned();
    let is_known = |key: &str| PARAMETERS.iter().any(|known| known.key() == key);
    let mut problems = Vec::new();
    for line in params::site::read_site_file(file)? {
        let key = key_of(&line);
        let value = line.get(key.len() + 1..).unwrap_or_default();
        let mut further = value.split_whitespace().skip(1).map(key_of);
        if let Some(error) = params::parse_parameters([&line]).1.first() {
            problems.push(error.to_string());
        } else if !is_known(&key) {
            problems.push(format!("unknown parameter '{key}'"));
        } else if let Some(second) = further.find(|key| is_known(key)) {
            problems.push(format!("'{key}' and '{second}' in one line; hint: use two lines"));
        } else if value.starts_with('"') {
            problems.push(format!("{key}: value in quotes, which would be part of it"));
        }
    }
    ensure!(problems.is_empty(), "{}", problems.join("; "));
    Ok(())
}

/// Docker's `config.json`, with credentials for each registry in it.
fn check_credentials(file: &Path, json: &[u8]) -> Result<()> {
    let credentials = Credentials::parse(json, file)?;
    let config: Value = serde_json::from_slice(json)?;
    let registries = config.get("auths").and_then(Value::as_object).into_iter().flatten();
    let mut keys = registries.map(|(key, _)| key).peekable();
    ensure!(keys.peek().is_some(), "no registry in 'auths'; hint: `docker login` adds one");
    for key in keys {
        let bare = key.split_once("://").map_or(key.as_str(), |(_, rest)| rest);
        let (registry, name) = bare.split_once('/').unwrap_or((bare, ""));
        let name = name.trim_end_matches('/').to_owned();
        let repository = Repository { registry: registry.to_owned(), name };
        credentials.login_for(&repository)?.with_context(|| {
            format!(
                "no credentials in auths.{key}; hint: if a credential helper has them, log in \
                 with `docker --config DIR login` and an empty DIR"
            )
        })?;
    }
    Ok(())
}

/// PEM with at least one certificate and no private key.
fn check_authorities(_file: &Path, pem: &[u8]) -> Result<()> {
    let mut store = RootCertStore::empty();
    for item in ureq::tls::parse_pem(pem) {
        match item.context("invalid PEM")? {
            // The client silently ignores a certificate that it cannot parse.
            PemItem::Certificate(certificate) => store
                .add(CertificateDer::from(certificate.der()))
                .with_context(|| format!("certificate {} is invalid", store.len() + 1))?,
            PemItem::PrivateKey(_) => bail!("contains a private key; hint: remove it"),
            _ => {}
        }
    }
    ensure!(!store.is_empty(), "no certificate found; hint: use PEM, -----BEGIN CERTIFICATE-----");
    Ok(())
}

/// A script that the kernel can start.
fn check_hook(_file: &Path, script: &[u8]) -> Result<()> {
    let first = script.split(|byte| *byte == b'\n').next().unwrap_or_default();
    ensure!(first.starts_with(b"#!"), "missing '#!' at the start; hint: use #!/bin/sh");
    // The kernel would look for '/bin/sh\r'.
    ensure!(!first.ends_with(b"\r"), "lines end with CR LF; hint: use dos2unix");
    Ok(())
}

#[cfg(test)]
mod tests;
