//! Writes an image to a medium in an order that keeps it unbootable until the image is verified.
//!
//! The first and the last MiB (MBR, both GPTs, boot loader gap) are held back. They are cleared
//! before the first other write, and written by [`Sink::commit`], which requires the proof of
//! verification. A power cut before that leaves a disk without partition tables.

use std::ops::Range;

use anyhow::anyhow;
use oci::size::length_of;

use crate::{
    disk::{
        buffer::{ALIGNMENT, is_zero, split},
        device::Medium,
    },
    report::failure::DiskState,
    write::{
        HELD_BACK_BYTES,
        ends::{Ends, Finish},
        error::SinkError,
        gpt,
        pipeline::verified::Verified,
        readback::{WrittenHashes, compare},
    },
};

/// Unit of the search for zeroes. Smaller pieces find more of them, but each run costs a call.
const ZERO_PIECE_BYTES: usize = 256 << 10;

/// Maximum size of one zeroing call, so that progress is visible if the disk writes the zeroes.
const ZERO_STEP_BYTES: u64 = 64 << 20;

/// Whether the disk is read back.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Verify {
    #[default]
    Nothing,
    /// The whole image is read from the disk and compared.
    ReadBack,
}

/// One end of the disk, and the bytes of the image that belong there.
#[derive(Debug)]
struct HeldBack {
    range: Range<u64>,
    bytes: Vec<u8>,
}

/// A committed install.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Committed {
    pub image_bytes: u64,
    /// Warnings for the operator.
    pub notes: Vec<String>,
}

/// Writes one image to a disk.
#[derive(Debug)]
pub struct Sink<'a, M> {
    medium: &'a mut M,
    /// Maximum size of one write.
    transfer_bytes: usize,
    position: u64,
    /// Length of a run of zeroes before `position` that is not yet written.
    pending_zeroes: u64,
    touched: bool,
    start: HeldBack,
    end: HeldBack,
    /// Hashes of what was written between the ends, for reading back.
    written: Option<WrittenHashes>,
}

impl<'a, M: Medium> Sink<'a, M> {
    pub fn new(medium: &'a mut M, transfer_bytes: usize, verify: Verify) -> Self {
        let size = medium.size_bytes();
        let start = 0..HELD_BACK_BYTES.min(size);
        // Rounded down, so that direct writes are possible up to the border.
        let block = u64::from(ALIGNMENT);
        let end_start = size.saturating_sub(HELD_BACK_BYTES) / block * block;
        let written = WrittenHashes::new(start.end);
        Self {
            medium,
            transfer_bytes: transfer_bytes.max(1),
            position: 0,
            pending_zeroes: 0,
            touched: false,
            end: HeldBack { range: end_start.max(start.end)..size, bytes: Vec::new() },
            start: HeldBack { range: start, bytes: Vec::new() },
            written: (verify == Verify::ReadBack).then_some(written),
        }
    }

    /// Maximum size of the image.
    pub fn disk_bytes(&self) -> u64 {
        self.medium.size_bytes()
    }

    /// Writes the next bytes of the image. Direct writes need aligned memory and multiples of
    /// 256 KiB.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        let after = self.position + length_of(bytes);
        if after > self.medium.size_bytes() {
            return Err(SinkError::TooSmall { image: after, disk: self.medium.size_bytes() });
        }
        let (start, rest) = split(bytes, self.start.range.end.saturating_sub(self.position));
        self.start.bytes.extend_from_slice(start);
        self.position += length_of(start);
        if !start.is_empty() && length_of(&self.start.bytes) == HELD_BACK_BYTES {
            self.check_sector_size()?;
        }
        let (middle, end) = split(rest, self.end.range.start.saturating_sub(self.position));
        if let Some(written) = &mut self.written {
            written.update(middle);
        }
        for (is_zero, run) in runs(middle) {
            if is_zero {
                self.skip_zeroes(length_of(run))?;
            } else {
                self.write_data(run)?;
            }
        }
        self.end.bytes.extend_from_slice(end);
        self.position += length_of(end);
        Ok(())
    }

    /// Makes the disk bootable, after reading back everything between the ends if requested. After
    /// an error the caller must call [`Sink::abandon`].
    pub fn commit(&mut self, _proof: &Verified, finish: &Finish) -> Result<Committed, SinkError> {
        // Not checked before if the image ends within the held back start.
        self.check_sector_size()?;
        let mut ends = Ends {
            start: std::mem::take(&mut self.start.bytes),
            end: std::mem::take(&mut self.end.bytes),
            end_range: self.end.range.clone(),
            image_bytes: self.position,
            sector_bytes: self.medium.sector_bytes(),
        };
        let (marker, notes) = ends.arrange(finish);
        self.touch()?;
        self.flush_zeroes()?;
        self.sync()?;
        let written = self.written.take();
        let reading_back = written.is_some();
        if let Some(written) = written {
            written.verify(self.medium)?;
        }
        write_at(self.medium, &ends.end, self.end.range.start)?;
        // Firmware accepts a GPT only with an MBR (UEFI 2.10, 5.2.3), so the first sector decides.
        // It is written last and by itself, because disks write a sector completely or not at all.
        let sector_bytes = self.medium.sector_bytes().unwrap_or(512);
        let (first, rest) = split(&ends.start, sector_bytes);
        write_at(self.medium, rest, sector_bytes)?;
        self.sync()?;
        write_at(self.medium, first, 0)?;
        self.sync()?;
        if reading_back {
            compare(self.medium, &ends.start, 0)?;
            compare(self.medium, &ends.end, self.end.range.start)?;
        }
        // Last, because a marker on a disk that does not boot would prevent another install.
        if let Some((offset, bytes)) = marker {
            write_at(self.medium, &bytes, offset)?;
            self.sync()?;
            if reading_back {
                compare(self.medium, &bytes, offset)?;
            }
        }
        Ok(Committed { image_bytes: self.position, notes })
    }

    /// Clears both ends of `disk`, so that neither the old system nor a part of the new one boots.
    /// Writes nothing if nothing was written before.
    pub fn abandon(mut self, disk: &str) -> DiskState {
        let disk = disk.to_owned();
        if !self.touched {
            return DiskState::Untouched;
        }
        match self.clear_ends() {
            Ok(()) => DiskState::Cleared { disk },
            Err(error) => DiskState::Unknown { disk, reason: format!("{:#}", anyhow!(error)) },
        }
    }

    /// Rejects a GPT for another sector size before the first write: firmware would not find it.
    fn check_sector_size(&self) -> Result<(), SinkError> {
        let (image, disk) = (gpt::sector_size(&self.start.bytes), self.medium.sector_bytes());
        match (image, disk) {
            (Some(image), Some(disk)) if image != disk => {
                Err(SinkError::SectorSize { image, disk })
            }
            _ => Ok(()),
        }
    }

    fn write_data(&mut self, data: &[u8]) -> Result<(), SinkError> {
        self.touch()?;
        self.flush_zeroes()?;
        for transfer in data.chunks(self.transfer_bytes) {
            write_at(self.medium, transfer, self.position)?;
            self.position += length_of(transfer);
        }
        Ok(())
    }

    fn skip_zeroes(&mut self, length: u64) -> Result<(), SinkError> {
        self.pending_zeroes += length;
        self.position += length;
        if self.pending_zeroes >= ZERO_STEP_BYTES { self.flush_zeroes() } else { Ok(()) }
    }

    /// Zero runs are written too: the disk may contain old data, and a discard guarantees nothing.
    fn flush_zeroes(&mut self) -> Result<(), SinkError> {
        let length = std::mem::take(&mut self.pending_zeroes);
        if length == 0 {
            return Ok(());
        }
        self.touch()?;
        // Pending zeroes lie before the held back end, even if the position is already inside it.
        let offset = self.position.min(self.end.range.start) - length;
        zero_at(self.medium, &(offset..offset + length))
    }

    /// Clears both ends before the first write. The old system no longer boots from here on.
    fn touch(&mut self) -> Result<(), SinkError> {
        if self.touched {
            return Ok(());
        }
        self.touched = true;
        self.clear_ends()
    }

    fn clear_ends(&mut self) -> Result<(), SinkError> {
        zero_at(self.medium, &self.start.range)?;
        zero_at(self.medium, &self.end.range)?;
        self.sync()
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        self.medium.sync().map_err(SinkError::Sync)
    }
}

fn write_at(medium: &mut impl Medium, bytes: &[u8], offset: u64) -> Result<(), SinkError> {
    if bytes.is_empty() {
        return Ok(());
    }
    let failed = |source| SinkError::Write { offset, length: length_of(bytes), source };
    medium.write_all_at(bytes, offset).map_err(failed)
}

fn zero_at(medium: &mut impl Medium, range: &Range<u64>) -> Result<(), SinkError> {
    let (offset, length) = (range.start, range.end - range.start);
    if length == 0 {
        return Ok(());
    }
    let failed = |source| SinkError::Write { offset, length, source };
    medium.zero_at(offset, length).map_err(failed)
}

/// Splits bytes into the longest runs of pieces that are all zero (true) or all non-zero.
fn runs(mut bytes: &[u8]) -> impl Iterator<Item = (bool, &[u8])> {
    std::iter::from_fn(move || {
        let zero = is_zero(bytes.chunks(ZERO_PIECE_BYTES).next()?);
        let alike = bytes.chunks(ZERO_PIECE_BYTES).take_while(|piece| is_zero(piece) == zero);
        let (run, rest) = split(bytes, alike.map(length_of).sum());
        bytes = rest;
        Some((zero, run))
    })
}

#[cfg(test)]
pub(in crate::write) mod tests;
