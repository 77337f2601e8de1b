//! Which file of a kernel's build differed first. Goes in: the build folders of two finished builds. Comes out: the earliest file that is not the same in
//! both, and where it differs. Nothing is changed in them.

use crate::reproduce::content;
use anyhow::Context as _;
use anyhow::Result;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;
use walkdir::WalkDir;

/// Folders of programs that only run during the build. They hold paths of the machine, and no byte of them is in the kernel.
const HOST_FOLDERS: [&str; 2] = ["scripts", "tools"];

/// The first difference, in the order in which the first build made its files; `None` where all are equal.
pub(super) fn first_difference(one: &Path, other: &Path) -> Result<Option<String>> {
    for (_, name) in files(one)? {
        let read = |folder: &Path| {
            let path = folder.join(&name);
            std::fs::read(&path).with_context(|| format!("reading {}", path.display()))
        };
        if !other.join(&name).exists() {
            return Ok(Some(format!("'{}' was made in the first build only", name.display())));
        }
        if let Some(difference) = content::difference(&read(one)?, &read(other)?) {
            return Ok(Some(format!("'{}' differs: {difference}", name.display())));
        }
    }
    Ok(None)
}

/// Object files and generated headers, the earliest first.
fn files(folder: &Path) -> Result<Vec<(SystemTime, PathBuf)>> {
    let mut files = Vec::new();
    let is_ours = |entry: &walkdir::DirEntry| {
        !entry.file_type().is_dir() || !HOST_FOLDERS.iter().any(|name| entry.file_name() == *name)
    };
    for entry in WalkDir::new(folder).sort_by_file_name().into_iter().filter_entry(is_ours) {
        let entry = entry.with_context(|| format!("listing {}", folder.display()))?;
        let is_compared = entry.path().extension().is_some_and(|end| end == "o" || end == "h");
        if !entry.file_type().is_file() || !is_compared {
            continue;
        }
        let made = entry.metadata()?.modified()?;
        files.push((made, entry.path().strip_prefix(folder)?.to_owned()));
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// A build folder with these files, made one second after the other.
    fn built(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (second, (name, content)) in (0..).zip(files) {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, content).unwrap();
            let made = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(made).unwrap();
        }
        folder
    }

    #[test]
    fn names_the_file_that_was_made_first() {
        let one = [("scripts/x.o", "1"), ("z.o", "abc"), (".z.o.cmd", "1"), ("a/b.o", "abc")];
        let first = built(&one);
        for (other, difference) in [
            (&one[..], None),
            (
                &[("scripts/x.o", "2"), ("z.o", "abd"), (".z.o.cmd", "2"), ("a/b.o", "x")],
                Some("'z.o' differs: 3 bytes, the first difference at offset 0x2: 63 and 64"),
            ),
            (&[("z.o", "abc")], Some("'a/b.o' was made in the first build only")),
        ] {
            let second = built(other);
            let found = first_difference(first.path(), second.path()).unwrap();
            assert_eq!(found.as_deref(), difference);
        }
    }
}
