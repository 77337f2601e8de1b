//! Creates an artifact from a disk image: one compressed layer with the raw size and digest.

use std::{
    fs::File,
    io,
    io::{BufReader, BufWriter, Read, Seek as _, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result, anyhow};
use clap::ValueEnum;
use flate2::GzBuilder;
use oci::{
    digest::{Digest, HashingReader},
    document,
    document::Annotations,
    layout::Store,
    size::Transfer,
};
use oci_spec::image::{Descriptor, ImageManifest};
use registry::observer::Observer;

use crate::{
    format,
    format::{Decoder, Format, FormatError},
    image::error::Error,
};

/// Compression of a raw disk image.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Compression {
    /// Supported by every version of ocidd and by all other programs
    Gzip,
    /// Smaller, and faster in many programs; ocidd decompresses it more slowly than gzip
    Zstd,
}

/// Level 6 is the default of gzip. Level 9 of zstd takes about as long, with a window of 4 MiB.
const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 9;

const BUFFER_BYTES: usize = 1 << 20;

/// Adds a disk image to the store. A compressed one is stored unchanged after it was decompressed
/// completely.
pub(super) fn add_layer(
    path: &Path,
    compression: Compression,
    store: &Store,
    observer: &dyn Observer,
) -> Result<Descriptor, Error> {
    let doing = || format!("reading the disk image {}", path.display());
    let mut file = File::open(path).with_context(doing)?;
    let metadata = file.metadata().with_context(doing)?;
    if !metadata.is_file() {
        return Err(anyhow!("'{}' is not a regular file", path.display()).into());
    }
    let mut first = Vec::new();
    (&mut file).take(format::FIRST_BYTES as u64).read_to_end(&mut first).with_context(doing)?;
    file.rewind().with_context(doing)?;
    let found = format::detect(&first).map_err(|error| rejected(path, &error))?;
    let name = file_name(path)?;
    let is_raw = found == Format::Raw;
    let label = if is_raw { format!("compressing {name}") } else { format!("checking {name}") };
    let transfer = observer.transfer(&label, metadata.len());
    let Stored { format, blob: (digest, bytes), raw } = if is_raw {
        compress(&file, compression, store, transfer.as_ref()).with_context(doing)?
    } else {
        check(path, &file, found, store, transfer.as_ref())?
    };
    let title = match compression {
        _ if !is_raw => name,
        Compression::Gzip => format!("{name}.gz"),
        Compression::Zstd => format!("{name}.zst"),
    };
    let annotations = Annotations::from([
        (document::TITLE.to_owned(), title),
        (document::RAW_SIZE.to_owned(), raw.1.to_string()),
        (document::RAW_DIGEST.to_owned(), raw.0.to_string()),
    ]);
    let media_type = format.media_type().unwrap_or(document::BYTES);
    let descriptor = document::descriptor(media_type, digest, bytes)?;
    Ok(document::with_annotations(descriptor, annotations))
}

/// The manifest of a disk image.
pub(super) fn artifact(layer: Descriptor, mut annotations: Annotations) -> Result<ImageManifest> {
    let (key, value) = document::DISK_TYPE;
    annotations.insert(key.to_owned(), value.to_owned());
    Ok(document::artifact(document::DISK_ARTIFACT, vec![layer], annotations)?)
}

/// Digests and sizes of a layer and of its content.
struct Stored {
    format: Format,
    blob: (Digest, u64),
    raw: (Digest, u64),
}

fn compress(
    file: &File,
    compression: Compression,
    store: &Store,
    transfer: &dyn Transfer,
) -> Result<Stored> {
    let mut raw = HashingReader::with_transfer(file, transfer);
    let mut unfinished = store.unfinished()?;
    let to = BufWriter::with_capacity(BUFFER_BYTES, unfinished.as_file_mut());
    let format = match compression {
        Compression::Gzip => {
            // Without name and time, equal images have equal bytes.
            let mut to = GzBuilder::new().write(to, flate2::Compression::new(GZIP_LEVEL));
            io::copy(&mut raw, &mut to)?;
            to.finish()?.flush()?;
            Format::Gzip
        }
        Compression::Zstd => {
            let mut to = zstd::Encoder::new(to, ZSTD_LEVEL)?;
            to.include_checksum(true)?;
            to.set_pledged_src_size(Some(file.metadata()?.len()))?;
            io::copy(&mut raw, &mut to)?;
            to.finish()?.flush()?;
            Format::Zstd
        }
    };
    unfinished.rewind()?;
    let (hasher, bytes) = HashingReader::new(unfinished.as_file()).drain()?;
    let digest = hasher.finish();
    store.finish(unfinished, &digest)?;
    Ok(Stored { format, blob: (digest, bytes), raw: raw.finish() })
}

/// Stores a compressed disk image and decompresses it. A broken stream is rejected.
fn check(
    path: &Path,
    file: &File,
    format: Format,
    store: &Store,
    transfer: &dyn Transfer,
) -> Result<Stored, Error> {
    let doing = || format!("reading the disk image {}", path.display());
    let blob = store.add(HashingReader::with_transfer(file, transfer)).with_context(doing)?;
    let stored = File::open(store.path(&blob.0)).with_context(doing)?;
    let mut decoder = Decoder::new(format, BufReader::with_capacity(BUFFER_BYTES, stored));
    let mut raw = HashingReader::new(&mut decoder);
    let mut first = Vec::new();
    let read = (&mut raw).take(format::FIRST_BYTES as u64).read_to_end(&mut first);
    format::check_unpacked(&first).map_err(|error| rejected(path, &error))?;
    let read = read.and_then(|_first| io::copy(&mut raw, &mut io::sink()));
    let raw = raw.finish();
    if let Some(error) = decoder.take_unsupported() {
        return Err(rejected(path, &error));
    }
    read.with_context(|| format!("decompressing its {format} stream")).with_context(doing)?;
    Ok(Stored { format, blob, raw })
}

fn rejected(path: &Path, error: &FormatError) -> Error {
    Error::new(format!("reading the disk image {}: {error}", path.display()), error.hint())
}

/// The file name as a title.
pub(super) fn file_name(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned)
        .with_context(|| format!("the name of '{}' is not UTF-8", path.display()))
}
