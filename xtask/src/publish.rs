//! `cargo xtask publish`: checks the files in `out/`, writes them into an OCI image layout and
//! pushes it to a registry.

mod forms;
mod layout;
mod release;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use forms::ReleaseInfo;
use layout::Published;
use oci::{layout::Store, signing_key::SigningKey};
use registry::{
    auth::Access,
    copy,
    copy::CopyScope,
    http::Tls,
    location::Location,
    own::Own,
    session::{Session, Settings},
};
pub use release::BUILD_MANIFEST;
use release::Release;

use crate::{
    config::Profile,
    host::{
        arch::{ArchOption, Archs},
        project, report,
        report::hinted,
    },
};

/// Publish the boot files in out/ as OCI artifacts
///
/// The same blobs are published in several forms for different clients. VERSION is the tag of REF,
/// followed by the profile unless it is the default, as in VERSION-hw:
/// VERSION, VERSION-amd64, VERSION-arm64: for oras, podman and Foreman (Pulp's netboot layout);
/// VERSION-ironcore and its -amd64, -arm64: for ironcore's boot-operator;
/// VERSION-image and its -amd64, -arm64: container images, for clients without artifact support.
/// SBOM, provenance, build manifest and SHA256SUMS refer to them.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask publish registry.example/ocidd:1.0 --arch all --profile default,hw
      All files, with the credentials of podman and docker
  cargo xtask publish localhost:5000/ocidd:1.0 --plain-http
      To a registry without TLS
  cargo xtask publish registry.example/ocidd:1.0 --dry-run
      Print every manifest
  cargo xtask publish registry.example/ocidd:1.0 --layout /tmp/ocidd
      Into an OCI image layout, for `skopeo copy oci:/tmp/ocidd:1.0 …` or a USB stick
  cargo xtask verify --against oci://registry.example/ocidd:1.0
      Compare this checkout with the published files")]
pub struct Args {
    /// registry/repository:VERSION
    #[arg(value_name = "REF")]
    reference: String,
    /// The architectures to publish
    #[arg(long, value_enum, default_value = "all")]
    arch: Archs,
    /// The profiles to publish
    #[arg(long, value_enum, value_delimiter = ',', default_value = "default")]
    profile: Vec<Profile>,
    /// Use plain HTTP
    #[arg(long)]
    plain_http: bool,
    /// Credentials in the format of Docker's config.json [default: podman's and docker's]
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
    /// Certificate authorities in PEM [default: this machine's]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// URL of the source code, for org.opencontainers.image.source
    #[arg(long, value_name = "URL")]
    source: Option<String>,
    /// Sign every manifest with a key of cosign (password in `COSIGN_PASSWORD`) or openssl
    #[arg(long, value_name = "KEY")]
    sign: Option<PathBuf>,
    /// Print every manifest and push nothing
    #[arg(long)]
    dry_run: bool,
    /// Write an OCI image layout to this directory and push nothing
    #[arg(long, value_name = "DIR", conflicts_with = "dry_run")]
    layout: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<()> {
    let (repository, version) = split(&args.reference)?;
    let password = std::env::var("COSIGN_PASSWORD").ok();
    let read_key = |path: &std::path::Path| SigningKey::read(path, password.as_deref());
    let key = args.sign.as_deref().map(read_key).transpose().context("reading the signing key")?;
    let archs = ArchOption { arch: Some(args.arch) }.chosen()?;
    let mut releases = Vec::new();
    for profile in &args.profile {
        releases.push(Release::read(&project::out(), *profile, &archs)?);
    }
    release::check_commits(&releases)?;
    let settings = Settings {
        tls: if args.plain_http { Tls::Plain } else { Tls::Required },
        auth_file: args.authfile.clone(),
        ca_file: args.ca_file.clone(),
        ..Settings::default()
    };
    let session = Session::new(settings, Box::new(report::Console));
    let scratch = tempfile::tempdir().context("creating a directory for a layout")?;
    let folder = args.layout.as_deref().unwrap_or(scratch.path());
    let info = ReleaseInfo { version, source: args.source.as_deref() };
    let mut all = Vec::new();
    for release in &releases {
        all.extend(layout::write(&Store::open(folder)?, release, &info)?);
    }
    let place = |tag| -> Result<_> { Ok(Location::in_store(Store::open_existing(folder)?, tag)) };
    if let Some(key) = key {
        for (_, tag) in tagged(&all) {
            let store = Store::open_existing(folder)?;
            let image = Own::read(&store, tag)?;
            registry::sign::sign(&Location::in_store(store, tag), &image, repository, &key)?;
        }
    }
    if args.dry_run {
        return all.iter().try_for_each(|published| show(published, repository));
    }
    for (published, tag) in tagged(&all) {
        if args.layout.is_none() {
            let to = format!("{repository}:{tag}");
            copy::copy(
                &mut place(tag)?,
                &mut Location::open(&session, &to, Access::Push)?,
                CopyScope::WithReferrers,
            )
            .with_context(|| format!("publishing {to}"))?;
        }
        report::result(format_args!("{}  {tag}", published.descriptor.digest()));
    }
    Ok(())
}

/// Those with a tag. The others are copied with them.
fn tagged(all: &[Published]) -> impl Iterator<Item = (&Published, &str)> {
    all.iter().filter_map(|published| Some((published, published.tag.as_deref()?)))
}

fn split(reference: &str) -> Result<(&str, &str)> {
    reference.parse::<oci::reference::ManifestReference>()?;
    let (repository, version) = reference.rsplit_once(':').context("reading the reference")?;
    if reference.contains('@') {
        let fact = format!("'{reference}' has a digest, expected a tag");
        return Err(hinted(fact, "use registry/repository:VERSION"));
    }
    Ok((repository, version))
}

fn show(published: &Published, repository: &str) -> Result<()> {
    let value: serde_json::Value = serde_json::from_slice(&published.bytes)?;
    let (tag, digest) = (published.tag.as_ref(), published.descriptor.digest());
    let name = tag.map_or("a referrer".to_owned(), |tag| format!("{repository}:{tag}"));
    report::result(format_args!("{name} {digest}\n{}", serde_json::to_string_pretty(&value)?));
    Ok(())
}

#[cfg(test)]
mod tests;
