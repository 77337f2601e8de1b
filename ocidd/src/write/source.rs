//! The compressed stream between the fetching thread and the decoder.

use std::{
    io,
    io::{BufRead, Cursor, Read},
    sync::mpsc::Receiver,
};

/// Chunks of the fetching thread, read as one stream. If fetching fails, it ends like a complete
/// one, so nothing is valid before the thread has returned the digest.
#[derive(Debug)]
pub(super) struct Source {
    chunks: Receiver<Vec<u8>>,
    chunk: Cursor<Vec<u8>>,
    /// Size of the stream, if known.
    pub(super) size_bytes: Option<u64>,
}

impl Source {
    pub(super) fn new(chunks: Receiver<Vec<u8>>, size_bytes: Option<u64>) -> Self {
        Self { chunks, chunk: Cursor::default(), size_bytes }
    }

    /// Reads the rest, so that the thread can fetch it.
    pub(super) fn drain(self) {
        self.chunks.into_iter().for_each(drop);
    }
}

impl BufRead for Source {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.chunk.fill_buf()?.is_empty()
            && let Ok(chunk) = self.chunks.recv()
        {
            self.chunk = Cursor::new(chunk);
        }
        self.chunk.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.chunk.consume(amount);
    }
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.fill_buf()?;
        self.chunk.read(into)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn chunks_are_one_stream_of_which_any_part_can_be_read() {
        for read in [0, 1, 3, 5, 6] {
            let (sender, receiver) = channel();
            for chunk in ["abc", "", "def"] {
                sender.send(chunk.as_bytes().to_vec()).unwrap();
            }
            drop(sender);
            let mut source = Source::new(receiver, None);
            let mut taken = vec![0; read];
            source.read_exact(&mut taken).unwrap();
            assert_eq!(taken, b"abcdef"[..read]);
            if read == 6 {
                assert_eq!(source.fill_buf().unwrap(), b"");
            }
            source.drain();
        }
    }
}
