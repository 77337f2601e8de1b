//! `tag`, `untag`, `rm` and `gc`: names and images of the store.

use anyhow::Context as _;
use clap::Args;
use oci::{document, layout::Store, reference::ManifestReference, size::Bytes};
use oci_spec::image::Descriptor;
use registry::{auth::Access, location::Location, session::Session};

use super::print;
use crate::image::error::{Error, Result};

/// Add a name to an image of the store
#[derive(Args, Debug)]
pub(in crate::image) struct Tag {
    /// Name, digest or shortened digest
    image: String,
    /// New name: registry/repository:tag
    name: String,
}

/// Remove a name from the store, but not its image
#[derive(Args, Debug)]
pub(in crate::image) struct Untag {
    name: String,
}

/// Remove an image and its names from the store, or delete one from a registry
#[derive(Args, Debug)]
pub(in crate::image) struct Rm {
    /// Name, digest or shortened digest
    #[arg(value_name = "REF")]
    image: String,
    /// Delete it from the registry instead
    #[arg(long)]
    remote: bool,
}

pub(super) fn tag(args: &Tag, session: &Session) -> Result<()> {
    args.name.parse::<ManifestReference>()?;
    let store = session.store()?;
    let image = find(&store, &args.image)?;
    store.keep(&image, Some(&args.name))?;
    print(&format!("Successfully tagged {} with {}\n", args.name, image.digest()))
}

pub(super) fn untag(args: &Untag, session: &Session) -> Result<()> {
    let store = session.store()?;
    if !store.untag(&args.name)? {
        return Err(not_found(&args.name));
    }
    Ok(())
}

pub(super) fn remove(args: &Rm, session: &Session) -> Result<()> {
    if args.remote {
        let mut place = Location::open(session, &args.image, Access::Delete)?;
        let (remote, version) =
            place.remote().with_context(|| format!("'{}' is not in a registry", args.image))?;
        let version = version.clone();
        return Ok(remote.delete(&version)?);
    }
    let store = session.store()?;
    let image = find(&store, &args.image)?;
    store.forget(&document::digest_of(&image)?)?;
    session.observer().note("`ocidd image gc` removes its blobs".to_owned());
    Ok(())
}

pub(super) fn collect(session: &Session) -> Result<()> {
    let freed = session.store()?.collect()?;
    print(&format!("freed {} blobs, {}\n", freed.blobs, Bytes(freed.bytes)))
}

fn find(store: &Store, image: &str) -> Result<Descriptor> {
    store.resolve(image)?.ok_or_else(|| not_found(image))
}

fn not_found(image: &str) -> Error {
    Error::new(
        format!("'{image}' not found in the store"),
        "`ocidd image list` prints names and digests",
    )
}
