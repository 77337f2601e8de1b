//! Moves an image from a compressed stream to a sink in three threads (fetch and hash, decompress,
//! write) with bounded channels. Returns the proof that every byte was verified; commits nothing.

pub mod verified;

use std::{
    io,
    io::{BufRead as _, Read},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{Builder, ScopedJoinHandle},
};

use oci::{
    digest::{Digest, Hasher},
    manifest::Layer,
    size::{Bytes, Transfer as _, length_of, prefix},
};
use registry::blob::Blob;
use thiserror::Error;

use crate::{
    disk::{buffer::AlignedBuffer, device::Medium},
    format,
    format::{Decoder, FIRST_BYTES, Format, FormatError},
    report::event::Progress,
    write::{error::SinkError, pipeline::verified::Verified, sink::Sink, source::Source},
};

/// Size of a buffer of compressed data, and the number of buffers that may wait.
const FETCH_BYTES: usize = 256 << 10;
const FETCH_BUFFERS: usize = 8;

/// Size of a buffer of decompressed data. Direct writes of 1 to 4 MiB are the fastest (measured).
pub const IMAGE_BYTES: usize = 2 << 20;
/// One is being filled, one is being written, and two may wait.
const IMAGE_BUFFERS: usize = 4;

#[derive(Debug, Error)]
pub enum TransferError {
    #[error(transparent)]
    Fetch(registry::Error),
    #[error("layer ends after {}, its declared size is {}", Bytes(*.found), Bytes(*.wanted))]
    Short { found: u64, wanted: u64 },
    #[error("layer is larger than its declared size of {}", Bytes(*.wanted))]
    Long { wanted: u64 },
    #[error("layer has digest {found}, expected {wanted}")]
    Digest { found: Digest, wanted: Digest },
    #[error(
        "layer has the expected digest, but its {format} stream is corrupt after {} of disk image: \
        {cause}", Bytes(*.at)
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

/// Fetches, verifies and decompresses `layer` into `sink`, which may have been written to even after
/// an error.
pub fn transfer<M: Medium>(
    reader: Blob<'_>,
    layer: &Layer,
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
    let source = Source::new(fetched, reader.size_bytes());
    let disk_bytes = sink.disk_bytes();
    std::thread::scope(|scope| {
        let start = |name: &str| Builder::new().name(name.to_owned());
        let fetching = start("fetch")
            .spawn_scoped(scope, move || fetch(reader, &fetched_sender, progress))
            .map_err(TransferError::Thread)?;
        let decompressing = start("decompress")
            .spawn_scoped(scope, move || {
                decompress(source, layer, disk_bytes, fetching, &empty, &full_sender)
            })
            .map_err(TransferError::Thread)?;
        // Hashed here because this thread mostly waits for the disk.
        let mut hasher = layer.raw_digest.map(|wanted| (wanted, Hasher::default()));
        let written = full.into_iter().try_for_each(|mut buffer| {
            if let Some((_, hasher)) = &mut hasher {
                hasher.update(buffer.filled());
            }
            sink.write(buffer.filled())?;
            progress.written.add(length_of(buffer.filled()));
            buffer.clear();
            // The receiver is gone after the last buffer was filled.
            empty_sender.send(buffer).ok();
            Ok::<(), SinkError>(())
        });
        // Ends the other threads, also after a failed write: they get no more empty buffers.
        drop(empty_sender);
        let decompressed = join(decompressing);
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

fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Reads until the end, an error, or the receiver is gone. Returns the digest of all bytes.
fn fetch(
    mut reader: Blob<'_>,
    chunks: &SyncSender<Vec<u8>>,
    progress: &Progress,
) -> Result<Digest, TransferError> {
    let size_bytes = reader.size_bytes();
    let mut received = 0;
    loop {
        let mut chunk = Vec::with_capacity(FETCH_BYTES);
        let outcome = reader.by_ref().take(FETCH_BYTES as u64).read_to_end(&mut chunk);
        progress.fetched.add(length_of(&chunk));
        received += length_of(&chunk);
        check_length(received, size_bytes, false)?;
        // Data received before an error is passed on before it.
        let is_last = chunk.is_empty() || chunks.send(chunk).is_err();
        let failed = |error: io::Error| reader.take_error().unwrap_or(error.into());
        outcome.map_err(failed).map_err(TransferError::Fetch)?;
        if is_last {
            return check_length(received, size_bytes, true).map(|()| reader.digest());
        }
    }
}

/// Rejects more bytes than declared, and at the end also fewer.
fn check_length(found: u64, declared: Option<u64>, is_end: bool) -> Result<(), TransferError> {
    match declared {
        Some(wanted) if found > wanted => Err(TransferError::Long { wanted }),
        Some(wanted) if is_end && found < wanted => Err(TransferError::Short { found, wanted }),
        _ => Ok(()),
    }
}

/// Decompresses the whole layer into full buffers, then verifies digest and size.
fn decompress(
    mut source: Source,
    layer: &Layer,
    disk_bytes: u64,
    fetching: ScopedJoinHandle<'_, Result<Digest, TransferError>>,
    empty: &Receiver<AlignedBuffer>,
    full: &SyncSender<AlignedBuffer>,
) -> Result<Verified, TransferError> {
    let outcome = match fill_buffers(&mut source, layer, disk_bytes, empty, full) {
        // The receiver is gone, or the first bytes are not a disk image.
        Err(
            error @ (TransferError::Stopped | TransferError::Format(FormatError::NoDisk { .. })),
        ) => return Err(error),
        outcome => outcome,
    };
    // Read to the end even if the stream is corrupt: the digest shows whether the transfer or the
    // image is wrong.
    source.drain();
    let found = join(fetching)?;
    let Layer { digest: wanted, raw_size_bytes, .. } = *layer;
    if found != wanted {
        return Err(TransferError::Digest { found, wanted });
    }
    match (outcome?, raw_size_bytes) {
        (0, _) => Err(TransferError::Empty),
        (found, Some(wanted)) if found != wanted => Err(TransferError::RawSize { found, wanted }),
        _ => Ok(Verified::new()),
    }
}

/// Decompresses the whole layer. Returns the size of the image.
fn fill_buffers(
    source: &mut Source,
    layer: &Layer,
    disk_bytes: u64,
    empty: &Receiver<AlignedBuffer>,
    full: &SyncSender<AlignedBuffer>,
) -> Result<u64, TransferError> {
    let format = detect(source, layer, disk_bytes)?;
    let mut decoder = Decoder::new(format, source);
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
fn detect(source: &mut Source, layer: &Layer, disk_bytes: u64) -> Result<Format, TransferError> {
    // If there is nothing to read, the fetching thread returns the reason.
    let first = source.fill_buf().unwrap_or_default();
    let first = prefix(first, FIRST_BYTES as u64);
    if first.is_empty() {
        return Ok(Format::Raw);
    }
    let format = format::detect(first)?;
    format::check(layer.media_type.as_deref(), format)?;
    let least = match format {
        Format::Raw => source.size_bytes,
        other => format::size_hint(other, first, &[]),
    };
    match least.filter(|least| *least > disk_bytes) {
        Some(image) => Err(SinkError::TooSmall { image, disk: disk_bytes }.into()),
        None => Ok(format),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_must_have_its_declared_size() {
        let short = "layer ends after 5 bytes, its declared size is 6 bytes";
        let long = "layer is larger than its declared size of 6 bytes";
        for (found, declared, is_end, error) in [
            (5, Some(6), false, None),
            (5, Some(6), true, Some(short)),
            (6, Some(6), true, None),
            (7, Some(6), false, Some(long)),
            (7, Some(6), true, Some(long)),
            (7, None, true, None),
        ] {
            let outcome = check_length(found, declared, is_end);
            assert_eq!(outcome.err().map(|error| error.to_string()).as_deref(), error);
        }
    }
}
