//! The archive as Alpine packs it: names begin with `./`, applets are links to an absolute path, musl is the loader and has a second name. Values in, bytes out;
//! the same values give the same bytes.

use crate::arch::Arch;
use anyhow::Context as _;
use anyhow::Result;
use archive::gzip;
use tar::EntryType;
use tar::Header;

/// What the stand-in holds besides folders and links.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) busybox: Vec<u8>,
    pub(super) loader: Vec<u8>,
    pub(super) certificates: Vec<u8>,
}

const FOLDERS: [&str; 8] =
    ["./", "./bin/", "./etc/", "./etc/ssl/", "./etc/ssl/certs/", "./lib/", "./tmp/", "./usr/"];
const APPLETS: [&str; 4] = ["./bin/sh", "./bin/ls", "./bin/cat", "./bin/mount"];

/// The `.tar.gz`.
pub(super) fn archive(arch: Arch, content: &Content) -> Result<Vec<u8>> {
    let cpu = arch.cpu();
    let mut archive = tar::Builder::new(Vec::new());
    for folder in FOLDERS {
        append(&mut archive, folder, EntryType::Directory, 0o755, &[])?;
    }
    let loader = format!("./lib/ld-musl-{cpu}.so.1");
    for (name, mode, bytes) in [
        ("./bin/busybox", 0o755, content.busybox.as_slice()),
        (&loader, 0o755, &content.loader),
        ("./etc/alpine-release", 0o644, b"0.0.0_sample\n"),
        ("./etc/ssl/certs/ca-certificates.crt", 0o644, &content.certificates),
    ] {
        append(&mut archive, name, EntryType::Regular, mode, bytes)?;
    }
    for applet in APPLETS {
        append(&mut archive, applet, EntryType::Symlink, 0o777, b"/bin/busybox")?;
    }
    let second = format!("./lib/libc.musl-{cpu}.so.1");
    let target = format!("ld-musl-{cpu}.so.1");
    append(&mut archive, &second, EntryType::Symlink, 0o777, target.as_bytes())?;
    Ok(gzip::compress(&archive.into_inner().context("ending an archive")?)?)
}

/// Appends an entry; of a link, `bytes` is the target.
fn append(
    archive: &mut tar::Builder<Vec<u8>>,
    name: &str,
    kind: EntryType,
    mode: u32,
    bytes: &[u8],
) -> Result<()> {
    let mut header = Header::new_ustar();
    // Not through the crate's own function, which takes the leading dot away.
    let place = &mut header.as_old_mut().name;
    place.get_mut(..name.len()).context("a name too long")?.copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(mode);
    let (size, bytes) = if kind.is_symlink() {
        header.set_link_name_literal(bytes).with_context(|| format!("linking '{name}'"))?;
        (0, &[][..])
    } else {
        (bytes.len(), bytes)
    };
    header.set_size(size.try_into()?);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    archive.append(&header, bytes).with_context(|| format!("archiving '{name}'"))
}
