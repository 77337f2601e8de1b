//! `copy`: copies an image from one registry or layout to another.

use clap::Args;
use oci::size::Bytes;
use registry::{auth::Access, copy, copy::CopyScope, location::Location, session::Session};

use super::print;
use crate::image::error::Result;

/// Copy an image between registries and image layouts
#[derive(Args, Debug)]
pub(in crate::image) struct Copy {
    /// registry/repository:tag or oci:DIR:NAME
    from: String,
    /// registry/repository:tag or oci:DIR:NAME
    to: String,
    /// Also copy what refers to the image: signatures, SBOMs, logs
    #[arg(long)]
    referrers: bool,
}

pub(super) fn run(args: &Copy, session: &Session) -> Result<()> {
    let mut from = Location::open(session, &args.from, Access::Pull)?;
    let mut to = Location::open(session, &args.to, Access::Push)?;
    let scope = if args.referrers { CopyScope::WithReferrers } else { CopyScope::Image };
    let (image, copied) = copy::copy(&mut from, &mut to, scope)?;
    session.observer().note(format!("copied {} blobs of {}", copied.blobs, Bytes(copied.bytes)));
    print(&format!("{}\n", image.digest()))
}
