//! `push`: creates an artifact from files, or takes an image of the store, and uploads it.

use std::{
    env,
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use oci::{
    document,
    document::{Annotations, Document, parse_media_type},
    index,
    layout::Store,
    platform::Platform,
    reference::Version,
    signing_key::{SigningKey, SigningKeyError},
    size::Bytes,
};
use oci_spec::image::{Descriptor, ImageManifest};
use registry::{
    auth::Access, copy, copy::CopyScope, location::Location, repository::Fetched, session::Session,
    sign,
};

use super::{created, print};
use crate::image::{
    disk,
    disk::Compression,
    error::{Error, Result},
};

/// Push a disk image, other files, or an image of the store
///
/// One file is a disk image, raw or compressed with gzip, zstd or xz. Several files, or one with
/// --type, become an artifact with one layer each. Without a file, the image with this name is
/// pushed from the store.
#[derive(Args, Debug)]
pub(in crate::image) struct Push {
    /// Files, followed by the target registry/repository:tag
    #[arg(required = true, value_name = "FILE… REF")]
    files_and_target: Vec<String>,
    /// Add the image to an image index for this platform; the index is created if necessary
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Sign with this key of cosign (password in `COSIGN_PASSWORD`) or openssl
    #[arg(long, value_name = "KEY")]
    sign: Option<PathBuf>,
    /// Compression of a raw disk image
    #[arg(long, value_enum, default_value = "gzip")]
    format: Compression,
    /// Artifact type of files, including a single one
    /// [default: application/vnd.unknown.artifact.v1]
    #[arg(long = "type", value_name = "MEDIA-TYPE", value_parser = parse_media_type)]
    artifact_type: Option<String>,
}

pub(super) fn run(args: &Push, session: &Session) -> Result<()> {
    let (target, files) = args.files_and_target.split_last().context("reading the arguments")?;
    // Before compressing the disk image, which takes minutes, the reference is checked.
    let mut to = Location::open(session, target, Access::Push)?;
    if let (Some((_, Version::Digest(_))), [_, ..]) = (to.remote(), files) {
        let message = format!("'{target}' names an image by its digest");
        return Err(Error::new(message, "push to a tag"));
    }
    let key = args.sign.as_deref().map(read_key).transpose()?;
    let store = session.store()?;
    let mut name = target.clone();
    if !files.is_empty() {
        let artifact = match (files, &args.artifact_type) {
            ([file], None) => {
                let layer =
                    disk::add_layer(Path::new(file), args.format, &store, session.observer())?;
                disk::artifact(layer, created()?)?
            }
            (files, known) => {
                let artifact_type = known.as_deref().unwrap_or(document::UNKNOWN_ARTIFACT);
                files_artifact(files, artifact_type, &store)?
            }
        };
        let image = store.add_manifest(&artifact)?;
        // With an index, the tag names the index.
        store.keep(&image, args.platform.is_none().then_some(target.as_str()))?;
        name = image.digest().to_string();
    }
    let mut from = Location::in_store(store, &name);
    let part = from.resolve()?;
    let named = match &args.platform {
        Some(platform) => extended(platform, &part, &mut to)?,
        None => part.clone(),
    };
    let (_, copied) = copy::copy_unnamed(&mut from, &mut to, CopyScope::Image)?;
    if let Some(key) = key {
        let repository = to.repository();
        // The manifest stays signed if the index is extended later.
        sign::sign(&mut to, &part.descriptor, &repository, &key)?;
        if part.descriptor != named.descriptor {
            sign::sign(&mut to, &named.descriptor, &repository, &key)?;
        }
        session.observer().note(format!("signed {}", named.descriptor.digest()));
    }
    // After its signatures, so that the tag never refers to an unsigned image.
    to.add_named(&named.descriptor, &named.bytes)?;
    let present =
        if copied.present > 0 { format!(", {} existed", copied.present) } else { String::new() };
    session.observer().note(format!(
        "sent {} blobs of {}{present}",
        copied.blobs,
        Bytes(copied.bytes)
    ));
    print(&format!("{target}@{}\n", named.descriptor.digest()))
}

/// Reads a signing key. Its password is in `COSIGN_PASSWORD`, as for cosign.
fn read_key(path: &Path) -> Result<SigningKey> {
    let password = env::var("COSIGN_PASSWORD").ok();
    SigningKey::read(path, password.as_deref()).map_err(|error| {
        let message = format!("reading the signing key {}: {error}", path.display());
        let hint = match error {
            SigningKeyError::NoPassword => "set COSIGN_PASSWORD",
            SigningKeyError::WrongPassword => "check COSIGN_PASSWORD",
            SigningKeyError::Pem(_) | SigningKeyError::Label(_) | SigningKeyError::Unsupported => {
                "create a key with `cosign generate-key-pair`, `skopeo generate-sigstore-key` or \
                 `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`"
            }
            _ => return anyhow!(message).into(),
        };
        Error::new(message, hint)
    })
}

/// One layer for each file, titled with its name, like oras.
fn files_artifact(
    files: &[String],
    artifact_type: &str,
    store: &Store,
) -> anyhow::Result<ImageManifest> {
    let mut layers: Vec<Descriptor> = Vec::new();
    for file in files {
        let layer = add_file(Path::new(file), store)?;
        if layers.iter().any(|other| document::title_of(other) == document::title_of(&layer)) {
            bail!(
                "several files have the name '{}'",
                document::title_of(&layer).unwrap_or_default()
            );
        }
        layers.push(layer);
    }
    Ok(document::artifact(artifact_type, layers, created()?)?)
}

/// Adds a file to the store as a layer.
pub(super) fn add_file(path: &Path, store: &Store) -> anyhow::Result<Descriptor> {
    let file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
    let (digest, size) = store.add(file).with_context(|| format!("reading {}", path.display()))?;
    let title = Annotations::from([(document::TITLE.to_owned(), disk::file_name(path)?)]);
    Ok(document::with_annotations(document::descriptor(document::BYTES, digest, size)?, title))
}

/// The index of the tag, with `part` for `platform`.
fn extended(platform: &Platform, part: &Fetched, tag: &mut Location<'_>) -> Result<Fetched> {
    let index = match tag.find()? {
        Some(found) => {
            match Document::parse(&found.bytes, found.descriptor.media_type().as_ref())? {
                Document::Index(index) => Some(index),
                Document::Manifest(_) => {
                    let message = format!("'{}' is not an image index", tag.location());
                    let hint = "choose another tag, or push without --platform";
                    return Err(Error::new(message, hint));
                }
            }
        }
        None => None,
    };
    let entry = index::entry_for(platform, &part.descriptor, &part.bytes)?;
    let bytes = document::to_bytes(&index::with_entry(index, entry))?;
    Ok(Fetched { descriptor: document::describe(document::INDEX, &bytes)?, bytes })
}
