//! `attach`: uploads files as an artifact that refers to an image.

use std::path::Path;

use anyhow::Context as _;
use clap::Args;
use oci::{document, document::parse_media_type};
use oci_spec::image::Descriptor;
use registry::{auth::Access, copy, copy::CopyScope, location::Location, session::Session};

use super::{created, print, push::add_file};
use crate::image::error::Result;

/// Attach files to an image: a log, an SBOM, …
#[derive(Args, Debug)]
pub(in crate::image) struct Attach {
    /// Files, followed by the image: registry/repository:tag or oci:DIR:NAME
    #[arg(required = true, num_args = 2.., value_name = "FILE… REF")]
    files_and_image: Vec<String>,
    /// Type of the files, such as build/log
    #[arg(
        long = "type",
        alias = "artifact-type",
        value_name = "MEDIA-TYPE",
        value_parser = parse_media_type
    )]
    artifact_type: String,
}

pub(super) fn run(args: &Attach, session: &Session) -> Result<()> {
    let (image, files) = args.files_and_image.split_last().context("reading the arguments")?;
    let mut to = Location::open(session, image, Access::Push)?;
    let subject = to.resolve()?.descriptor;
    let store = session.store()?;
    let layers: Vec<Descriptor> = files
        .iter()
        .map(|file| add_file(Path::new(file), &store))
        .collect::<anyhow::Result<_>>()?;
    let mut artifact = document::artifact(&args.artifact_type, layers, created()?)?;
    let digest = document::digest_of(&subject)?;
    let subject = document::descriptor(subject.media_type().as_ref(), digest, subject.size())?;
    artifact.set_subject(Some(subject));
    let made = store.add_manifest(&artifact)?;
    // By digest, because a referrer has no name. It is removed from the store afterwards.
    store.keep(&made, None)?;
    let mut from = Location::in_store(store, made.digest().as_ref());
    copy::copy_unnamed(&mut from, &mut to, CopyScope::Image)?;
    session.store()?.forget(&document::digest_of(&made)?).context("tidying the store")?;
    // Last, because the target may be the store itself.
    to.keep(&made)?;
    print(&format!("{}\n", made.digest()))
}
