//! Disk images for tests and the demo, made from nothing: the same call always gives the same bytes.

mod gpt;
mod uefi;

pub use gpt::SECTOR;
pub use gpt::partitioned_image;
pub use uefi::uefi_greeting_image;

use anyhow::Context as _;
use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs;
use std::io::Write;
use std::path::Path;

/// What the installer leaves cleared at the end of a disk that is larger than the image, and holds back at its start.
const HELD_BACK: usize = 1 << 20;
/// Where a disk says what is installed, and how long that is.
const MARKER_BEFORE_END: usize = 64 << 10;
const MARKER_BYTES: usize = 4096;

/// What a disk holds before it is installed to, so that every byte that changes is seen.
const OLD: u8 = 0xAA;

/// Where a PC's firmware loads a boot sector to.
const LOAD_ADDRESS: u16 = 0x7c00;

/// An image of `size` bytes like a disk's: data that does not compress to nothing, runs of zeroes, and a size that ends within a MiB.
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

/// An image whose boot sector writes `greeting` to the first serial port of a PC and powers QEMU's machine off.
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
        0xba, 0xf8, 0x03,                //       mov dx, 0x3f8     ; data register of the first serial port
        0xac,                            // next: lodsb
        0x84, 0xc0,                      //       test al, al
        0x74, 0x03,                      //       jz off
        0xee,                            //       out dx, al
        0xeb, 0xf8,                      //       jmp next
        0xba, 0x04, 0x06,                // off:  mov dx, 0x604     ; ACPI's PM1a control, where QEMU's firmware puts it
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

/// One gzip member.
pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).context("compressing a disk image")?;
    encoder.finish().context("compressing a disk image")
}

/// A disk of `size` bytes that was in use before.
pub fn write_used_disk(path: &Path, size: usize) -> Result<()> {
    fs::write(path, vec![OLD; size]).with_context(|| format!("writing {}", path.display()))
}

/// What has become of a used disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected<'a> {
    /// The image, then what was there before, but for a cleared end with the installer's marker in it.
    Installed(&'a [u8]),
    Untouched,
    /// The image, and anything behind it.
    Begins(&'a [u8]),
    /// No partition table and no boot sector at either end.
    Cleared,
}

/// Compares a disk byte for byte, tail included; an error names the first byte that is wrong.
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
    anyhow::ensure!(
        wanted.len() == disk.len(),
        "the disk has {} bytes, {} were expected",
        disk.len(),
        wanted.len()
    );
    if let Some(at) = disk.iter().zip(&wanted).position(|(found, wanted)| found != wanted) {
        let byte = |bytes: &[u8]| bytes.get(at).copied().unwrap_or_default();
        anyhow::bail!(
            "byte {at} of {} is {:#04x}, {:#04x} was expected",
            disk.len(),
            byte(&disk),
            byte(&wanted)
        );
    }
    Ok(())
}

/// What a disk has to hold. Of the installer's marker only the first words are looked at: it is not for others to know what it says.
fn installed(image: &[u8], found: &[u8]) -> Vec<u8> {
    let mut disk = vec![OLD; found.len()];
    let end = found.len().saturating_sub(HELD_BACK);
    disk.get_mut(end..).unwrap_or_default().fill(0);
    let place = found.len().saturating_sub(MARKER_BEFORE_END);
    if let Some(marker) = found.get(place..place + MARKER_BYTES)
        && marker.starts_with(b"ocidd installed\n")
    {
        disk.splice(place..place + MARKER_BYTES, marker.iter().copied());
    }
    disk.splice(..image.len(), image.iter().copied());
    disk
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_sector_has_its_signature_and_its_greeting() {
        let image = greeting_image("hello", 1 << 20);
        assert_eq!((image.len(), &image[510..512]), (1 << 20, [0x55, 0xaa].as_slice()));
        assert_eq!(&image[29..35], b"hello\0");
    }

    #[test]
    fn a_patterned_image_has_data_and_zero_runs() {
        let image = patterned_image(3_000_001);
        let zeroes = image.iter().filter(|byte| matches!(byte, 0)).count();
        assert!(image.len() == 3_000_001 && zeroes > 500_000 && zeroes < 1_000_000, "{zeroes}");
        assert_eq!(image, patterned_image(3_000_001));
    }

    #[test]
    fn verifying_a_disk_finds_a_single_wrong_byte() {
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
}
