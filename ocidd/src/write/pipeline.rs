//! Moves an image from a compressed stream to a sink in three threads (fetch and hash, decompress,
//! write) with bounded channels. Returns the proof that every byte was verified; commits nothing.

pub mod verified;

use crate::disk::buffer::AlignedBuffer;
use crate::disk::device::Medium;
use crate::format;
use crate::format::Decoder;
use crate::format::FIRST_BYTES;
use crate::format::Format;
use crate::format::FormatError;
use crate::report::event::Progress;
use crate::write::error::SinkError;
use crate::write::pipeline::verified::Verified;
use crate::write::sink::Sink;
use crate::write::source::Chunk;
use crate::write::source::Source;
use crate::write::source::SourceError;
use oci::digest::Digest;
use oci::digest::Hasher;
use oci::size::Bytes;
use oci::size::Transfer as _;
use oci::size::length_of;
use oci::size::prefix;
use registry::blob::Blob;
use std::io;
use std::io::BufRead as _;
use std::io::Read;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::sync_channel;
use std::thread::Builder;
use thiserror::Error;

/// Size of a buffer of compressed data, and the number of buffers that may wait.
const FETCH_BYTES: usize = 256 << 10;
const FETCH_BUFFERS: usize = 8;

/// Size of a buffer of decompressed data. Direct writes of 1 to 4 MiB are the fastest (measured).
pub const IMAGE_BYTES: usize = 2 << 20;
/// One is being filled, one is being written, and two may wait.
const IMAGE_BUFFERS: usize = 4;

/// A compressed image, and its expected properties.
#[derive(Debug)]
pub struct Compressed<'a> {
    pub reader: Blob<'a>,
    pub digest: Digest,
    /// Of the compressed layer, if known.
    pub size_bytes: Option<u64>,
    /// From the manifest; a blob without a manifest has none.
    pub media_type: Option<String>,
    /// Size and digest of the decompressed image, if the publisher has annotated them.
    pub raw_size_bytes: Option<u64>,
    pub raw_digest: Option<Digest>,
}

#[derive(Debug, Error)]
pub enum TransferError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("layer has digest {found}, expected {wanted}")]
    Digest { found: Digest, wanted: Digest },
    #[error(
        "layer has the expected digest, but its {format} stream is corrupt after {} of disk image: \
        {cause}; hint: compress and push the image again", Bytes(*.at)
    )]
    Decode { format: Format, at: u64, cause: io::Error },
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error("decompressed layer has {}, its manifest declares {}", Bytes(*.found), Bytes(*.wanted))]
    RawSize { found: u64, wanted: u64 },
    #[error("decompressed layer has digest {found}, its manifest declares {wanted}")]
    RawDigest { found: Digest, wanted: Digest },
    #[error("layer contains no disk image: its content is empty")]
    Empty,
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error("starting a thread")]
    Thread(#[source] io::Error),
    /// The writer failed first. Its error is reported instead.
    #[error("writing has stopped")]
    Stopped,
}

/// Fetches, verifies and decompresses `compressed` into `sink`, which may have been written to even
/// after an error.
pub fn transfer<M: Medium>(
    compressed: Compressed<'_>,
    sink: &mut Sink<'_, M>,
    progress: &Progress,
) -> Result<Verified, TransferError> {
    let (fetched_sender, fetched) = sync_channel(FETCH_BUFFERS);
    let (full_sender, full) = sync_channel::<AlignedBuffer>(IMAGE_BUFFERS);
    let (empty_sender, empty) = sync_channel(IMAGE_BUFFERS);
    for _ in 0..IMAGE_BUFFERS {
        // The channel has room for all of them.
        empty_sender.try_send(AlignedBuffer::new(IMAGE_BYTES)).ok();
    }
    let Compressed { reader, digest, size_bytes, media_type, raw_size_bytes, raw_digest } =
        compressed;
    let disk_bytes = sink.disk_bytes();
    std::thread::scope(|scope| {
        let start = |name: &str| Builder::new().name(name.to_owned());
        start("fetch")
            .spawn_scoped(scope, move || fetch(reader, &fetched_sender, progress))
            .map_err(TransferError::Thread)?;
        let layer = CompressedLayer {
            source: Source::new(fetched, size_bytes),
            size_bytes,
            media_type,
            raw_size_bytes,
            disk_bytes,
        };
        let decompressing = start("decompress")
            .spawn_scoped(scope, move || decompress(layer, digest, &empty, &full_sender))
            .map_err(TransferError::Thread)?;
        // Hashed here because this thread mostly waits for the disk.
        let mut hasher = raw_digest.map(|wanted| (wanted, Hasher::default()));
        let written = write(full, &empty_sender, sink, progress, |bytes| {
            if let Some((_, hasher)) = &mut hasher {
                hasher.update(bytes);
            }
        });
        // Ends the other threads, also after a failed write: they get no more empty buffers.
        drop(empty_sender);
        let decompressed =
            decompressing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        written?;
        let verified = decompressed?;
        match hasher.map(|(wanted, hasher)| (wanted, hasher.finish())) {
            Some((wanted, found)) if found != wanted => {
                Err(TransferError::RawDigest { found, wanted })
            }
            _ => Ok(verified),
        }
    })
}

/// Reads until the end, an error, or the receiver is gone.
fn fetch(mut reader: Blob<'_>, chunks: &SyncSender<Chunk>, progress: &Progress) {
    loop {
        let mut chunk = Vec::with_capacity(FETCH_BYTES);
        let outcome = reader.by_ref().take(FETCH_BYTES as u64).read_to_end(&mut chunk);
        progress.fetched.add(length_of(&chunk));
        let last = match outcome {
            Err(error) => Some(Chunk::Broken(reader.take_error().unwrap_or(error.into()))),
            Ok(_) => chunk.is_empty().then(|| Chunk::End(reader.digest())),
        };
        // Data received before an error is passed on before it.
        if !chunk.is_empty() && chunks.send(Chunk::Bytes(chunk)).is_err() {
            return;
        }
        if let Some(last) = last {
            chunks.send(last).ok();
            return;
        }
    }
}

/// A layer to decompress, and what its manifest declares.
struct CompressedLayer {
    source: Source,
    size_bytes: Option<u64>,
    media_type: Option<String>,
    raw_size_bytes: Option<u64>,
    disk_bytes: u64,
}

/// Decompresses the whole layer into full buffers, then verifies digest and size.
fn decompress(
    mut layer: CompressedLayer,
    wanted: Digest,
    empty: &Receiver<AlignedBuffer>,
    full: &SyncSender<AlignedBuffer>,
) -> Result<Verified, TransferError> {
    let outcome = layer.decompress(empty, full);
    if matches!(
        outcome,
        Err(TransferError::Stopped | TransferError::Format(FormatError::NoDisk { .. }))
    ) {
        // The receiver is gone, or the first bytes are not a disk image.
        return Err(outcome.err().unwrap_or(TransferError::Stopped));
    }
    // Read to the end even if the stream is corrupt: the digest shows whether the transfer or the
    // image is wrong.
    let found = layer.source.finish()?;
    if found != wanted {
        return Err(TransferError::Digest { found, wanted });
    }
    match (outcome?, layer.raw_size_bytes) {
        (0, _) => Err(TransferError::Empty),
        (found, Some(wanted)) if found != wanted => Err(TransferError::RawSize { found, wanted }),
        _ => Ok(Verified::new()),
    }
}

impl CompressedLayer {
    /// Returns the size of the decompressed image.
    fn decompress(
        &mut self,
        empty: &Receiver<AlignedBuffer>,
        full: &SyncSender<AlignedBuffer>,
    ) -> Result<u64, TransferError> {
        let format = self.detect()?;
        let mut decoder = Decoder::new(format, &mut self.source);
        let mut at = 0;
        loop {
            let mut buffer = empty.recv().map_err(|_disconnected| TransferError::Stopped)?;
            let outcome = fill(&mut decoder, &mut buffer);
            let length = length_of(buffer.filled());
            if at == 0 && format != Format::Raw {
                format::check_unpacked(prefix(buffer.filled(), FIRST_BYTES as u64))?;
            }
            at += length;
            if length > 0 {
                full.send(buffer).map_err(|_disconnected| TransferError::Stopped)?;
            }
            outcome.map_err(|cause| match decoder.take_unsupported() {
                Some(error) => error.into(),
                None => TransferError::Decode { format, at, cause },
            })?;
            if length == 0 {
                return Ok(at);
            }
        }
    }

    /// Detects the format and rejects what is not a disk image or does not fit, before any write.
    fn detect(&mut self) -> Result<Format, TransferError> {
        // If there is nothing to read, `Source::finish` returns the reason.
        let first = self.source.fill_buf().unwrap_or_default();
        let first = prefix(first, FIRST_BYTES as u64);
        if first.is_empty() {
            return Ok(Format::Raw);
        }
        let format = format::detect(first)?;
        format::check(self.media_type.as_deref(), format)?;
        let least = match format {
            Format::Raw => self.size_bytes,
            other => format::size_hint(other, first, &[]),
        };
        match least.filter(|least| *least > self.disk_bytes) {
            Some(image) => Err(SinkError::TooSmall { image, disk: self.disk_bytes }.into()),
            None => Ok(format),
        }
    }
}

/// Reads until the buffer is full or the stream ends.
fn fill(reader: &mut impl Read, buffer: &mut AlignedBuffer) -> io::Result<()> {
    while !buffer.unfilled().is_empty() {
        match reader.read(buffer.unfilled()) {
            Ok(0) => break,
            Ok(length) => buffer.advance(length),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Passes full buffers to the sink and returns them empty, until there are no more.
fn write<M: Medium>(
    full: Receiver<AlignedBuffer>,
    empty: &SyncSender<AlignedBuffer>,
    sink: &mut Sink<'_, M>,
    progress: &Progress,
    mut seen: impl FnMut(&[u8]),
) -> Result<(), SinkError> {
    for mut buffer in full {
        seen(buffer.filled());
        sink.write(buffer.filled())?;
        progress.written.add(length_of(buffer.filled()));
        buffer.clear();
        // The receiver is gone after the last buffer was filled.
        empty.send(buffer).ok();
    }
    Ok(())
}
