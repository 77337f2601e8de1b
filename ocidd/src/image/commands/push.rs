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
    document::{Annotations, parse_media_type},
    layout::Store,
    platform::Platform,
    reference::Version,
    signature::Key,
    signing_key::{SigningKey, SigningKeyError},
    size::Bytes,
};
use oci_spec::image::{Descriptor, ImageManifest};
use registry::{
    auth::Access, copy, copy::CopyScope, location::Location, own, own::Own, repository::Fetched,
    session::Session, sign,
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
    /// With --platform: also sign the entries of the index that this key has not signed
    #[arg(long, requires = "sign", requires = "platform")]
    sign_foreign: bool,
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
    let signer = match &args.sign {
        Some(path) => Signer::read(path, args.sign_foreign)?,
        None => Signer::default(),
    };
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
    let image = Own::read(&store, &name)?;
    let mut from = Location::in_store(store, &name);
    if let Some(platform) = &args.platform {
        // Before the upload, which may take long.
        let current = to.find()?;
        image.add_to_index(current.as_ref(), &to, platform, signer.required.as_ref())?;
    }
    let (_, copied) = copy::copy_unnamed(&mut from, &mut to, CopyScope::Image)?;
    // Tags are written after signatures, so that they never refer to an unsigned image. The image
    // stays signed if its index is extended later.
    signer.sign(&to, &image)?;
    let named = if let Some(platform) = &args.platform {
        add_to_index(&mut to, platform, &image, &signer, session)?
    } else {
        to.add_named(image.document())?;
        image.document().clone()
    };
    if args.sign.is_some() {
        session.observer().note(format!("signed {}", named.descriptor.digest()));
    }
    let present =
        if copied.present > 0 { format!(", {} existed", copied.present) } else { String::new() };
    session.observer().note(format!(
        "sent {} blobs of {}{present}",
        copied.blobs,
        Bytes(copied.bytes)
    ));
    print(&format!("{target}@{}\n", named.descriptor.digest()))
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

/// Signs nothing by default.
#[derive(Default)]
struct Signer {
    key: Option<SigningKey>,
    /// The key that must have signed the other entries of an index.
    required: Option<Key>,
}

impl Signer {
    /// Reads a signing key. Its password is in `COSIGN_PASSWORD`, as for cosign.
    fn read(path: &Path, is_foreign_allowed: bool) -> Result<Self> {
        let password = env::var("COSIGN_PASSWORD").ok();
        let read = || {
            let key = SigningKey::read(path, password.as_deref())?;
            let public = key.public()?;
            Ok(Self { key: Some(key), required: (!is_foreign_allowed).then_some(public) })
        };
        read().map_err(|error| {
            let message = format!("reading the signing key {}: {error}", path.display());
            let hint = match error {
                SigningKeyError::NoPassword => "set COSIGN_PASSWORD",
                SigningKeyError::WrongPassword => "check COSIGN_PASSWORD",
                SigningKeyError::Pem(_)
                | SigningKeyError::Label(_)
                | SigningKeyError::Unsupported => {
                    "create a key with `cosign generate-key-pair`, `skopeo generate-sigstore-key` \
                     or `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`"
                }
                _ => return anyhow!(message).into(),
            };
            Error::new(message, hint)
        })
    }

    fn sign(&self, to: &Location<'_>, image: &Own) -> Result<()> {
        let Some(key) = &self.key else { return Ok(()) };
        Ok(sign::sign(to, image, &to.repository(), key)?)
    }
}

/// Adds `image` to the index at `to` and signs it. Returns the index.
fn add_to_index(
    to: &mut Location<'_>,
    platform: &Platform,
    image: &Own,
    signer: &Signer,
    session: &Session,
) -> Result<Fetched> {
    let mut kept = Vec::new();
    let mut is_signed = false;
    let index = to.update(|to, current| {
        let (index, others) =
            image.add_to_index(current, to, platform, signer.required.as_ref())?;
        kept = others;
        let is_present = current.is_some_and(|current| current.bytes == index.document().bytes);
        if is_signed && is_present {
            return Ok::<_, Error>(None);
        }
        signer.sign(to, &index)?;
        is_signed = true;
        Ok(Some(index.document().clone()))
    })?;
    for entry in &kept {
        session.observer().note(format!("kept {}", own::describe(entry)));
    }
    Ok(index.unwrap_or_else(|| image.document().clone()))
}
