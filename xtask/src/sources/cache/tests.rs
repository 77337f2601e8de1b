//! Entries are complete or absent, also with damage and concurrent builds. Threads with one cache
//! each stand for processes: locks belong to opened files, and caches share none.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    time::Instant,
};

use tempfile::TempDir;

use super::*;
use crate::{
    cache_cmd::{Entry, entries, remove},
    host::{output, output::SUMS},
};

/// An empty cache, removed with the returned directory.
pub fn empty() -> (TempDir, Cache) {
    let folder = TempDir::new().unwrap();
    let cache = Cache::at(folder.path().join("cache"));
    (folder, cache)
}

/// The same cache as another process opens it.
fn another(cache: &Cache) -> Cache {
    Cache::at(cache.root.clone())
}

const NAME: &str = "part.txt";

fn store(cache: &Cache, text: &str) -> (String, PathBuf) {
    let mut file = cache.temporary_file().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let sha256 = output::digest_of(text.as_bytes());
    let path = cache.store_source(file, &sha256, NAME).unwrap();
    (sha256, path)
}

fn store_kernel(cache: &Cache, key: &str) -> PathBuf {
    let filled = cache.temporary_folder().unwrap();
    std::fs::write(filled.path().join("image"), "bits").unwrap();
    std::fs::write(filled.path().join("config"), "CONFIG_A=y\n").unwrap();
    cache.store_kernel(filled, key).unwrap()
}

/// A valid key of a kernel.
fn key() -> String {
    "cd".repeat(32)
}

fn only(cache: &Cache, below: &str) -> Entry {
    let mut found = entries(cache);
    found.retain(|entry| entry.path.starts_with(cache.root.join(below)));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// Removes an unused entry. A program that another test is starting inherits every open file, and
/// so its lock, until `exec`.
fn remove_unused(cache: &Cache, entry: &Entry) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !remove(cache, entry).unwrap() {
        assert!(Instant::now() < deadline, "{entry:?} is still in use");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn returns_stored_files() {
    let (_folder, cache) = empty();
    let (sha256, path) = store(&cache, "hello");
    assert_eq!(cache.source(&sha256, NAME).unwrap(), Some(path));
    assert_eq!(cache.source(&sha256, "other.txt").unwrap(), None);
}

/// A kind of damage to an entry, by name.
type Damage = (&'static str, fn(&Path));

#[test]
fn removes_a_damaged_source() {
    let (_folder, cache) = empty();
    let damages: [Damage; 4] = [
        ("changed", |path| std::fs::write(path, "hellp").unwrap()),
        ("truncated", |path| std::fs::write(path, "hel").unwrap()),
        ("empty", |path| std::fs::write(path, "").unwrap()),
        ("a folder", |path| {
            std::fs::remove_file(path).unwrap();
            std::fs::create_dir(path).unwrap();
        }),
    ];
    for (name, damage) in damages {
        let (sha256, path) = store(&cache, "hello");
        assert_eq!(cache.source(&sha256, NAME).unwrap(), Some(path.clone()));
        damage(&path);
        assert_eq!(cache.source(&sha256, NAME).unwrap(), None, "{name}");
        assert!(!path.exists(), "{name}");
    }
}

#[test]
fn removes_a_damaged_kernel() {
    let (_folder, cache) = empty();
    let damages: [Damage; 8] = [
        ("no image", |folder| std::fs::remove_file(folder.join("image")).unwrap()),
        ("no sums", |folder| std::fs::remove_file(folder.join(SUMS)).unwrap()),
        ("empty sums", |folder| std::fs::write(folder.join(SUMS), "").unwrap()),
        ("one sum of two", |folder| {
            let sums = std::fs::read_to_string(folder.join(SUMS)).unwrap();
            std::fs::write(folder.join(SUMS), sums.lines().next().unwrap()).unwrap();
        }),
        ("changed image", |folder| std::fs::write(folder.join("image"), "bytes").unwrap()),
        ("truncated image", |folder| std::fs::write(folder.join("image"), "bi").unwrap()),
        ("one file more", |folder| std::fs::write(folder.join("more"), "").unwrap()),
        ("a file", |folder| {
            std::fs::remove_dir_all(folder).unwrap();
            std::fs::write(folder, "").unwrap();
        }),
    ];
    for (name, damage) in damages {
        let folder = store_kernel(&cache, "key");
        assert_eq!(cache.kernel("key").unwrap(), Some(folder.clone()));
        damage(&folder);
        assert_eq!(cache.kernel("key").unwrap(), None, "{name}");
        assert!(folder.symlink_metadata().is_err(), "{name}");
    }
}

#[test]
fn storing_replaces_a_damaged_entry() {
    let (_folder, cache) = empty();
    let (sha256, path) = store(&cache, "hello");
    let folder = store_kernel(&cache, "key");
    std::fs::write(&path, "hellp").unwrap();
    std::fs::write(folder.join("image"), "bytes").unwrap();
    store(&cache, "hello");
    store_kernel(&cache, "key");
    assert!(
        cache.source(&sha256, NAME).unwrap().is_some() && cache.kernel("key").unwrap().is_some()
    );
}

#[test]
fn keeps_the_first_of_two_stored_entries() {
    let (_folder, cache) = empty();
    let (first, second) = (another(&cache), another(&cache));
    assert_eq!(store(&first, "hello"), store(&second, "hello"));
    assert_eq!(store_kernel(&first, &key()), store_kernel(&second, &key()));
    drop(second);
    for below in ["sources", "kernels"] {
        assert!(!remove(&cache, &only(&cache, below)).unwrap(), "{below}");
    }
}

/// Several threads look up and store like builds; one removes what is not in use.
#[test]
fn concurrent_builds_get_complete_files() {
    const ROUNDS: usize = 60;
    const BUILDS: usize = 4;
    let (_folder, cache) = empty();
    let text = "0123456789".repeat(20_000);
    let sha256 = output::digest_of(text.as_bytes());
    let root = &cache.root;
    let build = || {
        for _ in 0..ROUNDS {
            let cache = Cache::at(root.clone());
            let path = match cache.source(&sha256, NAME).unwrap() {
                Some(path) => path,
                None => store(&cache, &text).1,
            };
            let folder = match cache.kernel(&key()).unwrap() {
                Some(folder) => folder,
                None => store_kernel(&cache, &key()),
            };
            // Entries that were looked up do not change until the cache is dropped.
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            assert_eq!(std::fs::read_to_string(folder.join("image")).unwrap(), "bits");
            assert_eq!(std::fs::read_to_string(folder.join("config")).unwrap(), "CONFIG_A=y\n");
        }
    };
    let removed = std::thread::scope(|scope| {
        let builds: Vec<_> = (0..BUILDS).map(|_| scope.spawn(build)).collect();
        let mut removed = 0;
        while builds.iter().any(|build| !build.is_finished()) {
            let temporary = cache.root.join("tmp");
            for entry in entries(&cache).iter().filter(|entry| !entry.path.starts_with(&temporary))
            {
                removed += usize::from(remove(&cache, entry).unwrap());
            }
        }
        for build in builds {
            build.join().unwrap();
        }
        removed
    });
    assert!(removed > 0, "nothing was ever removed, so nothing was tested");
}

#[test]
fn keeps_entries_in_use() {
    let (_folder, cache) = empty();
    let build = another(&cache);
    let (sha256, path) = store(&build, "hello");
    let folder = store_kernel(&build, &key());
    let filling = build.temporary_folder().unwrap();
    let fetching = build.temporary_file().unwrap();
    let lock = build.lock(KERNEL_LOCK, "kernel build").unwrap();
    build.folder("build/source").unwrap();
    for entry in entries(&cache) {
        assert!(!remove(&cache, &entry).unwrap(), "{entry:?}");
    }
    assert!(path.exists() && folder.exists() && filling.path().exists());
    drop((build, lock, fetching));
    // A build that looks entries up holds them like the build that stored them.
    let build = another(&cache);
    assert!(
        build.source(&sha256, NAME).unwrap().is_some() && build.kernel(&key()).unwrap().is_some()
    );
    for below in ["sources", "kernels"] {
        assert!(!remove(&cache, &only(&cache, below)).unwrap());
    }
    drop(build);
    for entry in entries(&cache) {
        remove_unused(&cache, &entry);
    }
    assert!(entries(&cache).is_empty());
    assert!(!path.parent().unwrap().exists());
}

#[test]
fn looking_up_counts_as_use() {
    let (_folder, cache) = empty();
    let (sha256, path) = store(&cache, "hello");
    let kernel = store_kernel(&cache, &key());
    let files = ["image", "config", SUMS].map(|name| kernel.join(name));
    for old in files.iter().chain([&path, &kernel]) {
        File::open(old).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    let year = Duration::from_hours(24 * 365);
    assert!(entries(&cache).iter().all(|entry| entry.usage.unused > year));
    cache.source(&sha256, NAME).unwrap();
    cache.kernel(&key()).unwrap();
    for below in ["sources", "kernels"] {
        assert!(only(&cache, below).usage.unused < year, "{below}");
    }
}

#[test]
fn sweeps_only_abandoned_files() {
    let (_folder, cache) = empty();
    let old = || {
        let file = cache.temporary_file().unwrap();
        file.as_file().set_modified(std::time::UNIX_EPOCH).unwrap();
        file
    };
    let (abandoned, used, young) =
        (old().keep().unwrap().1, old(), cache.temporary_file().unwrap());
    cache.sweep();
    assert!(!abandoned.exists() && used.path().exists() && young.path().exists());
}

#[test]
fn removes_unfinished_files() {
    let (_folder, cache) = empty();
    let path = cache.temporary_file().unwrap().path().to_path_buf();
    assert!(!path.exists());
}

#[test]
fn lists_only_entries_of_xtask() {
    let (_folder, cache) = empty();
    assert!(entries(&cache).is_empty());
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
        let path = cache.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let found: Vec<_> = entries(&cache)
        .iter()
        .map(|entry| {
            let path = entry.path.strip_prefix(&cache.root).unwrap();
            (path.display().to_string(), entry.usage.bytes)
        })
        .collect();
    let wanted = [
        ("apt/arm64", 2),
        ("build", 4),
        ("ccache", 1),
        ("configs", 2),
        (&format!("kernels/{id}"), 16),
        (&format!("sources/sha256/{id}/part.txt"), 5),
        ("tmp/.tmpAbCdEf", 4),
    ];
    assert_eq!(found, wanted.map(|(path, bytes)| (path.to_owned(), bytes)));
}
