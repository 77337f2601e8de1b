//! Errors of writing an image to a disk. A leaf module, so that the parts of the sink share them.

use std::{io, ops::Range};

use oci::size::Bytes;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum SinkError {
    #[error(
        "target disk is too small: the image needs at least {}, the disk has {}",
        Bytes(*.image), Bytes(*.disk)
    )]
    TooSmall { image: u64, disk: u64 },
    #[error("writing {} at byte {offset}", Bytes(*.length))]
    Write { offset: u64, length: u64, source: io::Error },
    #[error("flushing the disk")]
    Sync(#[source] io::Error),
    #[error(
        "the GPT of the image is for sectors of {image} bytes, the disk has sectors of {disk} bytes"
    )]
    SectorSize { image: u64, disk: u64 },
    #[error("reading back {} at byte {offset}", Bytes(*.length))]
    Read { offset: u64, length: u64, source: io::Error },
    #[error(
        "reading back: bytes {} to {} of the disk differ from what was written",
        .range.start, .range.end
    )]
    ReadBack { range: Range<u64> },
}
