//! Files with one byte changed, made as the formats ask for and as the compiler and the kernel make them.

use super::*;
use archive::gzip;

/// An ELF file with the sections `.text` and `.data`.
fn elf(text: &[u8], data: &[u8]) -> Vec<u8> {
    let names = b"\0.text\0.data\0.names\0";
    let mut bytes = vec![0; 0x40];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    let mut headers = vec![[0_u8; 0x40]];
    for (name, content) in [(1_u32, text), (7, data), (13, &names[..])] {
        let mut header = [0; 0x40];
        header[..4].copy_from_slice(&name.to_le_bytes());
        header[4] = 1;
        header[0x18..0x20].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
        header[0x20..0x28].copy_from_slice(&(content.len() as u64).to_le_bytes());
        headers.push(header);
        bytes.extend_from_slice(content);
    }
    let table = bytes.len() as u64;
    bytes[0x28..0x30].copy_from_slice(&table.to_le_bytes());
    bytes[0x3a] = 0x40;
    bytes[0x3c] = 4;
    bytes[0x3e] = 3;
    bytes.extend(headers.into_iter().flatten());
    bytes
}

/// A kernel image for x86 with one sector of setup code and this payload, four bytes of code before it and four behind.
fn bzimage(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 1024];
    bytes[0x1f1] = 1;
    bytes[0x201] = 0x66;
    bytes[0x202..0x206].copy_from_slice(b"HdrS");
    bytes[0x248..0x24c].copy_from_slice(&4_u32.to_le_bytes());
    bytes[0x24c..0x250].copy_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(b"code");
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(b"more");
    bytes
}

fn changed(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}

#[test]
fn names_the_section_of_an_elf_file() {
    let one = elf(b"some code", b"some data");
    assert_eq!(difference(&one, &one), None);
    for (other, fact) in [
        (
            elf(b"some code", b"some date"),
            "section .data, which begins at 0x49: 9 bytes, the first difference at offset 0x8: 61 and 65",
        ),
        // The header and all that follows differ too: longer code tells why.
        (
            elf(b"some more code", b"some data"),
            "section .text, which begins at 0x40: 9 and 14 bytes, the first difference at offset 0x5: 636f6465 and 6d6f726520636f64",
        ),
        (changed(&one, 9), "105 bytes"),
    ] {
        let difference = difference(&one, &other).unwrap();
        assert!(difference.starts_with(fact) || fact == "105 bytes", "{difference}");
    }
    // In no section.
    assert!(
        difference(&one, &changed(&one, 9)).unwrap().contains("the first difference at offset 0x9")
    );
}

#[test]
fn names_the_part_of_a_kernel_image() {
    let one = bzimage(b"packed somehow");
    for (at, name) in [
        (0x10, "the boot sector and setup header"),
        (0x300, "the setup code"),
        (0x401, "the code before the compressed kernel"),
        (0x408, "the compressed kernel"),
        (one.len() - 1, "the code that decompresses"),
    ] {
        let found = difference(&one, &changed(&one, at)).unwrap();
        assert!(found.starts_with(&format!("{name}, which begins at 0x")), "{at:#x}: {found}");
    }
    let mut arm = vec![0; 128];
    arm[0x38..0x3c].copy_from_slice(b"ARM\x64");
    assert!(difference(&arm, &changed(&arm, 0)).unwrap().starts_with("the header"));
    assert!(difference(&arm, &changed(&arm, 100)).unwrap().contains("at offset 0x24"));
}

#[test]
fn looks_into_a_packed_kernel() {
    let pack = |text: &[u8]| bzimage(&gzip::compress(&elf(text, b"some data")).unwrap());
    let found = difference(&pack(b"some code"), &pack(b"soMe code")).unwrap();
    assert!(
        found.contains("the compressed kernel, which begins at 0x404; unpacked: section .text, which begins at 0x40")
            && found.ends_with("at offset 0x2: 6d6520636f6465 and 4d6520636f6465"),
        "{found}"
    );
}

#[test]
fn broken_files_are_compared_byte_by_byte() {
    let one = elf(b"some code", b"some data");
    let cut = &one[..0x60];
    let found = difference(cut, &changed(cut, 0x50)).unwrap();
    assert!(found.starts_with("96 bytes, the first difference at offset 0x50: "), "{found}");
    assert_eq!(
        difference(b"abc", b"abcd").unwrap(),
        "3 and 4 bytes, the first difference at offset 0x3: its end and 64"
    );
}

#[test]
fn finds_the_section_in_a_program_as_the_linker_makes_them() {
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let text = layout::parts(&own).into_iter().find(|part| part.name == "section .text").unwrap();
    let found = difference(&own, &changed(&own, text.offset + 3)).unwrap();
    assert!(found.starts_with("section .text, ") && found.contains("at offset 0x3: "), "{found}");
}
