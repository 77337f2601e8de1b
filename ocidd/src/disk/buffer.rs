//! Aligned buffers for direct I/O, and the search for zeroes.

use oci::size::prefix;

/// Alignment of memory, offsets and lengths for `O_DIRECT` that every disk accepts: no logical
/// sector is larger (open(2)).
pub const ALIGNMENT: u16 = 4096;

/// A fixed-size buffer that starts at a multiple of [`ALIGNMENT`] and is filled from its start.
#[derive(Debug)]
pub struct AlignedBuffer {
    memory: Vec<u8>,
    start: usize,
    capacity: usize,
    filled: usize,
}

impl AlignedBuffer {
    pub fn new(capacity: usize) -> Self {
        let spare = usize::from(ALIGNMENT);
        let memory = vec![0; capacity + spare];
        // `align_offset` may return a huge number. Then the buffer is not aligned, and the device
        // writes it through the page cache.
        let start = memory.as_ptr().align_offset(spare).min(spare);
        Self { memory, start, capacity, filled: 0 }
    }

    pub fn filled(&self) -> &[u8] {
        self.memory.get(self.start..self.start + self.filled).unwrap_or_default()
    }

    pub fn unfilled(&mut self) -> &mut [u8] {
        self.memory
            .get_mut(self.start + self.filled..self.start + self.capacity)
            .unwrap_or_default()
    }

    /// Marks the first `length` bytes of [`AlignedBuffer::unfilled`] as filled.
    pub fn advance(&mut self, length: usize) {
        self.filled = (self.filled + length).min(self.capacity);
    }

    pub fn clear(&mut self) {
        self.filled = 0;
    }
}

/// The first `length` bytes, and the rest.
pub fn split(bytes: &[u8], length: u64) -> (&[u8], &[u8]) {
    let first = prefix(bytes, length);
    (first, bytes.get(first.len()..).unwrap_or_default())
}

/// Whether every byte is zero. In blocks of 64, which the compiler vectorizes, unlike `all`.
pub fn is_zero(bytes: &[u8]) -> bool {
    let (blocks, rest) = bytes.as_chunks::<64>();
    blocks.iter().all(|block| block.iter().fold(0, |all, byte| all | byte) == 0)
        && rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_aligned_and_fills_up() {
        let mut buffer = AlignedBuffer::new(8192);
        assert_eq!(buffer.unfilled().as_ptr().addr() % usize::from(ALIGNMENT), 0);
        buffer.unfilled()[..8000].fill(7);
        buffer.advance(8000);
        assert_eq!((buffer.filled().len(), buffer.unfilled().len()), (8000, 192));
        buffer.unfilled().fill(8);
        buffer.advance(500);
        assert_eq!((buffer.filled().len(), buffer.unfilled().len()), (8192, 0));
        assert_eq!(buffer.filled()[8191], 8);
        buffer.clear();
        assert_eq!((buffer.filled().len(), buffer.unfilled().len()), (0, 8192));
    }

    #[test]
    fn finds_a_single_byte_anywhere() {
        assert!(is_zero(&[]));
        for length in [1, 63, 64, 65, 200] {
            let mut bytes = vec![0; length];
            assert!(is_zero(&bytes));
            for at in 0..length {
                bytes[at] = 1;
                assert!(!is_zero(&bytes), "{at} of {length}");
                bytes[at] = 0;
            }
        }
    }
}
