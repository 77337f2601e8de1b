//! Looks into a program's ELF headers. Bytes in; out comes whether the kernel can start it in an image that holds no library.

use crate::arch::Arch;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;

/// A segment that names the program's dynamic loader.
const PT_INTERP: u32 = 3;
/// A section of symbols that only debuggers read.
const SHT_SYMTAB: u32 = 2;

/// Fails unless `program` is a static and stripped program for `arch`.
pub fn verify(program: &[u8], arch: Arch) -> Result<()> {
    if program.get(..6) != Some(b"\x7fELF\x02\x01") {
        bail!("it is no 64-bit little-endian ELF file");
    }
    let (machine, wanted) = (u16_at(program, 18)?, machine(arch));
    if machine != wanted {
        bail!("it is for machine {machine}, wanted {wanted} ({arch})");
    }
    if types(program, &Table { offset: 32, entry_size: 54, count: 56, type_at: 0 })?
        .contains(&PT_INTERP)
    {
        bail!("it needs a dynamic loader, and the image has none for it");
    }
    if types(program, &Table { offset: 40, entry_size: 58, count: 60, type_at: 4 })?
        .contains(&SHT_SYMTAB)
    {
        bail!("it is not stripped");
    }
    Ok(())
}

fn machine(arch: Arch) -> u16 {
    match arch {
        Arch::X86_64 => 62,
        Arch::Arm64 => 183,
    }
}

/// Where the ELF header tells of a table, and where an entry of the table tells its type.
struct Table {
    offset: usize,
    entry_size: usize,
    count: usize,
    type_at: usize,
}

fn types(program: &[u8], table: &Table) -> Result<Vec<u32>> {
    let offset = usize::try_from(u64::from_le_bytes(bytes_at(program, table.offset)?))?;
    let size = usize::from(u16_at(program, table.entry_size)?);
    let count = usize::from(u16_at(program, table.count)?);
    (0..count)
        .map(|index| {
            let at = offset
                .checked_add(index * size + table.type_at)
                .context("it has a table out of range")?;
            Ok(u32::from_le_bytes(bytes_at(program, at)?))
        })
        .collect()
}

fn u16_at(program: &[u8], at: usize) -> Result<u16> {
    Ok(u16::from_le_bytes(bytes_at(program, at)?))
}

fn bytes_at<const N: usize>(program: &[u8], at: usize) -> Result<[u8; N]> {
    let bytes = program.get(at..).and_then(|rest| rest.first_chunk());
    bytes.copied().context("it is cut short")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with one segment and one section of these types.
    fn program(machine: u8, segment: u32, section: u32) -> Vec<u8> {
        let mut bytes = vec![0; 192];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[18] = machine;
        bytes[32] = 64;
        bytes[40] = 128;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes[58] = 64;
        bytes[60] = 1;
        bytes[64..68].copy_from_slice(&segment.to_le_bytes());
        bytes[132..136].copy_from_slice(&section.to_le_bytes());
        bytes
    }

    #[test]
    fn accepts_static_stripped_programs_only() {
        let good = program(62, 1, 1);
        assert!(verify(&good, Arch::X86_64).is_ok());
        for (bytes, fact) in [
            (program(183, 1, 1), "machine 183, wanted 62"),
            (program(62, PT_INTERP, 1), "dynamic loader"),
            (program(62, 1, SHT_SYMTAB), "not stripped"),
            (b"#!/bin/sh\n".to_vec(), "no 64-bit"),
            (good[..100].to_vec(), "cut short"),
            (vec![], "no 64-bit"),
        ] {
            assert!(verify(&bytes, Arch::X86_64).unwrap_err().to_string().contains(fact), "{fact}");
        }
    }

    #[test]
    fn refuses_a_dynamic_program_as_the_linker_makes_them() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(verify(&own, Arch::host().unwrap()).is_err());
    }
}
