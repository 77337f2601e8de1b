//! What lies in the cache, as values. Only what xtask put there is listed, and nothing is changed, hashed or locked by looking.

use crate::cache::kernels;
use crate::cache::sources;
use crate::kernel;
use crate::output::SUMS;
use std::fs::Metadata;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use walkdir::WalkDir;

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// A file under its digest, or the evidence of a wrong one.
    Source,
    /// A folder under its key.
    Kernel,
    /// The state of apt for one architecture.
    Lists,
    /// What saves work: the object files of ccache, which source a sample of the tests became, the configurations that were checked last.
    Objects,
    /// Where a kernel is built.
    Scratch,
    /// A file or folder that a run is filling, or was.
    Temporary,
}

impl Kind {
    pub const ALL: [Self; 6] =
        [Self::Source, Self::Kernel, Self::Lists, Self::Objects, Self::Scratch, Self::Temporary];

    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Kernel => "kernel",
            Self::Lists => "lists",
            Self::Objects => "objects",
            Self::Scratch => "scratch",
            Self::Temporary => "temporary",
        }
    }
}

/// One thing in the cache, which goes or stays as a whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    pub kind: Kind,
    /// For people. Of a source its file name, of a kernel what it is for.
    pub name: String,
    /// The digest of a source, the key of a kernel; of others nothing.
    pub id: String,
    pub path: PathBuf,
    pub bytes: u64,
    /// How long ago it was made, where that is known.
    pub made: Option<Duration>,
    /// How long ago a build last used it.
    pub unused: Duration,
}

/// Everything in the cache in this folder, by kind and name. What vanishes meanwhile is left out.
pub fn list(root: &Path) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (sha256, folder) in below(&root.join(sources::FOLDER)).filter(|(name, _)| is_id(name)) {
        for (name, path) in below(&folder).filter(|(_, path)| path.is_file()) {
            entries.extend(entry(Kind::Source, name, sha256.clone(), path));
        }
    }
    for (key, folder) in below(&root.join(kernels::FOLDER)).filter(|(name, _)| is_id(name)) {
        entries.extend(kernel(key, folder));
    }
    for (arch, path) in below(&root.join("apt")).filter(|(name, _)| is_known_arch(name)) {
        entries.extend(entry(Kind::Lists, format!("apt-{arch}"), String::new(), path));
    }
    for (kind, name) in [
        (Kind::Objects, "ccache"),
        (Kind::Objects, "configs"),
        (Kind::Objects, "samples"),
        (Kind::Scratch, "build"),
    ] {
        entries.extend(entry(kind, name.to_owned(), String::new(), root.join(name)));
    }
    entries.extend(temporaries(root));
    entries.sort_by(|a, b| (a.kind, &a.name, &a.id).cmp(&(b.kind, &b.name, &b.id)));
    entries
}

/// What runs are filling, or were. By itself, since a look at everything takes too long for every build.
pub(super) fn temporaries(root: &Path) -> impl Iterator<Item = Entry> + use<> {
    below(&root.join("tmp"))
        .filter(|(name, _)| name.starts_with(".tmp"))
        .filter_map(|(name, path)| entry(Kind::Temporary, name, String::new(), path))
}

fn kernel(key: String, folder: PathBuf) -> Option<Entry> {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    let name = kernel_name(&read(kernel::INPUTS), &read(kernel::CONFIG));
    let made = folder.join(kernel::IMAGE).metadata().ok().and_then(|meta| age(&meta));
    let unused = folder.join(SUMS).metadata().ok().and_then(|meta| age(&meta));
    let found = entry(Kind::Kernel, name, key, folder)?;
    Some(Entry { made, unused: unused.unwrap_or(found.unused), ..found })
}

/// An entry whose last use is that of the youngest file in it. Nothing, where nothing is there.
fn entry(kind: Kind, name: String, id: String, path: PathBuf) -> Option<Entry> {
    let made = path.symlink_metadata().ok()?.created().ok().and_then(|time| time.elapsed().ok());
    let files = WalkDir::new(&path).into_iter().filter_map(Result::ok);
    let mut bytes = 0;
    let mut unused: Option<Duration> = None;
    for meta in files.filter_map(|file| file.metadata().ok()) {
        if meta.is_file() {
            bytes += meta.len();
        }
        unused = unused.into_iter().chain(age(&meta)).min();
    }
    Some(Entry { kind, name, id, path, bytes, made, unused: unused.unwrap_or_default() })
}

/// How long ago a file was changed. `None` of one from the future.
fn age(meta: &Metadata) -> Option<Duration> {
    meta.modified().ok()?.elapsed().ok()
}

/// The names and paths in a folder; of a missing one, none.
fn below(folder: &Path) -> impl Iterator<Item = (String, PathBuf)> + use<> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
}

fn is_id(name: &str) -> bool {
    name.len() == 64
        && name.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn is_known_arch(name: &str) -> bool {
    crate::arch::Arch::ALL.iter().any(|arch| arch.oci() == name)
}

/// `x86_64 defconfig+57 6.12.109`: the architecture, the base and how many options were changed of it, the version; as far as the files of a kernel tell.
fn kernel_name(inputs: &str, config: &str) -> String {
    let value = |name: &str| {
        inputs.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(unquoted)
    };
    let is_change = |line: &&str| line.starts_with("option=") || line.starts_with("word=\"-");
    let base = value("base").map(|base| match inputs.lines().filter(is_change).count() {
        0 => base,
        count => format!("{base}+{count}"),
    });
    // The third line, such as: # Linux/x86 6.12.109 Kernel Configuration
    let version = config.lines().take(5).find_map(|line| {
        let (_, rest) = line.strip_prefix("# Linux/")?.split_once(' ')?;
        rest.strip_suffix(" Kernel Configuration").map(str::to_owned)
    });
    let facts: Vec<String> = [value("arch"), base, version].into_iter().flatten().collect();
    if facts.is_empty() { "unknown".to_owned() } else { facts.join(" ") }
}

fn unquoted(value: &str) -> String {
    value.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_a_kernel_by_what_its_files_tell() {
        let inputs = "format=\"1\"\narch=\"arm64\"\nbase=\"tinyconfig\"\n";
        let changed = format!("{inputs}option=\"A=y\"\nword=\"--enable\"\nword=\"B\"\n");
        let config =
            "#\n# Automatically generated\n# Linux/arm64 6.12.109 Kernel Configuration\n#\n";
        for (inputs, config, wanted) in [
            (inputs, config, "arm64 tinyconfig 6.12.109"),
            (changed.as_str(), config, "arm64 tinyconfig+2 6.12.109"),
            (inputs, "", "arm64 tinyconfig"),
            ("", "", "unknown"),
        ] {
            assert_eq!(kernel_name(inputs, config), wanted);
        }
    }

    #[test]
    fn lists_what_is_ours_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert_eq!(list(&root.join("missing")), []);
        let id = "ab".repeat(32);
        for (path, text) in [
            (format!("sources/sha256/{id}/part.txt"), "12345"),
            ("sources/sha256/notes/part.txt".to_owned(), "foreign"),
            ("sources/notes.txt".to_owned(), "foreign"),
            (format!("kernels/{id}/image"), "123"),
            (format!("kernels/{id}/inputs"), "arch=\"arm64\"\n"),
            ("kernels/README".to_owned(), "foreign"),
            ("apt/arm64/state/lists".to_owned(), "12"),
            ("apt/notes/x".to_owned(), "foreign"),
            ("ccache/0/1".to_owned(), "1"),
            ("configs/arm64-hw".to_owned(), "12"),
            ("build/source/Makefile".to_owned(), "1234"),
            ("tmp/.tmpAbCdEf".to_owned(), "1234"),
            ("tmp/notes".to_owned(), "foreign"),
            ("notes.txt".to_owned(), "foreign"),
        ] {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let found = list(root);
        let found: Vec<_> =
            found.iter().map(|entry| (entry.kind, entry.name.as_str(), entry.bytes)).collect();
        assert_eq!(
            found,
            [
                (Kind::Source, "part.txt", 5),
                (Kind::Kernel, "arm64", 16),
                (Kind::Lists, "apt-arm64", 2),
                (Kind::Objects, "ccache", 1),
                (Kind::Objects, "configs", 2),
                (Kind::Scratch, "build", 4),
                (Kind::Temporary, ".tmpAbCdEf", 4),
            ]
        );
    }
}
