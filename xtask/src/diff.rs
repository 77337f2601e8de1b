//! `cargo xtask diff`: what an initramfs has that another one has not, entry by entry. Writes nothing; its exit code tells, as that of diff(1).

mod entries;
mod lines;

use crate::report;
use crate::tree_cmd;
use anyhow::Result;
use archive::newc::Record;
use archive::read::Part;
use std::path::PathBuf;
use std::process::ExitCode;

/// Compare two initramfs files entry by entry
///
/// Exits with 0 where both unpack to the same, 1 where they differ, 2 where one of them cannot be read. Each file may hold several archives; what
/// the kernel would make of them is compared, so the order of entries, inode numbers and the packing count for nothing.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask diff release/initramfs-amd64.gz out/initramfs-amd64.gz
      What a change did: '-' is in the first only, '+' in the second only, '~' in both and different
  cargo xtask diff out/initramfs-amd64.gz initramfs-site.gz
      What an overlay adds
  cargo xtask diff A B >/dev/null && echo equal
      In scripts")]
pub struct Args {
    /// The initramfs to begin with
    a: PathBuf,
    /// The one to compare it with
    b: PathBuf,
}

pub fn run(args: &Args) -> ExitCode {
    match compare(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            report::failure(&error);
            ExitCode::from(2)
        }
    }
}

/// Tells every difference. Whether there was none.
fn compare(args: &Args) -> Result<bool> {
    let (one, other) = (members(tree_cmd::read(&args.a)?), members(tree_cmd::read(&args.b)?));
    let differences = entries::differences(&one, &other);
    if differences.is_empty() {
        return Ok(true);
    }
    let text: Vec<String> = differences.iter().map(ToString::to_string).collect();
    // At one go: a reader like `head` may end before the last line.
    report::result(text.join("\n"));
    Ok(false)
}

fn members(parts: Vec<Part>) -> Vec<Record> {
    parts.into_iter().flat_map(|part| part.members).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree_cmd::tests::archive;
    use archive::gzip;

    #[test]
    fn the_exit_code_tells_equal_different_and_unreadable() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let whole = archive(&[("a", "1"), ("b", "2")]);
        let plain = put("plain", &whole);
        let packed = put("packed", &gzip::compress(&whole).unwrap());
        let split = put("split", &[archive(&[("a", "0")]), whole.clone()].concat());
        let other = put("other", &archive(&[("a", "1"), ("b", "3")]));
        let broken = put("broken", &whole[..100]);
        for (a, b, wanted) in [
            (&plain, &plain, 0),
            (&plain, &packed, 0),
            (&plain, &split, 0),
            (&plain, &other, 1),
            (&plain, &broken, 2),
            (&folder.path().join("none"), &plain, 2),
        ] {
            let code = run(&Args { a: a.clone(), b: b.clone() });
            assert_eq!(code, ExitCode::from(wanted), "{} {}", a.display(), b.display());
        }
    }
}
