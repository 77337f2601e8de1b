//! Sample GPTs, built independently of the code under test.

use flate2::Crc;

/// A disk image with a GPT, as a tool would make it.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) sector: u64,
    /// The disk that it was made for.
    pub(crate) disk_bytes: u64,
    /// First and last sectors.
    pub(crate) partitions: Vec<(u64, u64)>,
    pub(crate) entry_count: u32,
    pub(crate) entry_size: u32,
}

impl Sample {
    /// One partition, from 1 MiB to `end` bytes.
    pub(crate) fn new(sector: u64, disk_bytes: u64, end: u64) -> Self {
        let partitions = vec![((1 << 20) / sector, end / sector - 1)];
        Self { sector, disk_bytes, partitions, entry_count: 128, entry_size: 128 }
    }

    pub(crate) fn entries(&self) -> Vec<u8> {
        let size = usize::try_from(self.entry_size).unwrap();
        let mut bytes = vec![0; usize::try_from(self.entry_count).unwrap() * size];
        for (entry, (first, last)) in bytes.chunks_mut(size).zip(&self.partitions) {
            entry[..16].fill(0x4F);
            entry[16..32].fill(0x1D);
            entry[32..40].copy_from_slice(&first.to_le_bytes());
            entry[40..48].copy_from_slice(&last.to_le_bytes());
        }
        bytes
    }

    fn entries_sectors(&self) -> u64 {
        (self.entries().len() as u64).max(16384).div_ceil(self.sector)
    }

    fn last_lba(&self) -> u64 {
        self.disk_bytes / self.sector - 1
    }

    pub(crate) fn last_usable_lba(&self) -> u64 {
        self.last_lba() - self.entries_sectors() - 1
    }

    pub(crate) fn header(&self, own: u64, alternate: u64, entries_lba: u64) -> Vec<u8> {
        let mut header = b"EFI PART\0\0\x01\0\x5C\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        for lba in [own, alternate, 2 + self.entries_sectors(), self.last_usable_lba()] {
            header.extend(lba.to_le_bytes());
        }
        header.extend([0x6D; 16]);
        header.extend(entries_lba.to_le_bytes());
        header.extend(self.entry_count.to_le_bytes());
        header.extend(self.entry_size.to_le_bytes());
        header.extend(crc(&self.entries()).to_le_bytes());
        seal(&mut header);
        header
    }

    /// The first MiB.
    pub(crate) fn start(&self) -> Vec<u8> {
        let mut start = vec![0; 1 << 20];
        let sectors = u32::try_from(self.last_lba()).unwrap_or(u32::MAX);
        start[446..454].copy_from_slice(&[0, 0, 2, 0, 0xEE, 0xFF, 0xFF, 0xFF]);
        start[454..458].copy_from_slice(&1_u32.to_le_bytes());
        start[458..462].copy_from_slice(&sectors.to_le_bytes());
        start[510..512].copy_from_slice(&[0x55, 0xAA]);
        let sector = usize::try_from(self.sector).unwrap();
        let header = self.header(1, self.last_lba(), 2);
        start[sector..sector + 92].copy_from_slice(&header);
        let entries = self.entries();
        start[2 * sector..2 * sector + entries.len()].copy_from_slice(&entries);
        start
    }

    /// The bytes at the end of the disk, from the entries on.
    pub(crate) fn backup(&self) -> (u64, Vec<u8>) {
        let entries_lba = self.last_usable_lba() + 1;
        let mut bytes = self.entries();
        bytes.resize(usize::try_from(self.entries_sectors() * self.sector).unwrap(), 0);
        bytes.extend(self.header(self.last_lba(), 1, entries_lba));
        bytes.resize(bytes.len() + usize::try_from(self.sector).unwrap() - 92, 0);
        (entries_lba * self.sector, bytes)
    }

    /// The whole image: its partition is full of numbers.
    pub(crate) fn image(&self) -> Vec<u8> {
        let mut image = self.start();
        image.extend((0..=250).cycle().take(usize::try_from(self.disk_bytes).unwrap() - (1 << 20)));
        let (offset, backup) = self.backup();
        let at = usize::try_from(offset).unwrap();
        image[at..at + backup.len()].copy_from_slice(&backup);
        image
    }
}

/// Gives a header the checksum of its 92 bytes.
pub(crate) fn seal(header: &mut [u8]) {
    header[16..20].fill(0);
    let crc = crc(&header[..92]);
    header[16..20].copy_from_slice(&crc.to_le_bytes());
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}
