//! Moves an image from a compressed stream to a sink: fetch and hash, unpack, write, each in a thread of its own, with a bounded number of
//! buffers between them. Nothing is committed here; what comes out is the proof that every byte was right, or the reason why not.

use crate::disk::buffer::AlignedBuffer;
use crate::disk::device::Medium;
use crate::disk::sink::Sink;
use crate::disk::sink::SinkError;
use crate::format;
use crate::format::Decoder;
use crate::format::FIRST_BYTES;
use crate::format::Format;
use crate::format::FormatError;
use crate::progress::Progress;
use crate::source::Chunk;
use crate::source::Source;
use crate::source::SourceError;
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

/// Bytes of a buffer with compressed data, and how many of them may wait.
const FETCH_BYTES: usize = 256 << 10;
const FETCH_BUFFERS: usize = 8;

/// Bytes of a buffer with unpacked data. Direct writes of 1 to 4 MiB are the fastest, smaller ones much slower (measured).
pub const IMAGE_BYTES: usize = 2 << 20;
/// One is being filled, one written, and two may wait.
const IMAGE_BUFFERS: usize = 4;

/// Proof that an image is what was asked for. Only [`transfer`] makes one, after the digest and every checksum of the stream were right.
#[derive(Debug)]
pub struct Verified(());

impl Verified {
    /// Proof of nothing, for tests of what needs a proof.
    #[cfg(test)]
    pub(crate) fn unproven() -> Self {
        Self(())
    }
}

/// A compressed image as it arrives, and what it must turn out to be.
#[derive(Debug)]
pub struct Compressed<'a> {
    pub reader: Blob<'a>,
    pub digest: Digest,
    /// Where it is known beforehand.
    pub size_bytes: Option<u64>,
    /// As the registry announced it; a bare blob has none.
    pub media_type: Option<String>,
    /// Size and digest of the image that is in it, where the publisher has told them.
    pub raw_size_bytes: Option<u64>,
    pub raw_digest: Option<Digest>,
}

#[derive(Debug, Error)]
pub enum TransferError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("layer digest is {found}, {wanted} was asked for")]
    Digest { found: Digest, wanted: Digest },
    #[error("layer has the digest asked for, but its {format} stream breaks after {} of disk image: {cause}; hint: pack and push the image again", Bytes(*.at))]
    Decode { format: Format, at: u64, cause: io::Error },
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error("layer unpacks to {}, its manifest says {}", Bytes(*.found), Bytes(*.wanted))]
    RawSize { found: u64, wanted: u64 },
    #[error("layer unpacks to an image with digest {found}, its manifest says {wanted}")]
    RawDigest { found: Digest, wanted: Digest },
    #[error("layer holds no disk image: it unpacks to nothing")]
    Empty,
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error("starting a thread")]
    Thread(#[source] io::Error),
    /// The writer gave up first; its error is the one that is told.
    #[error("writing has stopped")]
    Stopped,
}

/// Fetches, verifies and unpacks `compressed` into `sink`. The sink may have been written to whatever comes back.
pub fn transfer<M: Medium>(
    compressed: Compressed<'_>,
    sink: &mut Sink<'_, M>,
    progress: &Progress,
) -> Result<Verified, TransferError> {
    let (fetched_sender, fetched) = sync_channel(FETCH_BUFFERS);
    let (full_sender, full) = sync_channel::<AlignedBuffer>(IMAGE_BUFFERS);
    let (empty_sender, empty) = sync_channel(IMAGE_BUFFERS);
    for _ in 0..IMAGE_BUFFERS {
        // There is room for all of them.
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
        let layer = Packed {
            source: Source::new(fetched, size_bytes),
            size_bytes,
            media_type,
            raw_size_bytes,
            disk_bytes,
        };
        let inflating = start("inflate")
            .spawn_scoped(scope, move || inflate(layer, digest, &empty, &full_sender))
            .map_err(TransferError::Thread)?;
        // Here and not where it is unpacked: this thread mostly waits for the disk.
        let mut hasher = raw_digest.map(|wanted| (wanted, Hasher::default()));
        let written = write(full, &empty_sender, sink, progress, |bytes| {
            if let Some((_, hasher)) = &mut hasher {
                hasher.update(bytes);
            }
        });
        // Without empty buffers the other threads end, also after a failed write.
        drop(empty_sender);
        let inflated = inflating.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        written?;
        let verified = inflated?;
        match hasher.map(|(wanted, hasher)| (wanted, hasher.finish())) {
            Some((wanted, found)) if found != wanted => {
                Err(TransferError::RawDigest { found, wanted })
            }
            _ => Ok(verified),
        }
    })
}

/// Reads to the end, an error, or until nobody listens any more.
fn fetch(mut reader: Blob<'_>, chunks: &SyncSender<Chunk>, progress: &Progress) {
    loop {
        let mut chunk = Vec::with_capacity(FETCH_BYTES);
        let outcome = reader.by_ref().take(FETCH_BYTES as u64).read_to_end(&mut chunk);
        progress.fetched.add(length_of(&chunk));
        let last = match outcome {
            Err(error) => Some(Chunk::Broken(reader.take_error().unwrap_or(error.into()))),
            Ok(_) => chunk.is_empty().then(|| Chunk::End(reader.digest())),
        };
        // What arrived before an error is passed on before it.
        if !chunk.is_empty() && chunks.send(Chunk::Bytes(chunk)).is_err() {
            return;
        }
        if let Some(last) = last {
            chunks.send(last).ok();
            return;
        }
    }
}

/// What is to be unpacked, and what is known of it.
struct Packed {
    source: Source,
    size_bytes: Option<u64>,
    media_type: Option<String>,
    raw_size_bytes: Option<u64>,
    disk_bytes: u64,
}

/// Unpacks the whole layer into full buffers, then tells whether all of it was right.
fn inflate(
    mut layer: Packed,
    wanted: Digest,
    empty: &Receiver<AlignedBuffer>,
    full: &SyncSender<AlignedBuffer>,
) -> Result<Verified, TransferError> {
    let unpacked = layer.unpack(empty, full);
    if matches!(
        unpacked,
        Err(TransferError::Stopped | TransferError::Format(FormatError::NoDisk { .. }))
    ) {
        // Nobody takes more of it, or the first bytes have told enough.
        return Err(unpacked.err().unwrap_or(TransferError::Stopped));
    }
    // Read to the end also after a broken stream: the digest tells a bad transfer from a badly made image.
    let found = layer.source.finish()?;
    if found != wanted {
        return Err(TransferError::Digest { found, wanted });
    }
    match (unpacked?, layer.raw_size_bytes) {
        (0, _) => Err(TransferError::Empty),
        (found, Some(wanted)) if found != wanted => Err(TransferError::RawSize { found, wanted }),
        _ => Ok(Verified(())),
    }
}

impl Packed {
    /// Returns the size of the unpacked image.
    fn unpack(
        &mut self,
        empty: &Receiver<AlignedBuffer>,
        full: &SyncSender<AlignedBuffer>,
    ) -> Result<u64, TransferError> {
        let format = self.recognise()?;
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
            outcome.map_err(|cause| broken(format, at, cause))?;
            if length == 0 {
                return Ok(at);
            }
        }
    }

    /// Tells the format, and refuses what is no disk image or does not fit, before anything is written.
    fn recognise(&mut self) -> Result<Format, TransferError> {
        // Why there is nothing to read is told by the source's end.
        let first = self.source.fill_buf().unwrap_or_default();
        let first = prefix(first, FIRST_BYTES as u64);
        if first.is_empty() {
            return Ok(Format::Raw);
        }
        let format = format::recognise(first)?;
        format::check(self.media_type.as_deref(), format)?;
        let least = match format {
            Format::Raw => self.size_bytes,
            packed => format::size_hint(packed, first, &[]),
        };
        match least.filter(|least| *least > self.disk_bytes) {
            Some(image) => Err(SinkError::TooSmall { image, disk: self.disk_bytes }.into()),
            None => Ok(format),
        }
    }
}

/// A stream that breaks; or one that is whole and asks for more than we give, which is told as such.
fn broken(format: Format, at: u64, cause: io::Error) -> TransferError {
    match cause.get_ref().and_then(|inner| inner.downcast_ref::<FormatError>()) {
        Some(refusal) => refusal.clone().into(),
        None => TransferError::Decode { format, at, cause },
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

/// Hands full buffers to the sink and gives them back empty, until there are no more.
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
        // Nobody needs it any more once the last one was filled.
        empty.send(buffer).ok();
    }
    Ok(())
}
