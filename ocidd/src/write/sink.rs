//! Writes an image to a medium in order, so that nothing bootable is on it before the image was verified.
//!
//! The first and the last MiB of the disk are held back: they hold MBR, both GPTs and the boot loader's gap. They are cleared before anything
//! else is written and filled in by [`Sink::commit`], which takes the proof of verification. A power cut at any moment before that leaves a
//! disk without partition tables.

use crate::disk::buffer::ALIGNMENT;
use crate::disk::buffer::is_zero;
use crate::disk::buffer::split;
use crate::disk::device::Medium;
use crate::write::HELD_BACK_BYTES;
use crate::write::ends::Finish;
use crate::write::ends::Given;
use crate::write::error::SinkError;
use crate::write::gpt;
use crate::write::gpt::Table;
use crate::write::pipeline::verified::Verified;
use crate::write::readback::WrittenHashes;
use crate::write::readback::compare;
use oci::size::length_of;
use std::ops::Range;

/// Zeroes are looked for in pieces of this size. Smaller pieces find more of them, but each run of them is a call of its own.
const ZERO_PIECE_BYTES: usize = 256 << 10;

/// Zero runs are handed to the disk in steps of at most this, so that progress is seen where the disk has to write them.
const ZERO_STEP_BYTES: u64 = 64 << 20;

/// Whether the disk is trusted to hold what it was given.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Verify {
    #[default]
    Nothing,
    /// The whole image is read from the disk again and compared.
    ReadBack,
}

/// One end of the disk: where it lies and what of the image belongs there.
#[derive(Debug)]
struct HeldBack {
    range: Range<u64>,
    bytes: Vec<u8>,
}

/// What is on the disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Committed {
    pub image_bytes: u64,
    pub table: Table,
    /// What a person should know, none of it a failure.
    pub notes: Vec<String>,
}

/// What a given up install leaves on the disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Abandoned {
    /// What was there before.
    Untouched,
    /// No partition table at either end.
    Cleared,
}

/// An image on its way to a disk.
#[derive(Debug)]
pub struct Sink<'a, M> {
    medium: &'a mut M,
    /// The most to write at once.
    transfer_bytes: usize,
    position: u64,
    /// Zeroes seen and not yet written: a run that ends at `position`.
    pending_zeroes: u64,
    touched: bool,
    start: HeldBack,
    end: HeldBack,
    /// Remembers what was written between the ends, where that is to be read back.
    witness: Option<WrittenHashes>,
}

impl<'a, M: Medium> Sink<'a, M> {
    pub fn new(medium: &'a mut M, transfer_bytes: usize) -> Self {
        let size = medium.size_bytes();
        let start = 0..HELD_BACK_BYTES.min(size);
        // Rounded down, so that the border can be written to directly.
        let end_start = (size.saturating_sub(HELD_BACK_BYTES) / u64::from(ALIGNMENT)
            * u64::from(ALIGNMENT))
        .max(start.end);
        Self {
            medium,
            transfer_bytes: transfer_bytes.max(1),
            position: 0,
            pending_zeroes: 0,
            touched: false,
            start: HeldBack { range: start, bytes: Vec::new() },
            end: HeldBack { range: end_start..size, bytes: Vec::new() },
            witness: None,
        }
    }

    /// Says before the first write whether the disk will be read back.
    #[must_use]
    pub fn verifying(mut self, verify: Verify) -> Self {
        self.witness = match verify {
            Verify::Nothing => None,
            Verify::ReadBack => Some(WrittenHashes::new(self.start.range.end)),
        };
        self
    }

    /// The most that the image may have.
    pub fn disk_bytes(&self) -> u64 {
        self.medium.size_bytes()
    }

    /// Takes the next bytes of the image. To be written directly they should begin aligned in memory and come in multiples of 256 KiB.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        let after = self.position + length_of(bytes);
        if after > self.medium.size_bytes() {
            return Err(SinkError::TooSmall { image: after, disk: self.medium.size_bytes() });
        }
        let (start, rest) = split(bytes, self.start.range.end.saturating_sub(self.position));
        self.start.bytes.extend_from_slice(start);
        self.position += length_of(start);
        if !start.is_empty() && length_of(&self.start.bytes) == HELD_BACK_BYTES {
            self.refuse_other_sectors()?;
        }
        let (middle, end) = split(rest, self.end.range.start.saturating_sub(self.position));
        if let Some(witness) = &mut self.witness {
            witness.update(middle);
        }
        for run in runs(middle) {
            match run {
                Run::Zeroes(length) => self.skip_zeroes(length)?,
                Run::Data(data) => self.write_data(data)?,
            }
        }
        self.end.bytes.extend_from_slice(end);
        self.position += length_of(end);
        Ok(())
    }

    /// Makes the disk bootable. Where it is to be read back, a disk whose middle is wrong never becomes bootable at all.
    ///
    /// After an error the caller has to [`Sink::abandon`].
    pub fn commit(&mut self, _proof: &Verified, finish: &Finish) -> Result<Committed, SinkError> {
        // An image that ends within the held back start was not looked at before.
        self.refuse_other_sectors()?;
        let given = Given {
            start: &self.start.bytes,
            end: &self.end.bytes,
            end_range: self.end.range.clone(),
            image_bytes: self.position,
            sector_bytes: self.medium.sector_bytes(),
        };
        let ends = given.arrange(finish);
        self.touch()?;
        self.flush_zeroes()?;
        self.sync()?;
        let witness = self.witness.take();
        let reading_back = witness.is_some();
        if let Some(witness) = witness {
            witness.verify(self.medium)?;
        }
        write_at(self.medium, &ends.end, self.end.range.start)?;
        // No firmware takes a GPT for one without the MBR in front of it (UEFI 2.10, 5.2.3), so the first sector decides. It comes when the rest is
        // safe, and by itself, as a disk writes a sector wholly or not at all.
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
        // Last of all: a marker on a disk that does not boot would keep the disk from being installed again.
        if let Some((offset, bytes)) = &ends.marker {
            write_at(self.medium, bytes, *offset)?;
            self.sync()?;
            if reading_back {
                compare(self.medium, bytes, *offset)?;
            }
        }
        Ok(Committed { image_bytes: self.position, table: ends.table, notes: ends.notes })
    }

    /// Makes sure that the disk boots neither the old system nor half of the new one. Where nothing was written, nothing is.
    pub fn abandon(mut self) -> Result<Abandoned, SinkError> {
        if !self.touched {
            return Ok(Abandoned::Untouched);
        }
        self.clear_ends()?;
        Ok(Abandoned::Cleared)
    }

    /// A firmware looks for a GPT in the disk's own sectors. One made for others is refused while nothing is written.
    fn refuse_other_sectors(&self) -> Result<(), SinkError> {
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

    /// Zero runs are written too. The disk may hold an older system, and a discard is no promise of zeroes.
    fn flush_zeroes(&mut self) -> Result<(), SinkError> {
        let length = std::mem::take(&mut self.pending_zeroes);
        if length == 0 {
            return Ok(());
        }
        self.touch()?;
        // What is pending lies before the held back end, even where the position has gone on into it.
        let offset = self.position.min(self.end.range.start) - length;
        zero_at(self.medium, &(offset..offset + length))
    }

    /// The first write of all clears both ends: from here on the old system does not boot any more.
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
    let length = range.end - range.start;
    if length == 0 {
        return Ok(());
    }
    medium.zero_at(range.start, length).map_err(|source| SinkError::Write {
        offset: range.start,
        length,
        source,
    })
}

#[derive(Debug, Eq, PartialEq)]
enum Run<'a> {
    Zeroes(u64),
    Data(&'a [u8]),
}

/// Takes bytes apart into the longest runs of pieces that are all zero, or all not.
fn runs(mut bytes: &[u8]) -> impl Iterator<Item = Run<'_>> {
    std::iter::from_fn(move || {
        let zero = is_zero(bytes.chunks(ZERO_PIECE_BYTES).next()?);
        let alike = bytes.chunks(ZERO_PIECE_BYTES).take_while(|piece| is_zero(piece) == zero);
        let (run, rest) = split(bytes, alike.map(length_of).sum());
        bytes = rest;
        Some(if zero { Run::Zeroes(length_of(run)) } else { Run::Data(run) })
    })
}

#[cfg(test)]
pub(in crate::write) mod tests;
