//! A disk in memory that logs all steps, and injects faults.

use std::{cell::RefCell, io, ops::Range, os::unix::fs::FileExt};

use oci::size::length_of;
use rustix::io::Errno;

use crate::disk::device::Medium;

/// What the disk held before.
pub(crate) const OLD: u8 = 0xAA;

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    Write(Range<u64>),
    Zero(Range<u64>),
    Sync,
}

/// What goes wrong once so many bytes were written: the write that reaches there is torn in two.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Tear {
    pub(crate) after_bytes: u64,
    pub(crate) errno: Errno,
    pub(crate) afterwards: Afterwards,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Afterwards {
    /// Only that write fails.
    Well,
    /// As with a power cut.
    Dead,
}

pub(crate) struct MemoryDisk {
    pub(crate) bytes: Vec<u8>,
    pub(crate) steps: Vec<Step>,
    /// The number of the step that goes wrong.
    pub(crate) fails_at: Option<usize>,
    pub(crate) tear: Option<Tear>,
    /// Every second call is interrupted by a signal, and the others write little.
    pub(crate) nervous: bool,
    /// Says that these bytes were written, and did not.
    pub(crate) forgets: Range<u64>,
    /// Fails every read.
    pub(crate) unreadable: bool,
    pub(crate) sector_bytes: Option<u64>,
    pub(crate) written: u64,
    pub(crate) calls: u64,
}

impl MemoryDisk {
    pub(crate) fn new(size: u64) -> Self {
        Self {
            bytes: vec![OLD; usize::try_from(size).unwrap()],
            steps: Vec::new(),
            fails_at: None,
            tear: None,
            nervous: false,
            forgets: 0..0,
            unreadable: false,
            sector_bytes: Some(512),
            written: 0,
            calls: 0,
        }
    }

    fn step(&mut self, step: Step) -> io::Result<()> {
        self.steps.push(step);
        if self.fails_at.is_some_and(|at| at + 1 == self.steps.len()) {
            Err(io::Error::other("worn out"))
        } else {
            Ok(())
        }
    }

    pub(crate) fn at(&mut self, range: Range<u64>) -> &mut [u8] {
        &mut self.bytes[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]
    }

    /// How many of so many bytes reach the disk in one go, or why none does.
    fn takes(&mut self, length: u64) -> io::Result<u64> {
        self.calls += 1;
        if self.nervous && self.calls.is_multiple_of(2) {
            return Err(Errno::INTR.into());
        }
        let most = if self.nervous { length.min(100_003) } else { length };
        let Some(tear) = self.tear else { return Ok(most) };
        let left = tear.after_bytes.saturating_sub(self.written);
        if left == 0 && length > 0 {
            return Err(self.torn(tear));
        }
        Ok(most.min(left))
    }

    fn torn(&mut self, tear: Tear) -> io::Error {
        if tear.afterwards == Afterwards::Well {
            self.tear = None;
        }
        tear.errno.into()
    }

    fn store(&mut self, offset: u64, bytes: &[u8]) {
        self.written += length_of(bytes);
        let forgotten = self.at(self.forgets.clone()).to_vec();
        self.at(offset..offset + length_of(bytes)).copy_from_slice(bytes);
        self.at(self.forgets.clone()).copy_from_slice(&forgotten);
    }
}

/// The disk behind the calls of a file, so that short and interrupted writes go through the same loop of the standard library as on a real disk.
struct Port<'a>(RefCell<&'a mut MemoryDisk>);

impl FileExt for Port<'_> {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut disk = self.0.borrow_mut();
        if disk.unreadable {
            return Err(Errno::IO.into());
        }
        let length = disk.takes(length_of(into))?;
        let found = disk.at(offset..offset + length);
        into[..found.len()].copy_from_slice(found);
        Ok(found.len())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut disk = self.0.borrow_mut();
        let length = usize::try_from(disk.takes(length_of(bytes))?).unwrap();
        disk.store(offset, &bytes[..length]);
        Ok(length)
    }
}

impl Medium for MemoryDisk {
    fn size_bytes(&self) -> u64 {
        length_of(&self.bytes)
    }

    fn sector_bytes(&self) -> Option<u64> {
        self.sector_bytes
    }

    fn read_exact_at(&mut self, into: &mut [u8], offset: u64) -> io::Result<()> {
        Port(RefCell::new(self)).read_exact_at(into, offset)
    }

    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.step(Step::Write(offset..offset + length_of(bytes)))?;
        Port(RefCell::new(self)).write_all_at(bytes, offset)
    }

    fn zero_at(&mut self, offset: u64, length: u64) -> io::Result<()> {
        self.step(Step::Zero(offset..offset + length))?;
        let zeroes = vec![0; usize::try_from(length).unwrap()];
        Port(RefCell::new(self)).write_all_at(&zeroes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.step(Step::Sync)?;
        match self.tear {
            Some(tear) if self.written >= tear.after_bytes => Err(self.torn(tear)),
            _ => Ok(()),
        }
    }
}
