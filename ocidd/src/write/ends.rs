//! The two held back ends of a disk: the bytes of the image, a GPT that fits the disk, and the
//! marker. Pure.

use std::ops::Range;

use oci::digest::Digest;

use crate::write::{
    gpt,
    gpt::{Backup, Table, TableError},
    marker,
    marker::{MARKER_BYTES, Marker},
};

const NO_MARKER: &str = "no space for the marker before the end of the disk: the image or a \
    partition uses it; ocidd.skip_if_installed will not detect this install";

/// Treatment of the GPT of the image.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Gpt {
    /// It is adapted to the disk: the backup is moved to the end.
    #[default]
    Move,
    /// It is written unchanged.
    Keep,
}

/// Changes to the disk besides the image.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Finish {
    pub gpt: Gpt,
    /// The layer that the marker names.
    pub marker: Option<Digest>,
}

/// The bytes of the image for both ends, and the properties of image and disk.
#[derive(Debug)]
pub(super) struct ImageEnds<'a> {
    pub(super) start: &'a [u8],
    pub(super) end: &'a [u8],
    /// The held back end. It ends with the disk.
    pub(super) end_range: Range<u64>,
    pub(super) image_bytes: u64,
    /// Of the disk; `None` if the image decides.
    pub(super) sector_bytes: Option<u64>,
}

/// The bytes to write, and warnings.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) start: Vec<u8>,
    pub(super) end: Vec<u8>,
    /// Offset and bytes.
    pub(super) marker: Option<(u64, Vec<u8>)>,
    pub(super) table: Table,
    pub(super) notes: Vec<String>,
}

impl ImageEnds<'_> {
    pub(super) fn arrange(&self, finish: &Finish) -> Ends {
        let sector_bytes = self.sector_bytes.or_else(|| gpt::sector_size(self.start));
        // Only a GPT depends on it, and `sector_size` has found none.
        let sector_bytes = sector_bytes.unwrap_or(512);
        let disk_bytes = self.end_range.end;
        let table = gpt::inspect(self.start, sector_bytes, disk_bytes, self.image_bytes);
        let mut notes: Vec<String> = table.warning().into_iter().collect();
        let (mut start, mut end) = (self.start.to_vec(), self.end.to_vec());
        let partitions_end = table.layout().map_or(0, |layout| layout.end_bytes);
        let mut free = Some(self.image_bytes.max(partitions_end)..disk_bytes);
        if let (Gpt::Move, Table::Gpt(layout)) = (finish.gpt, &table) {
            let reserve_bytes = if finish.marker.is_some() { marker::RESERVE_BYTES } else { 0 };
            match self.relocate(sector_bytes, reserve_bytes) {
                Ok((patched, backup)) => {
                    free = free.filter(|_| backup.has_reserve);
                    free = free.map(|free| free.start..backup.offset);
                    self.place(&backup, patched != start, &mut end);
                    start = patched;
                }
                Err(problem) if layout.problems.contains(&problem) => {} // Already in the warning.
                Err(problem) => notes.push(format!(
                    "the backup GPT was not moved to the end of the disk: {problem}"
                )),
            }
        }
        let place = free.and_then(|free| marker_place(disk_bytes, &free));
        if finish.marker.is_some() && place.is_none() {
            notes.push(NO_MARKER.to_owned());
        }
        let encode =
            |layer| marker::encode(&Marker { layer, image_bytes: self.image_bytes, disk_bytes });
        let marker = place.zip(finish.marker.map(encode));
        Ends { start, end, marker, table, notes }
    }

    /// Returns the start with a GPT that fits the disk, and its backup.
    fn relocate(
        &self,
        sector_bytes: u64,
        reserve_bytes: u64,
    ) -> Result<(Vec<u8>, Backup), TableError> {
        let disk = self.end_range.end;
        let mut patched = self.start.to_vec();
        let backup = gpt::relocate(&mut patched, sector_bytes, disk, reserve_bytes)?;
        // Everything outside the held back ends is already written.
        if backup.offset < self.end_range.start {
            return Err(TableError::NoRoom { end: self.end_range.start, disk });
        }
        Ok((patched, backup))
    }

    /// Puts the backup GPT into the bytes of the end. An unmoved one inside the image is kept.
    fn place(&self, backup: &Backup, moved: bool, end: &mut Vec<u8>) {
        if !moved && self.image_bytes > backup.offset {
            return;
        }
        let at = usize::try_from(backup.offset - self.end_range.start).unwrap_or(usize::MAX);
        let length = usize::try_from(self.end_range.end - self.end_range.start).unwrap_or(0);
        end.resize(length.max(end.len()), 0);
        if let Some(place) = end.get_mut(at..).and_then(|rest| rest.get_mut(..backup.bytes.len())) {
            place.copy_from_slice(&backup.bytes);
        }
    }
}

/// Offset of the marker, if all of it is in the free range.
fn marker_place(disk_bytes: u64, free: &Range<u64>) -> Option<u64> {
    let at = marker::offset(disk_bytes)?;
    let end = at + MARKER_BYTES;
    (free.start <= at && end <= free.end).then_some(at)
}
