//! The last step of an install: a verified image becomes bootable, and only when everything else of it is on the disk.

use crate::disk::device::Medium;
use crate::disk::gpt::Table;
use crate::disk::sink::Sink;
use crate::disk::sink::SinkError;
use crate::disk::sink::ends::Given;
use crate::disk::sink::readback::compare;
use crate::disk::sink::split;
use crate::disk::sink::write_at;
use crate::pipeline::Verified;
use oci::digest::Digest;

/// What becomes of the image's GPT.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Gpt {
    /// It is made to fit the disk: the backup lies at the disk's end.
    #[default]
    Move,
    /// It is written as it is in the image.
    Keep,
}

/// What to do to the disk besides writing the image.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Finish {
    pub gpt: Gpt,
    /// The layer that a marker is to name.
    pub marker: Option<Digest>,
}

/// What is on the disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Committed {
    pub image_bytes: u64,
    pub table: Table,
    /// What a person should know, none of it a failure.
    pub notes: Vec<String>,
}

impl<M: Medium> Sink<'_, M> {
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
}
