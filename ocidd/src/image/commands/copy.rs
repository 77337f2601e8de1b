//! `copy`: an image from one registry or layout to another.

use super::print;
use crate::image::command::Copy;
use crate::image::copy;
use crate::image::copy::Extent;
use crate::image::session::Session;
use crate::registry::auth::Access;
use crate::size::Bytes;
use anyhow::Result;

pub(in crate::image) fn run(args: &Copy, session: &Session) -> Result<()> {
    let mut from = session.place(&args.from, Access::Pull)?;
    let mut to = session.place(&args.to, Access::Push)?;
    let extent = if args.referrers { Extent::WithReferrers } else { Extent::Image };
    let (image, copied) = copy::copy(&mut from, &mut to, extent)?;
    session.report().tell(&format!("copied {} blobs of {}", copied.blobs, Bytes(copied.bytes)));
    print(&format!("{}\n", image.digest()))
}
