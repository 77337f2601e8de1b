//! One file for each subcommand; those of the store share one.

mod attach;
mod build;
mod copy;
mod inspect;
mod list;
mod pull;
mod push;
mod referrers;
mod store;
mod url;

use std::{env, io, io::Write as _};

use anyhow::{Context as _, anyhow};
use clap::Subcommand;
use oci::{
    document,
    document::{Annotations, Document},
    index,
    platform::Platform,
};
use oci_spec::image::ImageManifest;
use registry::{location::Location, repository::Fetched, session::Session};

use crate::image::error::Result;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Push(push::Push),
    Build(build::Build),
    List(list::List),
    Tag(store::Tag),
    Untag(store::Untag),
    Inspect(inspect::Inspect),
    Pull(pull::Pull),
    Url(url::Url),
    Copy(copy::Copy),
    Attach(attach::Attach),
    Referrers(referrers::Referrers),
    Rm(store::Rm),
    /// Remove blobs from the store that no image uses
    Gc,
}

impl Command {
    pub(super) fn run(&self, session: &Session) -> Result<()> {
        match self {
            Self::Push(args) => push::run(args, session),
            Self::Build(args) => build::run(args, session),
            Self::List(args) => list::run(args, session),
            Self::Tag(args) => store::tag(args, session),
            Self::Untag(args) => store::untag(args, session),
            Self::Inspect(args) => inspect::run(args, session),
            Self::Pull(args) => pull::run(args, session),
            Self::Url(args) => url::run(args, session),
            Self::Copy(args) => copy::run(args, session),
            Self::Attach(args) => attach::run(args, session),
            Self::Referrers(args) => referrers::run(args, session),
            Self::Rm(args) => store::remove(args, session),
            Self::Gc => store::collect(session),
        }
    }
}

/// Prints a result to standard output.
fn print(text: &str) -> Result<()> {
    Ok(io::stdout().write_all(text.as_bytes()).context("printing")?)
}

fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).context("writing JSON")?;
    print(&format!("{text}\n"))
}

/// The first digits of a digest, as many as onmetal-image and podman print.
fn short(digest: &oci_spec::image::Digest) -> &str {
    digest.digest().get(..12).unwrap_or_default()
}

/// The creation time from `SOURCE_DATE_EPOCH`, if set. The clock is not read, so equal files have
/// equal digests.
fn created() -> anyhow::Result<Annotations> {
    let Some(text) = env::var_os("SOURCE_DATE_EPOCH") else { return Ok(Annotations::new()) };
    let text = text.to_string_lossy();
    let doing = || format!("reading SOURCE_DATE_EPOCH, '{text}', as a number of seconds");
    let seconds = text.parse().with_context(doing)?;
    let time = jiff::Timestamp::from_second(seconds).with_context(doing)?;
    Ok(Annotations::from([(document::CREATED.to_owned(), time.to_string())]))
}

/// The manifest of a location. If it is an image index, the one for `platform`.
fn resolve_manifest(
    place: &mut Location<'_>,
    platform: Option<&Platform>,
) -> Result<(Fetched, ImageManifest)> {
    let fetched = place.resolve()?;
    let index = match fetched.parse()? {
        Document::Manifest(manifest) => return Ok((fetched, manifest)),
        Document::Index(index) => index,
    };
    let host = Platform::of_host();
    let fetched = place.read_manifest(index::select(&index, platform.unwrap_or(&host))?)?;
    match fetched.parse()? {
        Document::Manifest(manifest) => Ok((fetched, manifest)),
        Document::Index(_) => Err(anyhow!("the image index leads to another image index").into()),
    }
}

/// The name of a layer: its title, or the name of its media type.
fn layer_name(layer: &oci_spec::image::Descriptor) -> Option<&str> {
    document::title_of(layer).or_else(|| oci::bundle::name_of(layer))
}
