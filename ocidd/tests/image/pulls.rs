//! Pulls that go wrong, and images that mean harm: nothing is written but what was asked for, and nothing that is not what it should be.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use crate::{
    fake::{Answer, Fake, Fault},
    noise::noise,
    ours::Author,
};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const SIZE: usize = 300_000;

fn content() -> Vec<u8> {
    noise(4, SIZE)
}

/// A registry with an artifact whose layers have these titles, all of the same content.
fn registry(titles: &[&str]) -> Fake {
    let fake = Fake::new();
    fake.store(|store| {
        let digest = store.add_blob(&content());
        let layers: Vec<_> = titles
            .iter()
            .map(|title| {
                serde_json::json!({
                    "mediaType": "application/octet-stream",
                    "digest": digest,
                    "size": SIZE,
                    "annotations": { "org.opencontainers.image.title": title },
                })
            })
            .collect();
        let config = serde_json::json!({
            "mediaType": "application/vnd.oci.empty.v1+json",
            "digest": store.add_blob(b"{}"),
            "size": 2,
        });
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": "application/vnd.unknown.artifact.v1",
            "config": config,
            "layers": layers,
        });
        store.add_manifest("1", MANIFEST, &manifest.to_string());
    });
    fake
}

fn pull(author: &Author, fake: &Fake) -> crate::ours::Ended {
    author.run(&["pull", &fake.reference("1"), "-o", "out"])
}

/// Every file below a folder, hidden ones too.
fn files(author: &Author, folder: &str) -> Vec<String> {
    let mut left = vec![PathBuf::from(folder)];
    let mut found = Vec::new();
    while let Some(path) = left.pop() {
        for entry in fs::read_dir(author.path(path.to_str().unwrap())).into_iter().flatten() {
            let below = path.join(entry.unwrap().file_name());
            found.push(below.to_str().unwrap().to_owned());
            left.push(below);
        }
    }
    found.sort();
    found
}

/// The name of what is on its way to `out/a`.
fn partial() -> String {
    let digest = oci::digest::Digest::of(&content()).to_string();
    format!("out/.unfinished-{}", &digest["sha256:".len()..])
}

#[test]
fn files_lie_under_their_titles() {
    let fake = registry(&["a", "b/c d", "..e"]);
    let author = Author::new();
    let told = author.ok(&["pull", &fake.reference("1"), "-o", "out"]);
    assert_eq!(told, "out/a\nout/b/c d\nout/..e\n");
    assert_eq!(files(&author, "out"), ["out/..e", "out/a", "out/b", "out/b/c d"]);
    assert!(author.read("out/b/c d") == content());
}

#[test]
fn a_blob_with_another_digest_is_no_file() {
    let fake = registry(&["a"]);
    fake.set_faults(|request| {
        Fault::Spoil(|answer| answer.body[77] ^= 1).when(request.is("GET blobs/"))
    });
    let author = Author::new();
    let ended = pull(&author, &fake);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("; the file was removed"), "{}", ended.stderr);
    assert_eq!(files(&author, "out"), [] as [&str; 0]);
}

#[test]
fn a_manifest_with_another_digest_is_refused() {
    let author = Author::new();
    for by in ["1", "digest"] {
        let fake = registry(&["a"]);
        let digest = fake.store(|store| {
            let text = String::from_utf8(store.manifests["1"].1.clone()).unwrap();
            let digest = store.add_manifest("1", MANIFEST, &text);
            // Still one, under the digest of another.
            store.manifests.get_mut(&digest).unwrap().1.push(b'\n');
            digest
        });
        let mut reference = fake.reference("1");
        if by == "digest" {
            reference = format!("{}/os@{digest}", fake.address);
            fake.set_faults(|_| Fault::Spoil(|answer| answer.headers.truncate(0)));
        } else {
            fake.set_faults(|request| {
                Fault::Spoil(|answer| answer.body.push(b'\n')).when(request.is("GET manifests/"))
            });
        }
        author.fails(&["pull", &reference], "manifest digest is sha256:");
        assert_eq!(files(&author, "."), [] as [&str; 0]);
    }
}

#[test]
fn a_pull_that_breaks_off_goes_on_at_that_byte() {
    let fake = registry(&["a"]);
    let mut is_first = true;
    fake.set_faults(move |request| {
        Fault::Spoil(|answer| answer.cut_after = Some(100_000))
            .when(request.is("GET blobs/") && std::mem::take(&mut is_first))
    });
    let author = Author::new();
    author.ok(&["pull", &fake.reference("1"), "-o", "out"]);
    assert!(author.read("out/a") == content());
    assert!(fake.take_asked().iter().any(|line| line.ends_with(" bytes=100000-")));
    assert_eq!(files(&author, "out"), ["out/a"]);
}

#[test]
fn a_later_pull_goes_on_with_what_an_earlier_one_has_left() {
    for (rule, left, range) in [
        ("a part", content()[..100_000].to_vec(), Some("bytes=100000-")),
        ("nothing", Vec::new(), None),
        ("other bytes, and too many", vec![0; SIZE + 1], None),
        ("as many other bytes", vec![0; SIZE], None),
    ] {
        let fake = registry(&["a"]);
        let author = Author::new();
        author.write(&partial(), left);
        let ended = pull(&author, &fake);
        assert_eq!(ended.code, 0, "{rule}: {}", ended.stderr);
        assert!(author.read("out/a") == content(), "{rule}");
        assert_eq!(files(&author, "out"), ["out/a"], "{rule}");
        let asked = fake.take_asked();
        let blob = asked.iter().find(|line| line.starts_with("GET blobs/")).unwrap();
        assert_eq!(blob.split("GET blobs/").nth(1).unwrap().split_once(' ').map(|p| p.1), range);
    }
}

#[test]
fn what_came_whole_before_is_not_fetched_again() {
    let fake = registry(&["a"]);
    let author = Author::new();
    author.write(&partial(), content());
    author.ok(&["pull", &fake.reference("1"), "-o", "out"]);
    author.ok(&["pull", &fake.reference("1"), "-o", "out"]);
    assert!(!fake.take_asked().iter().any(|line| line.starts_with("GET blobs/")));
    assert_eq!(files(&author, "out"), ["out/a"]);
}

#[test]
fn a_wrong_start_is_found_out_in_the_end_and_not_kept() {
    let fake = registry(&["a"]);
    let author = Author::new();
    author.write(&partial(), vec![0; 1000]);
    let ended = pull(&author, &fake);
    assert!(ended.code == 1 && ended.stderr.contains("the file was removed"), "{}", ended.stderr);
    assert_eq!(pull(&author, &fake).code, 0);
}

#[test]
fn a_pull_that_gives_up_keeps_what_it_has() {
    let fake = registry(&["a"]);
    fake.set_faults(|request| {
        Fault::Spoil(|answer| answer.cut_after = Some(100_000)).when(request.is("GET blobs/"))
    });
    let author = Author::with(&["--plain-http", "--retries", "0"]);
    let ended = pull(&author, &fake);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert_eq!(files(&author, "out"), [partial()]);
    assert!(author.read(&partial()) == content()[..100_000]);
    // What a registry has begun, a layout can end.
    fake.set_faults(|_| Fault::None);
    author.ok(&["copy", &fake.reference("1"), "oci:layout:1"]);
    author.ok(&["pull", "oci:layout:1", "-o", "out"]);
    assert!(author.read("out/a") == content());
    assert_eq!(files(&author, "out"), ["out/a"]);
}

#[test]
fn two_pulls_at_once_both_give_the_whole_file() {
    let fake = registry(&["a"]);
    let mut has_begun = false;
    // The first breaks off and waits while the second fetches all.
    fake.set_faults(move |request| {
        Fault::Spoil(|answer| answer.cut_after = Some(100_000))
            .when(request.is("GET blobs/") && !std::mem::replace(&mut has_begun, true))
    });
    let author = Author::new();
    std::thread::scope(|scope| {
        for output in ["out", "out", "out"] {
            let (author, reference) = (&author, fake.reference("1"));
            scope.spawn(move || author.ok(&["pull", &reference, "-o", output]));
        }
        for _ in 0..3 {
            let (author, reference) = (&author, fake.reference("1"));
            scope.spawn(move || author.ok(&["copy", &reference, "oci:layout:1"]));
        }
    });
    assert!(author.read("out/a") == content());
    author.ok(&["pull", "oci:layout:1", "-o", "other"]);
    assert!(author.read("other/a") == content());
    assert_eq!(files(&author, "out"), ["out/a"]);
}

#[test]
fn what_lies_where_a_file_is_on_its_way_is_not_written_to() {
    let fake = registry(&["a"]);
    let author = Author::new();
    author.write("mine", "my own");
    author.write("out/b", "");
    symlink(author.path("mine"), author.path(&partial())).unwrap();
    assert_eq!(pull(&author, &fake).code, 0);
    assert_eq!(author.read("mine"), b"my own");
    assert!(author.read("out/a") == content());
}

#[test]
fn a_registry_that_refuses_ranges_sends_the_whole_again() {
    let fake = registry(&["a"]);
    fake.set_faults(|request| {
        Fault::Answer(Answer::error(416, "RANGE_INVALID"))
            .when(request.is("GET blobs/") && request.header("range").is_some())
    });
    let author = Author::new();
    author.write(&partial(), &content()[..5]);
    assert_eq!(pull(&author, &fake).code, 0);
    assert!(author.read("out/a") == content());
}

#[test]
fn a_damaged_blob_of_a_layout_is_no_file() {
    let fake = registry(&["a"]);
    let author = Author::new();
    author.ok(&["copy", &fake.reference("1"), "oci:layout:1"]);
    let digest = oci::digest::Digest::of(&content()).to_string();
    let mut damaged = content();
    damaged[7] ^= 1;
    for (content, fault) in [
        (b"damaged".to_vec(), "is damaged: it has 7 bytes, expected 300000"),
        (damaged, "is damaged: its digest is sha256:"),
    ] {
        author.write(&format!("layout/blobs/{}", digest.replace(':', "/")), content);
        author.fails(&["pull", "oci:layout:1", "-o", "out"], fault);
        assert_eq!(files(&author, "out"), [] as [&str; 0]);
        author.fails(&["copy", "oci:layout:1", "oci:other:1"], fault);
    }
    author.ok(&["copy", &fake.reference("1"), "oci:other:1"]);
    crate::schema::assert_layout(&author.path("other"));
}

#[test]
fn a_title_that_leads_elsewhere_is_refused_before_anything_is_written() {
    let hostile: [&[&str]; 8] = [
        &["a", "../b"],
        &["a", "/tmp/ocidd-test"],
        &["a", "b/../../c"],
        &["a", "./b"],
        &["a", "b/"],
        &["a", ".."],
        &["a", "b\\c"],
        &["a", "b\u{0}"],
    ];
    let author = Author::new();
    for titles in hostile {
        let fake = registry(titles);
        let says = "of a layer is not a file name below the directory";
        author.fails(&["pull", &fake.reference("1"), "-o", "out"], says);
        assert_eq!(files(&author, "."), [] as [&str; 0], "{titles:?}");
    }
    for titles in [&["a", "a"][..], &["a/b", "a//b"]] {
        let fake = registry(titles);
        author.fails(&["pull", &fake.reference("1"), "-o", "out"], "two layers have the name 'a");
        assert_eq!(files(&author, "."), [] as [&str; 0], "{titles:?}");
    }
    let fake = registry(&[""]);
    author.fails(&["pull", &fake.reference("1")], "has no layer with a title");
}

#[test]
fn a_link_to_another_folder_is_not_followed() {
    let fake = registry(&["b/a"]);
    let author = Author::new();
    fs::create_dir_all(author.path("out")).unwrap();
    fs::create_dir_all(author.path("elsewhere")).unwrap();
    symlink(author.path("elsewhere"), author.path("out/b")).unwrap();
    author.fails(&["pull", &fake.reference("1"), "-o", "out", "--force"], "/b' is not a directory");
    assert_eq!(files(&author, "elsewhere"), [] as [&str; 0]);
}

#[test]
fn a_link_in_place_of_a_file_is_replaced_and_not_written_through() {
    let fake = registry(&["a"]);
    let author = Author::new();
    author.write("mine", "mine");
    author.write("out/x", "");
    symlink(author.path("mine"), author.path("out/a")).unwrap();
    let reference = fake.reference("1");
    author.fails(&["pull", &reference, "-o", "out"], "exists and differs\nocidd: hint: --force");
    author.ok(&["pull", &reference, "-o", "out", "--force"]);
    assert_eq!(author.read("mine"), b"mine");
    assert!(author.read("out/a") == content());
    assert!(author.path("out/a").symlink_metadata().unwrap().is_file());
}

#[test]
fn a_file_of_ones_own_is_kept_unless_told_otherwise() {
    let fake = registry(&["a"]);
    let author = Author::new();
    author.write("out/a", "mine");
    let reference = fake.reference("1");
    author.fails(&["pull", &reference, "-o", "out"], "exists and differs\nocidd: hint: --force");
    assert_eq!(author.read("out/a"), b"mine");
    author.ok(&["pull", &reference, "-o", "out", "--force"]);
    assert!(author.read("out/a") == content());
}

#[test]
fn an_index_that_names_its_parts_again_and_again_is_copied_once() {
    let fake = registry(&["a"]);
    fake.store(|store| {
        let (mut media_type, mut text) =
            (MANIFEST, String::from_utf8(store.manifests["1"].1.clone()).unwrap());
        // Without a list of what is known, this takes 20 to the power of 8 requests.
        for _ in 0..8 {
            let digest = store.add_manifest("1", media_type, &text);
            let part = serde_json::json!({
                "mediaType": media_type, "digest": digest, "size": text.len(),
            });
            media_type = "application/vnd.oci.image.index.v1+json";
            let parts = vec![part; 20];
            let index = serde_json::json!({
                "schemaVersion": 2, "mediaType": media_type, "manifests": parts,
            });
            text = index.to_string();
        }
        store.add_manifest("1", media_type, &text);
    });
    let author = Author::new();
    let timeout = std::path::Path::new("timeout");
    let (program, reference) = (env!("CARGO_BIN_EXE_ocidd"), fake.reference("1"));
    let copy = ["20", program, "image", "--plain-http", "copy", &reference, "oci:layout:1"];
    for option in [&[][..], &["--referrers"]] {
        assert_eq!(author.run_other(timeout, &[&copy, option].concat()).code, 0, "{option:?}");
    }
}

#[test]
fn no_garbage_is_collected_while_a_blob_is_copied_between_registries() {
    let (from, to) = (registry(&["a"]), Fake::new());
    let author = std::sync::Arc::new(Author::new());
    let other = std::sync::Arc::clone(&author);
    from.set_faults(move |request| {
        if request.is("GET blobs/") {
            other.fails(&["gc"], "");
        }
        Fault::None
    });
    author.ok(&["copy", &from.reference("1"), &to.reference("1")]);
}
