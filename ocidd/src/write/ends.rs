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
pub(super) struct Ends {
    pub(super) start: Vec<u8>,
    pub(super) end: Vec<u8>,
    /// The held back end. It ends with the disk.
    pub(super) end_range: Range<u64>,
    pub(super) image_bytes: u64,
    /// Of the disk; `None` if the image decides.
    pub(super) sector_bytes: Option<u64>,
}

impl Ends {
    /// Adapts the GPT. Returns offset and bytes of the marker, and warnings.
    pub(super) fn arrange(&mut self, finish: &Finish) -> (Option<(u64, Vec<u8>)>, Vec<String>) {
        let sector_bytes = self.sector_bytes.or_else(|| gpt::sector_size(&self.start));
        // Only a GPT depends on it, and `sector_size` has found none.
        let sector_bytes = sector_bytes.unwrap_or(512);
        let (image_bytes, disk_bytes) = (self.image_bytes, self.end_range.end);
        let table = gpt::inspect(&self.start, sector_bytes, disk_bytes, image_bytes);
        let mut notes: Vec<String> = table.warning().into_iter().collect();
        let partitions_end = table.layout().map_or(0, |layout| layout.end_bytes);
        let mut free = Some(image_bytes.max(partitions_end)..disk_bytes);
        if let (Gpt::Move, Table::Gpt(layout)) = (finish.gpt, &table) {
            let reserve_bytes = if finish.marker.is_some() { marker::RESERVE_BYTES } else { 0 };
            match self.relocate(sector_bytes, reserve_bytes) {
                Ok(backup) => {
                    free = free.filter(|_| backup.has_reserve);
                    free = free.map(|free| free.start..backup.offset);
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
        let encode = |layer| marker::encode(&Marker { layer, image_bytes, disk_bytes });
        (place.zip(finish.marker.map(encode)), notes)
    }

    /// Adapts the GPT to the disk, and puts its backup into the end. Changes nothing on an error.
    fn relocate(&mut self, sector_bytes: u64, reserve_bytes: u64) -> Result<Backup, TableError> {
        let Range { start: end_start, end: disk } = self.end_range;
        let mut start = self.start.clone();
        let backup = gpt::relocate(&mut start, sector_bytes, disk, reserve_bytes)?;
        // Everything outside the held back ends is already written.
        let no_room = TableError::NoRoom { end: end_start, disk };
        let at = backup.offset.checked_sub(end_start).ok_or(no_room)?;
        // An unmoved backup inside the image is kept.
        if start != self.start || self.image_bytes <= backup.offset {
            let length = usize::try_from(disk - end_start).unwrap_or(0);
            self.end.resize(length.max(self.end.len()), 0);
            gpt::put(&mut self.end, usize::try_from(at).unwrap_or(usize::MAX), &backup.bytes);
        }
        self.start = start;
        Ok(backup)
    }
}

/// Offset of the marker, if all of it is in the free range.
fn marker_place(disk_bytes: u64, free: &Range<u64>) -> Option<u64> {
    let at = marker::offset(disk_bytes)?;
    let end = at + MARKER_BYTES;
    (free.start <= at && end <= free.end).then_some(at)
}
