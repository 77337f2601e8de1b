//! Moves an image from a compressed stream to a sink: fetch, hash and inflate, write, each in a thread of its own, with a bounded number of
//! buffers between them. Nothing is committed here; what comes out is the proof that every byte was right, or the reason why not.

use crate::digest::Digest;
use crate::disk::buffer::AlignedBuffer;
use crate::disk::buffer::length_of;
use crate::disk::device::Medium;
use crate::disk::sink::Sink;
use crate::disk::sink::SinkError;
use crate::progress::Progress;
use crate::size::Bytes;
use crate::source::Source;
use crate::source::SourceError;
use flate2::bufread::MultiGzDecoder;
use std::io;
use std::io::Read;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::sync_channel;
use std::thread::Builder;
use thiserror::Error;

/// Bytes of a buffer with compressed data, and how many of them may wait.
const FETCH_BYTES: usize = 256 << 10;
const FETCH_BUFFERS: usize = 8;

/// Bytes of a buffer with inflated data. Direct writes of 1 to 4 MiB are the fastest, smaller ones much slower (measured).
pub const IMAGE_BYTES: usize = 2 << 20;
/// One is being filled, one written, and two may wait.
const IMAGE_BUFFERS: usize = 4;

/// Proof that an image is what was asked for. Only [`transfer`] makes one, after the digest and every gzip trailer were right.
#[derive(Debug)]
pub struct Verified {
    digest: Digest,
}

impl Verified {
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Proof of nothing, for tests of what needs a proof.
    #[cfg(test)]
    pub(crate) fn unproven() -> Self {
        Self { digest: Digest::of(b"") }
    }
}

/// A compressed image as it arrives, and what it must turn out to be.
#[derive(Debug)]
pub struct Compressed<R> {
    pub reader: R,
    pub digest: Digest,
    /// Where it is known beforehand.
    pub size_bytes: Option<u64>,
}

#[derive(Debug, Error)]
pub enum TransferError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("layer digest is {found}, {wanted} was asked for")]
    Digest { found: Digest, wanted: Digest },
    #[error("layer has the digest asked for, but its gzip stream breaks after {} of disk image: {cause}; hint: pack and push the image again", Bytes(*.at))]
    Gzip { at: u64, cause: io::Error },
    #[error("layer holds no disk image: it inflates to nothing")]
    Empty,
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error("starting a thread")]
    Thread(#[source] io::Error),
    /// The writer gave up first; its error is the one that is told.
    #[error("writing has stopped")]
    Stopped,
}

/// Fetches, verifies and inflates `compressed` into `sink`. The sink may have been written to whatever comes back.
pub fn transfer<R: Read + Send, M: Medium>(
    compressed: Compressed<R>,
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
    let Compressed { reader, digest, size_bytes } = compressed;
    std::thread::scope(|scope| {
        let start = |name: &str| Builder::new().name(name.to_owned());
        start("fetch")
            .spawn_scoped(scope, move || fetch(reader, &fetched_sender, progress))
            .map_err(TransferError::Thread)?;
        let source = Source::new(fetched, size_bytes);
        let inflating = start("inflate")
            .spawn_scoped(scope, move || inflate(source, digest, &empty, &full_sender))
            .map_err(TransferError::Thread)?;
        let written = write(full, &empty_sender, sink, progress);
        // Without empty buffers the other threads end, also after a failed write.
        drop(empty_sender);
        let inflated = inflating.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        written?;
        inflated
    })
}

/// Reads to the end, an error, or until nobody listens any more.
fn fetch(mut reader: impl Read, chunks: &SyncSender<io::Result<Vec<u8>>>, progress: &Progress) {
    loop {
        let mut chunk = Vec::with_capacity(FETCH_BYTES);
        let outcome = reader.by_ref().take(FETCH_BYTES as u64).read_to_end(&mut chunk);
        progress.fetched.add(length_of(&chunk));
        let ended = chunk.is_empty() || outcome.is_err();
        // What arrived before an error is passed on before it.
        if !chunk.is_empty() && chunks.send(Ok(chunk)).is_err() {
            return;
        }
        if let Err(error) = outcome {
            chunks.send(Err(error)).ok();
        }
        if ended {
            return;
        }
    }
}

/// Inflates the whole source into full buffers, then tells whether all of it was right.
fn inflate(
    mut source: Source,
    wanted: Digest,
    empty: &Receiver<AlignedBuffer>,
    full: &SyncSender<AlignedBuffer>,
) -> Result<Verified, TransferError> {
    let inflated = inflate_into(&mut source, empty, full);
    if matches!(inflated, Err(Inflate::Stopped)) {
        return Err(TransferError::Stopped);
    }
    // Read to the end also after a broken gzip stream: the digest tells a bad transfer from a badly made image.
    let found = source.finish()?;
    if found != wanted {
        return Err(TransferError::Digest { found, wanted });
    }
    match inflated {
        Ok(0) => Err(TransferError::Empty),
        Ok(_) => Ok(Verified { digest: found }),
        Err(Inflate::Broken { at, cause }) => Err(TransferError::Gzip { at, cause }),
        Err(Inflate::Stopped) => Err(TransferError::Stopped),
    }
}

/// Why inflating ended before its time.
enum Inflate {
    Broken { at: u64, cause: io::Error },
    Stopped,
}

/// Returns the size of the inflated image. All members are inflated, and what follows the last one is an error (RFC 1952, 2.2).
fn inflate_into(
    source: &mut Source,
    empty: &Receiver<AlignedBuffer>,
    full: &SyncSender<AlignedBuffer>,
) -> Result<u64, Inflate> {
    let mut decoder = MultiGzDecoder::new(source);
    let mut at = 0;
    loop {
        let mut buffer = empty.recv().map_err(|_disconnected| Inflate::Stopped)?;
        let outcome = fill(&mut decoder, &mut buffer);
        let length = length_of(buffer.filled());
        at += length;
        if length > 0 {
            full.send(buffer).map_err(|_disconnected| Inflate::Stopped)?;
        }
        outcome.map_err(|cause| Inflate::Broken { at, cause })?;
        if length == 0 {
            return Ok(at);
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

/// Hands full buffers to the sink and gives them back empty, until there are no more.
fn write<M: Medium>(
    full: Receiver<AlignedBuffer>,
    empty: &SyncSender<AlignedBuffer>,
    sink: &mut Sink<'_, M>,
    progress: &Progress,
) -> Result<(), SinkError> {
    for mut buffer in full {
        sink.write(buffer.filled())?;
        progress.written.add(length_of(buffer.filled()));
        buffer.clear();
        // Nobody needs it any more once the last one was filled.
        empty.send(buffer).ok();
    }
    Ok(())
}
