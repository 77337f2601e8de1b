//! `copy`: an image from one registry or layout to another.

use super::print;
use crate::image::command::Copy;
use anyhow::Result;
use oci::size::Bytes;
use registry::auth::Access;
use registry::copy;
use registry::copy::Extent;
use registry::session::Session;

pub(in crate::image) fn run(args: &Copy, session: &Session) -> Result<()> {
    let mut from = session.place(&args.from, Access::Pull)?;
    let mut to = session.place(&args.to, Access::Push)?;
    let extent = if args.referrers { Extent::WithReferrers } else { Extent::Image };
    let (image, copied) = copy::copy(&mut from, &mut to, extent)?;
    session.observer().note(format!("copied {} blobs of {}", copied.blobs, Bytes(copied.bytes)));
    print(&format!("{}\n", image.digest()))
}
