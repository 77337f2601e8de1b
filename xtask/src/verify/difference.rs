//! Describes how two builds of a file differ, and keeps both for a closer look.

use anyhow::Result;
use archive::{gzip, newc};

use crate::{
    host::{output, project, report},
    inspect::diff,
};

/// The first difference of two compressed archives, or `None` if they are equal.
pub fn initramfs_difference(one: &[u8], other: &[u8]) -> Result<Option<String>> {
    if one == other {
        return Ok(None);
    }
    let read = |bytes| anyhow::Ok(newc::read(&gzip::decompress(bytes)?)?);
    let differences = diff::differences(&read(one)?, &read(other)?);
    Ok(Some(match differences.as_slice() {
        [] => "the entries are equal; their order, inode numbers or compression differ".to_owned(),
        [difference] => difference.clone(),
        [first, rest @ ..] => format!("{first} (and {} more entries)", rest.len()),
    }))
}

/// Keeps both files as `verify-<name>.first` and `.second` next to the logs, and the report of
/// `diffoscope` as `.txt`. Returns the paths as the end of an error message.
pub fn keep(name: &str, first: &[u8], second: &[u8]) -> Result<String> {
    let path = |end: &str| project::logs().join(format!("verify-{name}.{end}"));
    let (one, other, differences) = (path("first"), path("second"), path("txt"));
    output::write(&one, first)?;
    output::write(&other, second)?;
    let files = format!("compare {} with {}", one.display(), other.display());
    let Some(text) = diff::diffoscope(&one, &other)? else {
        report::step("hint: install diffoscope to compare the contents of files");
        return Ok(files);
    };
    output::write(&differences, text.as_bytes())?;
    Ok(format!("{files}; {} contains the report of diffoscope", differences.display()))
}

#[cfg(test)]
mod tests {
    use archive::tree::{Entry, Tree};

    use super::*;

    #[test]
    fn names_the_first_entry_that_differs() {
        let pack = |files: &[(&str, &str)], mtime| {
            let entry = |(path, text): &(&str, &str)| {
                ((*path).to_owned(), Entry::file(0o755, text.as_bytes().to_vec()))
            };
            let tree = Tree::new(files.iter().map(entry)).unwrap();
            gzip::compress(&newc::write(&tree, mtime).unwrap()).unwrap()
        };
        let one = pack(&[("bin/tool", "some bytes")], 5);
        let mut repacked = one.clone();
        // The byte that names the operating system.
        repacked[9] = 3;
        for (other, difference) in [
            (one.clone(), None),
            (
                pack(&[("bin/tool", "some bites")], 5),
                Some("~ bin/tool: content of 10 bytes, different from byte 6 on"),
            ),
            (
                pack(&[("bin/tool", "some bytes")], 6),
                Some(
                    "~ bin: mtime 1970-01-01T00:00:05Z became 1970-01-01T00:00:06Z \
                     (and 1 more entries)",
                ),
            ),
            (
                pack(&[("bin/tool", "some bytes"), ("bin/a", "x")], 5),
                Some("+ bin/a: file, mode 0755, 1 bytes"),
            ),
            (
                repacked,
                Some("the entries are equal; their order, inode numbers or compression differ"),
            ),
        ] {
            assert_eq!(initramfs_difference(&one, &other).unwrap().as_deref(), difference);
        }
    }
}
