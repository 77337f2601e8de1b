//! What is stored comes back whole or not at all, whatever happened to it and whoever else is at work. Threads with a cache of their own each stand in
//! for processes: the locks belong to opened files, and neither shares any.

use super::*;
use crate::cache::remove::remove;
use crate::output;
use crate::output::SUMS;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;
use tempfile::TempDir;

/// A cache that ends with the test.
pub fn empty() -> (TempDir, Cache) {
    let folder = TempDir::new().unwrap();
    let cache = Cache::at(folder.path().join("cache"));
    (folder, cache)
}

/// Another process's view of the same cache.
fn another(cache: &Cache) -> Cache {
    Cache::at(cache.root().to_path_buf())
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

/// A key, as the cache only lists what looks like one.
fn key() -> String {
    "cd".repeat(32)
}

fn only(cache: &Cache, kind: Kind) -> Entry {
    let mut found = list(cache.root());
    found.retain(|entry| entry.kind == kind);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// Removes what nobody uses any more. A program that another test is starting holds a copy of every open file, and so of its lock, until it has
/// begun.
fn remove_unused(cache: &Cache, entry: &Entry) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while remove(cache, entry).unwrap() != Outcome::Removed {
        assert!(Instant::now() < deadline, "{entry:?} is still in use");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn gives_back_what_was_stored() {
    let (_folder, cache) = empty();
    let (sha256, path) = store(&cache, "hello");
    assert_eq!(cache.source(&sha256, NAME).unwrap(), Some(path));
    assert_eq!(cache.source(&sha256, "other.txt").unwrap(), None);
}

/// What happened to an entry, by name.
type Damage = (&'static str, fn(&Path));

#[test]
fn takes_a_damaged_source_away() {
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
fn takes_a_damaged_kernel_away() {
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
fn storing_over_a_damaged_entry_replaces_it() {
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
fn the_first_of_two_that_are_stored_stays() {
    let (_folder, cache) = empty();
    let (first, second) = (another(&cache), another(&cache));
    assert_eq!(store(&first, "hello"), store(&second, "hello"));
    assert_eq!(store_kernel(&first, &key()), store_kernel(&second, &key()));
    drop(second);
    for kind in [Kind::Source, Kind::Kernel] {
        assert_eq!(remove(&cache, &only(&cache, kind)).unwrap(), Outcome::InUse, "{kind:?}");
    }
}

/// Some look up and store what is missing, as builds do; one takes away whatever it may.
#[test]
fn builds_at_once_get_whole_files() {
    const ROUNDS: usize = 60;
    const BUILDS: usize = 4;
    let (_folder, cache) = empty();
    let text = "0123456789".repeat(20_000);
    let sha256 = output::digest_of(text.as_bytes());
    let root = cache.root();
    let build = || {
        for _ in 0..ROUNDS {
            let cache = Cache::at(root.to_path_buf());
            let path = match cache.source(&sha256, NAME).unwrap() {
                Some(path) => path,
                None => store(&cache, &text).1,
            };
            let folder = match cache.kernel(&key()).unwrap() {
                Some(folder) => folder,
                None => store_kernel(&cache, &key()),
            };
            // What was looked up stays as it is until the cache is dropped.
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            assert_eq!(std::fs::read_to_string(folder.join("image")).unwrap(), "bits");
            assert_eq!(std::fs::read_to_string(folder.join("config")).unwrap(), "CONFIG_A=y\n");
        }
    };
    let removed = std::thread::scope(|scope| {
        let builds: Vec<_> = (0..BUILDS).map(|_| scope.spawn(build)).collect();
        let mut removed = 0;
        while builds.iter().any(|build| !build.is_finished()) {
            let all = list(cache.root());
            for entry in all.iter().filter(|entry| entry.kind != Kind::Temporary) {
                removed += usize::from(remove(&cache, entry).unwrap() == Outcome::Removed);
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
fn what_a_build_uses_is_not_removed() {
    let (_folder, cache) = empty();
    let build = another(&cache);
    let (sha256, path) = store(&build, "hello");
    let folder = store_kernel(&build, &key());
    let filling = build.temporary_folder().unwrap();
    let fetching = build.temporary_file().unwrap();
    let lock = build.lock(KERNEL_LOCK, "kernel build").unwrap();
    build.folder("build/source").unwrap();
    for entry in list(cache.root()) {
        assert_eq!(remove(&cache, &entry).unwrap(), Outcome::InUse, "{entry:?}");
    }
    assert!(path.exists() && folder.exists() && filling.path().exists());
    drop((build, lock, fetching));
    // Another build that looks them up holds them as well as the one that stored them.
    let build = another(&cache);
    assert!(
        build.source(&sha256, NAME).unwrap().is_some() && build.kernel(&key()).unwrap().is_some()
    );
    for kind in [Kind::Source, Kind::Kernel] {
        assert_eq!(remove(&cache, &only(&cache, kind)).unwrap(), Outcome::InUse);
    }
    drop(build);
    for entry in list(cache.root()) {
        remove_unused(&cache, &entry);
    }
    assert_eq!(list(cache.root()), []);
    assert!(!path.parent().unwrap().exists());
}

#[test]
fn a_look_is_a_use() {
    let (_folder, cache) = empty();
    let (sha256, path) = store(&cache, "hello");
    let sums = store_kernel(&cache, &key()).join(SUMS);
    for mark in [&path, &sums] {
        std::fs::File::open(mark).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    let year = Duration::from_hours(24 * 365);
    assert!(list(cache.root()).iter().all(|entry| entry.unused > year));
    cache.source(&sha256, NAME).unwrap();
    cache.kernel(&key()).unwrap();
    for kind in [Kind::Source, Kind::Kernel] {
        assert!(only(&cache, kind).unused < year, "{kind:?}");
    }
}

#[test]
fn sweeps_what_was_abandoned_and_nothing_else() {
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
fn unfinished_files_vanish() {
    let (_folder, cache) = empty();
    let path = cache.temporary_file().unwrap().path().to_path_buf();
    assert!(!path.exists());
}
