//! Names, shortened digests, garbage and concurrent use of layouts.

use tempfile::TempDir;

use super::*;

/// An error with its source.
fn describe(error: &Error) -> String {
    let source = std::error::Error::source(error);
    source.map_or(error.to_string(), |source| format!("{error}: {source}"))
}

fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

/// Adds an artifact with one layer, about `subject`. Nothing keeps it yet.
fn add(store: &Store, content: &str, subject: Option<Descriptor>) -> Descriptor {
    let (digest, size) = store.add(content.as_bytes()).unwrap();
    store.add(document::EMPTY_JSON).unwrap();
    let layers = vec![document::descriptor(document::BYTES, digest, size).unwrap()];
    let mut manifest =
        document::artifact(document::UNKNOWN_ARTIFACT, layers, Annotations::new()).unwrap();
    manifest.set_subject(subject);
    let bytes = document::to_bytes(&manifest).unwrap();
    store.add(bytes.as_slice()).unwrap();
    document::describe(document::MANIFEST, &bytes).unwrap()
}

fn has(store: &Store, digest: &Digest) -> bool {
    store.path(digest).is_file()
}

fn keep(store: &Store, content: &str, name: Option<&str>) -> Descriptor {
    let image = add(store, content, None);
    store.keep(&image, name).unwrap();
    image
}

fn names_of(store: &Store) -> Vec<Option<String>> {
    store.entries().unwrap().iter().map(|entry| name_of(entry).map(str::to_owned)).collect()
}

/// Every file among the blobs.
fn blobs(store: &Store) -> Vec<String> {
    let files = fs::read_dir(store.folder.join(BLOBS)).unwrap();
    let mut names: Vec<_> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn digest_of(image: &Descriptor) -> Digest {
    document::digest_of(image).unwrap()
}

#[test]
fn finds_image_by_name_digest_and_shortened_digest() {
    let (_folder, store) = store();
    let one = keep(&store, "1", Some("registry.example/os:1"));
    let two = keep(&store, "2", None);
    let found = |name: &str| store.resolve(name).unwrap().map(|entry| digest_of(&entry));
    let hex = two.digest().digest().to_owned();
    for name in
        [&*hex, &hex[..12], &hex[..6], &format!("sha256:{hex}"), &format!("sha256:{hex}")[..13]]
    {
        assert_eq!(found(name), Some(digest_of(&two)), "{name}");
    }
    assert_eq!(found("registry.example/os:1"), Some(digest_of(&one)));
    for name in
        [&hex[..5], "sha256:", "", "registry.example/os", &hex.to_uppercase()[..], "0123456789ab"]
    {
        assert_eq!(found(name), None, "{name}");
    }
}

#[test]
fn rejects_ambiguous_shortened_digest() {
    let (_folder, store) = store();
    // Two descriptors are enough: their blobs are not read.
    for last in ["0", "1"] {
        let digest = format!("sha256:{}{last}", "a".repeat(63)).parse().unwrap();
        store.keep(&document::descriptor(document::MANIFEST, digest, 1).unwrap(), None).unwrap();
    }
    let error = store.resolve("aaaaaa").unwrap_err().to_string();
    assert!(error.starts_with("2 images have a digest that begins with 'aaaaaa'"), "{error}");
    assert!(store.resolve(&format!("{}1", "a".repeat(63))).unwrap().is_some());
}

#[test]
fn image_with_several_names_is_one_image() {
    let (_folder, store) = store();
    let image = keep(&store, "1", None);
    for name in ["a", "b"] {
        store.keep(&image, Some(name)).unwrap();
    }
    assert_eq!(
        digest_of(&store.resolve(&image.digest().digest()[..8]).unwrap().unwrap()),
        digest_of(&image)
    );
    assert_eq!(names_of(&store), [None, Some("a".to_owned()), Some("b".to_owned())]);
}

#[test]
fn name_moves_to_the_last_image() {
    let (_folder, store) = store();
    keep(&store, "1", Some("a"));
    let two = keep(&store, "2", Some("a"));
    assert_eq!(digest_of(&store.resolve("a").unwrap().unwrap()), digest_of(&two));
    assert_eq!(names_of(&store), [Some("a".to_owned())]);
}

#[test]
fn image_kept_twice_has_one_entry() {
    let (_folder, store) = store();
    let image = keep(&store, "1", Some("a"));
    store.keep(&image, None).unwrap();
    store.keep(&image, Some("a")).unwrap();
    assert_eq!(names_of(&store), [Some("a".to_owned())]);
}

#[test]
fn image_stays_after_its_last_name() {
    let (_folder, store) = store();
    let image = keep(&store, "1", Some("a"));
    store.keep(&image, Some("b")).unwrap();
    assert!(store.untag("a").unwrap());
    assert_eq!(names_of(&store), [Some("b".to_owned())]);
    assert!(store.untag("b").unwrap());
    assert_eq!(names_of(&store), [None]);
    assert!(!store.untag("b").unwrap());
    assert!(has(&store, &digest_of(&image)));
}

#[test]
fn forgotten_image_has_no_name() {
    let (_folder, store) = store();
    let image = keep(&store, "1", Some("a"));
    store.keep(&image, Some("b")).unwrap();
    keep(&store, "2", Some("c"));
    store.forget(&digest_of(&image)).unwrap();
    assert_eq!(names_of(&store), [Some("c".to_owned())]);
}

#[test]
fn finds_referrers_among_other_entries() {
    let (_folder, store) = store();
    let image = keep(&store, "1", Some("a"));
    let about = add(&store, "2", Some(image.clone()));
    store.keep(&about, None).unwrap();
    keep(&store, "3", Some("b"));
    // Other programs add such entries: one that is not a manifest, one without a blob.
    store.keep(&document::describe("text/plain", b"x").unwrap(), Some("c")).unwrap();
    store.keep(&document::describe(document::MANIFEST, b"gone").unwrap(), Some("d")).unwrap();
    let found = store.referrers(&digest_of(&image)).unwrap();
    assert_eq!(found.iter().map(digest_of).collect::<Vec<_>>(), [digest_of(&about)]);
    assert!(store.referrers(&digest_of(&about)).unwrap().is_empty());
}

#[test]
fn collects_what_is_not_reachable() {
    let (folder, store) = store();
    let image = keep(&store, "1", Some("a"));
    let (bare, _) = store.add(b"an entry of its own".as_slice()).unwrap();
    store.keep(&document::descriptor("text/plain", bare, 19).unwrap(), Some("b")).unwrap();
    let nested = add(&store, "2", None);
    let index = document::index_of(vec![nested.clone()], Annotations::new());
    let bytes = document::to_bytes(&index).unwrap();
    store.add(bytes.as_slice()).unwrap();
    store.keep(&document::describe(document::INDEX, &bytes).unwrap(), None).unwrap();
    let kept = blobs(&store);
    add(&store, "3", None);
    fs::write(store.blobs().join(partial::file_name(&digest_of(&image))), b"half").unwrap();
    drop(store.unfinished().unwrap().keep().unwrap());
    fs::write(folder.path().join(BLOBS).join("readme"), b"not ours").unwrap();

    let freed = store.collect().unwrap();

    let store = Store::open(folder.path()).unwrap();
    // A layer, its manifest, and two files that were never finished.
    assert_eq!(freed.blobs, 4);
    assert_eq!(blobs(&store), [kept, vec!["readme".to_owned()]].concat());
    assert_eq!(store.collect().unwrap(), Freed::default());
}

#[test]
fn keeps_shared_blobs_of_forgotten_images() {
    let (folder, store) = store();
    let one = keep(&store, "1", Some("a"));
    let other = keep(&store, "2", Some("b"));
    store.forget(&digest_of(&one)).unwrap();
    assert_eq!(store.collect().unwrap().blobs, 2);
    let store = Store::open(folder.path()).unwrap();
    assert!(has(&store, &digest_of(&other)) && has(&store, &Digest::of(document::EMPTY_JSON)));
    assert!(!has(&store, &digest_of(&one)));
}

#[test]
fn collects_nothing_while_the_store_is_in_use() {
    let (folder, store) = store();
    let image = add(&store, "1", None);
    let error = describe(&Store::open(folder.path()).unwrap().collect().unwrap_err());
    assert!(error.contains("is in use by another process"), "{error}");
    assert!(has(&store, &digest_of(&image)));
}

#[test]
fn collects_nothing_if_a_manifest_is_damaged() {
    for (length, fault) in [(2, "it has 2 bytes, expected 4"), (438, "its digest is sha256:")] {
        let (folder, store) = store();
        let image = keep(&store, "1", Some("a"));
        assert_eq!(image.size(), 438);
        fs::write(store.path(&digest_of(&image)), vec![b'{'; length]).unwrap();
        let before = blobs(&store);
        let error = describe(&store.collect().unwrap_err());
        assert!(error.contains(&format!("is damaged: {fault}")), "{error}");
        assert_eq!(blobs(&Store::open(folder.path()).unwrap()), before);
    }
}

#[test]
fn several_threads_may_create_and_write_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/store");
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let path = &path;
            scope.spawn(move || {
                let store = Store::open(path).unwrap();
                for number in 0..4 {
                    let text = format!("{writer}-{number}");
                    keep(&store, &text, Some(&text));
                }
            });
        }
    });
    let store = Store::open_existing(&path).unwrap();
    assert_eq!(names_of(&store).len(), 32);
    assert!(names_of(&store).contains(&Some("7-3".to_owned())));
    assert_eq!(store.collect().unwrap(), Freed::default());
}

#[test]
fn rejects_other_directories_and_leaves_them_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(INDEX), "{}").unwrap();
    let error = describe(&Store::open(folder.path()).unwrap_err());
    assert!(error.contains("is not an OCI image layout"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    Store::open_existing(folder.path()).unwrap_err();
}

#[test]
fn interrupted_blob_leaves_nothing() {
    struct Breaks(usize);
    impl Read for Breaks {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or_else(|| io::Error::other("cut"))?;
            into.fill(1);
            Ok(into.len())
        }
    }
    let (_folder, store) = store();
    let error = describe(&store.add(Breaks(3)).unwrap_err());
    assert_eq!(error, format!("copying to {}: cut", store.folder.display()));
    assert!(blobs(&store).is_empty());
    let (digest, size) = store.add(b"abc".as_slice()).unwrap();
    assert_eq!((digest, size), (Digest::of(b"abc"), 3));
    assert_eq!(fs::read(store.path(&digest)).unwrap(), b"abc");
}

#[test]
fn opens_only_regular_files_of_the_right_size() {
    let (folder, store) = store();
    let secret = folder.path().join("secret");
    fs::write(&secret, "abc").unwrap();
    let digest = Digest::of(b"abc");
    let path = store.path(&digest);
    let blob = |size| document::descriptor(document::BYTES, digest, size).unwrap();
    std::os::unix::fs::symlink(&secret, &path).unwrap();
    let error = describe(&store.open_blob(&blob(3)).unwrap_err());
    assert!(error.starts_with(&format!("opening {}: ", path.display())), "{error}");
    fs::remove_file(&path).unwrap();
    for (content, size, fault) in [
        ("", 3, "it has 0 bytes, expected 3"),
        ("abc", 4, "it has 3 bytes, expected 4"),
        ("abd", 3, "its digest is sha256:"),
    ] {
        fs::write(&path, content).unwrap();
        let error = describe(&store.open_verified(&blob(size)).unwrap_err());
        assert!(error.contains(fault), "{error}");
        let error = store.copy_blob(&blob(size), folder.path()).unwrap_err();
        assert!(describe(&error).contains(fault), "{error}");
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let error = describe(&store.open_blob(&blob(3)).unwrap_err());
    assert!(error.contains("is damaged: it has "), "{error}");
}
