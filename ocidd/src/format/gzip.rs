//! Decompresses gzip (RFC 1952): reads every member, verifies its checksum and size, and skips zeros
//! after the last one, which tapes and tools that write whole blocks add. `gzip` skips them as well.

use std::{
    io,
    io::{BufRead, ErrorKind, Read},
};

use flate2::bufread::GzDecoder;

pub(super) struct GzipReader<R> {
    /// The current member. None after the last one.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> GzipReader<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { member: Some(GzDecoder::new(reader)) }
    }
}

impl<R: BufRead> Read for GzipReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let length = member.read(into)?;
            if length > 0 {
                return Ok(length);
            }
            let reader = member.get_mut();
            match reader.fill_buf()? {
                [] => self.member = None,
                [0, ..] => {
                    skip_zeros(reader)?;
                    self.member = None;
                }
                _ => self.member = self.member.take().map(|old| GzDecoder::new(old.into_inner())),
            }
        }
        Ok(0)
    }
}

/// Reads to the end, which only zeros may precede.
fn skip_zeros(reader: &mut impl BufRead) -> io::Result<()> {
    loop {
        let padding = reader.fill_buf()?;
        if padding.iter().any(|byte| *byte != 0) {
            let fact = "data after the zeros that follow a gzip member";
            return Err(io::Error::new(ErrorKind::InvalidData, fact));
        }
        match padding.len() {
            0 => return Ok(()),
            length => reader.consume(length),
        }
    }
}
