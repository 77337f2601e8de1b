//! A disk that UEFI starts a greeting from: a FAT file system on the whole disk, with one small program of our own in it.

use super::patterned_image;
use crate::host::arch::Arch;
use anyhow::Context as _;
use anyhow::Result;
use std::fs;
use std::fs::File;
use xshell::Shell;
use xshell::cmd;

/// Where the program's one section lies, in the file and in memory; and the end of all headers before it.
const FILE_OFFSET: u32 = 0x200;
const MEMORY_OFFSET: u32 = 0x1000;
const PE_HEADER: usize = 0x40;

/// An image of `size` bytes, whose firmware prints `greeting` on its console and powers the machine off.
pub fn uefi_greeting_image(arch: Arch, greeting: &str, size: usize) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir().context("making a folder for a disk image")?;
    let shell = Shell::new()?;
    shell.change_dir(folder.path());
    let (image, program, ballast) = ("image", "program", "ballast");
    File::create(folder.path().join(image))
        .and_then(|file| file.set_len(size as u64))
        .context("making a disk image")?;
    fs::write(folder.path().join(program), program_of(arch, greeting))
        .context("writing a UEFI program")?;
    // Something that does not compress to nothing.
    fs::write(folder.path().join(ballast), patterned_image(size / 4 * 3))
        .context("writing a file")?;
    let sectors = (size / 512 / 512 * 512).to_string();
    let name = arch.uefi_program();
    cmd!(shell, "mformat -i {image} -T {sectors} -h 16 -s 32 ::").quiet().run()?;
    cmd!(shell, "mmd -i {image} ::/EFI ::/EFI/BOOT").quiet().run()?;
    cmd!(shell, "mcopy -i {image} {ballast} ::/").quiet().run()?;
    cmd!(shell, "mcopy -i {image} {program} ::/EFI/BOOT/{name}").quiet().run()?;
    fs::read(folder.path().join(image)).context("reading a disk image")
}

/// The program, as the PE format has it (Microsoft's PE format, UEFI specification 2.10, 2.1.1): headers, and a section with code and text.
fn program_of(arch: Arch, greeting: &str) -> Vec<u8> {
    let text = greeting.encode_utf16().chain([0]).flat_map(u16::to_le_bytes);
    let mut section: Vec<u8> = code(arch).iter().copied().chain(text).collect();
    section.resize(section.len().next_multiple_of(FILE_OFFSET as usize), 0);
    let section_bytes = u32::try_from(section.len()).unwrap_or(u32::MAX);

    let mut file = b"MZ".to_vec();
    file.resize(PE_HEADER - 4, 0);
    file.extend(u32::try_from(PE_HEADER).unwrap_or_default().to_le_bytes());
    file.extend(b"PE\0\0");
    let machine: u16 = match arch {
        Arch::X86_64 => 0x8664,
        Arch::Arm64 => 0xaa64,
    };
    let small = |values: &[u16], file: &mut Vec<u8>| {
        file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    };
    let large = |values: &[u32], file: &mut Vec<u8>| {
        file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    };
    // One section; no time and no symbols; 240 bytes of optional header; executable, not stripped of relocations: it needs none.
    small(&[machine, 1], &mut file);
    large(&[0, 0, 0], &mut file);
    small(&[240, 0x22], &mut file);
    // PE32+; sizes of code and data; entry and start of the code.
    small(&[0x20b, 0], &mut file);
    large(&[section_bytes, 0, 0, MEMORY_OFFSET, MEMORY_OFFSET], &mut file);
    // Image base (64 bits), alignments in memory and file.
    large(&[0, 0, MEMORY_OFFSET, FILE_OFFSET], &mut file);
    small(&[0; 6], &mut file);
    // Reserved, size in memory, size of headers, no checksum.
    large(
        &[0, MEMORY_OFFSET + section_bytes.next_multiple_of(MEMORY_OFFSET), FILE_OFFSET, 0],
        &mut file,
    );
    // A UEFI application; stack and heap sizes mean nothing to UEFI; sixteen empty tables.
    small(&[10, 0], &mut file);
    large(&[0; 8], &mut file);
    large(&[0, 16], &mut file);
    large(&[0; 32], &mut file);
    file.extend(b".text\0\0\0");
    large(&[section_bytes, MEMORY_OFFSET, section_bytes, FILE_OFFSET, 0, 0, 0], &mut file);
    // Code that can be read and executed.
    large(&[0x6000_0020], &mut file);
    file.resize(FILE_OFFSET as usize, 0);
    file.extend(section);
    file
}

/// Prints the text behind it by `SystemTable.ConOut.OutputString` (offsets 64 and 8), then powers off by `RuntimeServices.ResetSystem` (88, 104).
#[rustfmt::skip]
fn code(arch: Arch) -> &'static [u8] {
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
