//! Disk images for tests and the demo. The same arguments give the same bytes.

use std::{
    fs,
    fs::File,
    io::{Cursor, Write},
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use flate2::{Compression, write::GzEncoder};
use gptman::{GPT, GPTPartitionEntry};
use xshell::{Shell, cmd};

use crate::host::arch::Arch;

pub const SECTOR: usize = 512;

/// What the installer writes last at the start of a disk, and clears at the end of a larger one.
const HELD_BACK: usize = 1 << 20;
/// Where the installer's marker is, and its size.
const MARKER_BEFORE_END: usize = 64 << 10;
const MARKER_BYTES: usize = 4096;

/// Fills a disk before an install, so that every changed byte is found.
const OLD: u8 = 0xAA;

/// Where a PC's firmware loads a boot sector to.
const LOAD_ADDRESS: u16 = 0x7c00;

/// Where partitioning tools start the first partition.
const FIRST_PARTITION: u16 = 2048;
/// "Linux filesystem data", 0FC63DAF-8483-4772-8E79-3D69D8477DE4 (UEFI specification, 5.3.3).
const LINUX: [u8; 16] = [
    0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4,
];

/// Where the section of the UEFI program is, in the file and in memory. All headers precede it.
const FILE_OFFSET: u32 = 0x200;
const MEMORY_OFFSET: u32 = 0x1000;

/// An image of `size` bytes with incompressible data and runs of zeroes. Its size need not be a
/// multiple of 1 MiB.
pub fn patterned_image(size: usize) -> Vec<u8> {
    // xorshift64*: reproducible, and no zero run longer than a few bytes.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes()
    };
    let mut image: Vec<u8> =
        std::iter::repeat_with(&mut next).take(size.div_ceil(8)).flatten().collect();
    image.truncate(size);
    for run in [size / 2..size / 2 + size / 8, size - size / 16..size - 1000] {
        image.get_mut(run).unwrap_or_default().fill(0);
    }
    image
}

/// An image whose boot sector writes `greeting` to the first serial port of a PC and powers QEMU's
/// machine off.
pub fn greeting_image(greeting: &str, size: usize) -> Vec<u8> {
    const CODE_LENGTH: u8 = 29;
    let [message_low, message_high] = (LOAD_ADDRESS + u16::from(CODE_LENGTH)).to_le_bytes();
    #[rustfmt::skip]
    let code: [u8; CODE_LENGTH as usize] = [
        0xfa,                            //       cli
        0xfc,                            //       cld
        0x31, 0xc0,                      //       xor ax, ax
        0x8e, 0xd8,                      //       mov ds, ax
        0xbe, message_low, message_high, //       mov si, message
        0xba, 0xf8, 0x03,                //       mov dx, 0x3f8     ; data of the first serial port
        0xac,                            // next: lodsb
        0x84, 0xc0,                      //       test al, al
        0x74, 0x03,                      //       jz off
        0xee,                            //       out dx, al
        0xeb, 0xf8,                      //       jmp next
        0xba, 0x04, 0x06,                // off:  mov dx, 0x604     ; ACPI's PM1a control in QEMU
        0xb8, 0x00, 0x20,                //       mov ax, 0x2000    ; sleep, type 0: power off
        0xef,                            //       out dx, ax
        0xeb, 0xfe,                      //       jmp $
    ];
    let mut sector = [code.as_slice(), greeting.as_bytes()].concat();
    // Two bytes of signature and one of the message's end have to fit as well.
    sector.resize(510, 0);
    sector.extend([0x55, 0xaa]);
    let mut image = patterned_image(size);
    for (to, from) in image.iter_mut().zip(sector) {
        *to = from;
    }
    image
}

/// An image of `sectors` sectors with a GPT and one partition. It needs at least 3 MiB.
pub fn partitioned_image(sectors: usize) -> Result<Vec<u8>> {
    let mut image = patterned_image(sectors * SECTOR);
    // On a new disk the gap for a boot loader is empty.
    image.iter_mut().take(usize::from(FIRST_PARTITION) * SECTOR).for_each(|byte| *byte = 0);
    let mut disk = Cursor::new(image);
    let mut gpt = GPT::new_from(&mut disk, SECTOR as u64, [0x22; 16])?;
    gpt[1] = GPTPartitionEntry {
        partition_type_guid: LINUX,
        unique_partition_guid: [0x11; 16],
        starting_lba: FIRST_PARTITION.into(),
        ending_lba: gpt.header.last_usable_lba,
        attribute_bits: 0,
        partition_name: "root".into(),
    };
    GPT::write_protective_mbr_into(&mut disk, SECTOR as u64)?;
    gpt.write_into(&mut disk)?;
    Ok(disk.into_inner())
}

/// An image of `size` bytes with a FAT file system. UEFI starts a program in it that prints
/// `greeting` and powers the machine off.
pub fn uefi_greeting_image(arch: Arch, greeting: &str, size: usize) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir().context("creating a directory for a disk image")?;
    let shell = Shell::new()?;
    shell.change_dir(folder.path());
    let (image, program, filler) = ("image", "program", "filler");
    File::create(folder.path().join(image))
        .and_then(|file| file.set_len(size as u64))
        .context("creating a disk image")?;
    shell.write_file(program, uefi_program(arch, greeting))?;
    shell.write_file(filler, patterned_image(size / 4 * 3))?;
    let sectors = (size / SECTOR / 512 * 512).to_string();
    let name = arch.uefi_program();
    cmd!(shell, "mformat -i {image} -T {sectors} -h 16 -s 32 ::").quiet().run()?;
    cmd!(shell, "mmd -i {image} ::/EFI ::/EFI/BOOT").quiet().run()?;
    cmd!(shell, "mcopy -i {image} {filler} ::/").quiet().run()?;
    cmd!(shell, "mcopy -i {image} {program} ::/EFI/BOOT/{name}").quiet().run()?;
    Ok(shell.read_binary_file(image)?)
}

/// A program in the PE format (Microsoft's PE format; UEFI specification 2.10, 2.1.1): headers and
/// one section with code and text.
fn uefi_program(arch: Arch, greeting: &str) -> Vec<u8> {
    let text = greeting.encode_utf16().chain([0]).flat_map(u16::to_le_bytes);
    let mut section: Vec<u8> = uefi_code(arch).iter().copied().chain(text).collect();
    section.resize(section.len().next_multiple_of(FILE_OFFSET as usize), 0);
    let section_bytes = u32::try_from(section.len()).unwrap_or(u32::MAX);
    let machine = match arch {
        Arch::X86_64 => 0x8664,
        Arch::Arm64 => 0xaa64,
    };
    let mut file = vec![0; FILE_OFFSET as usize];
    // Offset and value of every field that is not zero.
    for (offset, value) in [
        // "MZ", the offset of the PE header, "PE".
        (0, 0x5a4d),
        (0x3c, 0x40),
        (0x40, 0x4550),
        // Machine, and one section; 0xf0 bytes of optional header, executable.
        (0x44, machine | 1 << 16),
        (0x54, 0x22 << 16 | 0xf0),
        // PE32+; size, entry point and start of the code.
        (0x58, 0x20b),
        (0x5c, section_bytes),
        (0x68, MEMORY_OFFSET),
        (0x6c, MEMORY_OFFSET),
        // Alignment in memory and file; size in memory, size of the headers.
        (0x78, MEMORY_OFFSET),
        (0x7c, FILE_OFFSET),
        (0x90, MEMORY_OFFSET + section_bytes.next_multiple_of(MEMORY_OFFSET)),
        (0x94, FILE_OFFSET),
        // A UEFI application with sixteen empty tables.
        (0x9c, 10),
        (0xc4, 16),
        // The section ".text": sizes, offsets, and code that can be read and executed.
        (0x148, u32::from_le_bytes(*b".tex")),
        (0x14c, u32::from_le_bytes(*b"t\0\0\0")),
        (0x150, section_bytes),
        (0x154, MEMORY_OFFSET),
        (0x158, section_bytes),
        (0x15c, FILE_OFFSET),
        (0x16c, 0x6000_0020),
    ] {
        file.splice(offset..offset + 4, value.to_le_bytes());
    }
    file.extend(section);
    file
}

/// Prints the text that follows the code by `SystemTable.ConOut.OutputString` (offsets 64 and 8),
/// then powers off by `RuntimeServices.ResetSystem` (88, 104).
#[rustfmt::skip]
fn uefi_code(arch: Arch) -> &'static [u8] {
    match arch {
        Arch::X86_64 => &[
            0x48, 0x83, 0xec, 0x28,                   // sub rsp, 0x28
            0x48, 0x89, 0xd3,                         // mov rbx, rdx
            0x48, 0x8b, 0x4b, 0x40,                   // mov rcx, [rbx + 64]
            0x48, 0x8d, 0x15, 0x19, 0x00, 0x00, 0x00, // lea rdx, [rip + text]
            0xff, 0x51, 0x08,                         // call [rcx + 8]
            0x48, 0x8b, 0x43, 0x58,                   // mov rax, [rbx + 88]
            0xb9, 0x02, 0x00, 0x00, 0x00,             // mov ecx, 2          ; EfiResetShutdown
            0x31, 0xd2,                               // xor edx, edx
            0x45, 0x31, 0xc0,                         // xor r8d, r8d
            0x45, 0x31, 0xc9,                         // xor r9d, r9d
            0xff, 0x50, 0x68,                         // call [rax + 104]
            0xeb, 0xfe,                               // jmp $
        ],
        Arch::Arm64 => &[
            0xf3, 0x03, 0x01, 0xaa, // mov x19, x1
            0x60, 0x22, 0x40, 0xf9, // ldr x0, [x19, 64]
            0x61, 0x01, 0x00, 0x10, // adr x1, text
            0x08, 0x04, 0x40, 0xf9, // ldr x8, [x0, 8]
            0x00, 0x01, 0x3f, 0xd6, // blr x8
            0x68, 0x2e, 0x40, 0xf9, // ldr x8, [x19, 88]
            0x08, 0x35, 0x40, 0xf9, // ldr x8, [x8, 104]
            0x40, 0x00, 0x80, 0x52, // mov w0, 2                             ; EfiResetShutdown
            0xe1, 0x03, 0x1f, 0xaa, // mov x1, xzr
            0xe2, 0x03, 0x1f, 0xaa, // mov x2, xzr
            0xe3, 0x03, 0x1f, 0xaa, // mov x3, xzr
            0x00, 0x01, 0x3f, 0xd6, // blr x8
            0x00, 0x00, 0x00, 0x14, // b .
        ],
    }
}

/// One gzip member.
pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).context("compressing a disk image")?;
    encoder.finish().context("compressing a disk image")
}

/// Writes a disk of `size` bytes with old data.
pub fn write_used_disk(path: &Path, size: usize) -> Result<()> {
    fs::write(path, vec![OLD; size]).with_context(|| format!("writing {}", path.display()))
}

/// The state of a disk that was created with old data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected<'a> {
    /// The image, old data, and a cleared end with the installer's marker.
    Installed(&'a [u8]),
    Untouched,
    /// The image, followed by anything.
    Begins(&'a [u8]),
    /// Both ends are cleared: no partition table, no boot sector.
    Cleared,
}

/// Compares every byte of a disk. An error contains the first wrong byte.
pub fn verify_disk(path: &Path, expected: Expected<'_>) -> Result<()> {
    let disk = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let wanted = match expected {
        Expected::Untouched => vec![OLD; disk.len()],
        Expected::Installed(image) => installed(image, &disk),
        Expected::Begins(image) => {
            [image, disk.get(image.len()..).context("the disk is smaller than the image")?].concat()
        }
        Expected::Cleared => {
            let middle = disk
                .get(HELD_BACK..disk.len().saturating_sub(HELD_BACK))
                .context("the disk is too small for a test")?;
            [&vec![0; HELD_BACK], middle, &vec![0; HELD_BACK]].concat()
        }
    };
    let (length, expected) = (disk.len(), wanted.len());
    if length != expected {
        bail!("the disk has {length} bytes, expected {expected}");
    }
    let mut bytes = disk.iter().zip(&wanted).enumerate();
    if let Some((at, (found, expected))) = bytes.find(|(_, (found, expected))| found != expected) {
        bail!("byte {at} of {length} is {found:#04x}, expected {expected:#04x}");
    }
    Ok(())
}

/// A disk after an install. Only the start of the installer's marker is compared.
fn installed(image: &[u8], found: &[u8]) -> Vec<u8> {
    let mut disk = vec![OLD; found.len()];
    let end = found.len().saturating_sub(HELD_BACK);
    disk.get_mut(end..).unwrap_or_default().fill(0);
    let start = found.len().saturating_sub(MARKER_BEFORE_END);
    if let Some(marker) = found.get(start..start + MARKER_BYTES)
        && marker.starts_with(b"ocidd installed\n")
    {
        disk.splice(start..start + MARKER_BYTES, marker.iter().copied());
    }
    disk.splice(..image.len(), image.iter().copied());
    disk
}

#[cfg(test)]
mod tests {
    use flate2::Crc;

    use super::*;
    use crate::host::cmd;

    #[test]
    fn boot_sector_contains_signature_and_greeting() {
        let image = greeting_image("hello", 1 << 20);
        assert_eq!((image.len(), &image[510..512]), (1 << 20, [0x55, 0xaa].as_slice()));
        assert_eq!(&image[29..35], b"hello\0");
    }

    #[test]
    fn patterned_image_has_data_and_zero_runs() {
        let image = patterned_image(3_000_001);
        let zeroes = image.iter().filter(|byte| matches!(byte, 0)).count();
        assert!(image.len() == 3_000_001 && zeroes > 500_000 && zeroes < 1_000_000, "{zeroes}");
        assert_eq!(image, patterned_image(3_000_001));
    }

    #[test]
    fn finds_one_wrong_byte_on_disk() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let image = patterned_image(3 << 20);
        write_used_disk(file.path(), 8 << 20).unwrap();
        verify_disk(file.path(), Expected::Untouched).unwrap();
        assert!(verify_disk(file.path(), Expected::Cleared).is_err());
        let mut good = installed(&image, &vec![0; 8 << 20]);
        fs::write(file.path(), &good).unwrap();
        verify_disk(file.path(), Expected::Installed(&image)).unwrap();
        good[7_000_000] ^= 1;
        fs::write(file.path(), &good).unwrap();
        let error = verify_disk(file.path(), Expected::Installed(&image)).unwrap_err().to_string();
        assert!(error.contains("byte 7000000 of 8388608"), "{error}");
    }

    #[test]
    fn gpt_headers_refer_to_each_other() {
        let image = partitioned_image(8192).unwrap();
        let crc32 = |bytes: &[u8]| {
            let mut crc = Crc::new();
            crc.update(bytes);
            crc.sum()
        };
        for (at, own, other) in [(1, 1_u64, 8191_u64), (8191, 8191, 1)] {
            let header = &image[at * SECTOR..][..92];
            assert_eq!(header[24..32], own.to_le_bytes());
            assert_eq!(header[32..40], other.to_le_bytes());
            let bare = [&header[..16], &[0; 4], &header[20..]].concat();
            assert_eq!(header[16..20], crc32(&bare).to_le_bytes());
        }
        // The check value of CRC-32.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    /// `cargo xtask setup` installs sgdisk.
    #[test]
    fn sgdisk_accepts_gpt() {
        if cmd::find("sgdisk").is_none() {
            return;
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), partitioned_image(8192).unwrap()).unwrap();
        let (shell, path) = (Shell::new().unwrap(), file.path());
        let said = xshell::cmd!(shell, "sgdisk --verify {path}").quiet().read().unwrap();
        assert!(said.contains("No problems found"), "{said}");
    }
}
