//! `tag`, `untag`, `rm` and `gc`: what the store keeps, and under which names.

use super::print;
use crate::image::command::Rm;
use crate::image::command::Tag;
use crate::image::command::Untag;
use crate::image::document;
use crate::image::session::Session;
use crate::image::store::Store;
use crate::reference::ManifestReference;
use crate::registry::auth::Access;
use crate::size::Bytes;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use oci_spec::image::Descriptor;

pub(in crate::image) fn tag(args: &Tag, session: &Session) -> Result<()> {
    args.name.parse::<ManifestReference>()?;
    let store = session.store()?;
    let image = find(&store, &args.image)?;
    store.keep(&image, Some(&args.name))?;
    print(&format!("Successfully tagged {} with {}\n", args.name, image.digest()))
}

pub(in crate::image) fn untag(args: &Untag, session: &Session) -> Result<()> {
    let store = session.store()?;
    if !store.untag(&args.name)? {
        bail!("the store has no name '{}'; hint: `ocidd image list` tells the names", args.name);
    }
    Ok(())
}

pub(in crate::image) fn remove(args: &Rm, session: &Session) -> Result<()> {
    if args.remote {
        let mut place = session.place(&args.image, Access::Delete)?;
        let (remote, version) =
            place.remote().with_context(|| format!("'{}' names no registry", args.image))?;
        let version = version.clone();
        return remote.delete(&version);
    }
    let store = session.store()?;
    let image = find(&store, &args.image)?;
    store.forget(&document::digest_of(&image)?)?;
    session.report().tell("its space is freed by `ocidd image gc`");
    Ok(())
}

pub(in crate::image) fn collect(session: &Session) -> Result<()> {
    let freed = session.store()?.collect()?;
    print(&format!("freed {} blobs, {}\n", freed.blobs, Bytes(freed.bytes)))
}

fn find(store: &Store, image: &str) -> Result<Descriptor> {
    let found = store.resolve(image)?;
    found.with_context(|| {
        format!("the store has no '{image}'; hint: `ocidd image list` tells what it has")
    })
}
