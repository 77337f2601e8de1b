//! Publications in a layout that stands in for a registry, and in a real one.

use oci::{document, layout::Store};
use registry::{
    auth::Access, copy, copy::CopyScope, http::Tls, location::Location, session, session::Session,
};

use super::*;
use crate::{
    host::cmd,
    publish::{Connection, ReleaseInfo, layout},
    testbed::registry::{Registry, Serve},
    verify::publication::Publication,
};

/// Everything that `publish` writes, in a layout that stands in for a registry.
fn layout() -> (TempDir, Publication) {
    let (out, folder) = (built(), directory());
    let release = Release::read(out.path(), PROFILE, &ARCHS).unwrap();
    let info = ReleaseInfo { version: "1.0", source: None };
    layout::write(&Store::open(folder.path()).unwrap(), &release, &info).unwrap();
    let publication = publication_in(folder.path());
    (folder, publication)
}

fn publication_in(folder: &Path) -> Publication {
    Publication {
        session: Connection::default().session(),
        repository: format!("oci:{}", folder.display()),
        version: "1.0".to_owned(),
        source: None,
    }
}

fn copy_of(layout: &TempDir) -> TempDir {
    let folder = directory();
    for entry in walkdir::WalkDir::new(layout.path()).into_iter().map(Result::unwrap) {
        let to = folder.path().join(entry.path().strip_prefix(layout.path()).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(to).unwrap();
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
    folder
}

#[test]
fn accepts_a_rebuilt_publication_and_prints_its_digests() {
    let (folder, publication) = layout();
    let text = compared(&publication).unwrap();
    let store = Store::open_existing(folder.path()).unwrap();
    for tag in ["1.0", "1.0-arm64", "1.0-ironcore", "1.0-image-amd64"] {
        let digest = store.resolve(tag).unwrap().unwrap().digest().to_string();
        let end = format!("{digest}  oci:{}:{tag}", folder.path().display());
        assert!(text.lines().any(|line| line == end), "{end}: {text}");
    }
    assert!(!text.contains("not verified"), "{text}");
}

/// Replaces the document with this tag, or one that is attached to it. A careful attacker attaches
/// documents to the new one too.
fn replace(store: &Store, tag: &str, attached: Option<usize>, edit: &dyn Fn(&mut Value)) {
    let tagged = store.resolve(tag).unwrap().unwrap();
    let referrers = store.referrers(&document::digest_of(&tagged).unwrap()).unwrap();
    let add = |old: &document::Descriptor, tag: Option<&str>, edit: &dyn Fn(&mut Value)| {
        let mut document = serde_json::from_slice(&store.read(old).unwrap()).unwrap();
        edit(&mut document);
        let bytes = document.to_string().into_bytes();
        store.add(bytes.as_slice()).unwrap();
        let new = document::describe(old.media_type().as_ref(), &bytes).unwrap();
        store.keep(&new, tag).unwrap();
        new
    };
    if let Some(index) = attached {
        store.forget(&document::digest_of(&referrers[index]).unwrap()).unwrap();
        add(&referrers[index], None, edit);
        return;
    }
    let new = serde_json::to_value(add(&tagged, Some(tag), edit)).unwrap();
    for referrer in referrers {
        add(&referrer, None, &|document| document["subject"] = new.clone());
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn reports_every_manipulation_of_a_publication() {
    let (honest, _) = layout();
    let digest = format!("sha256:{}", output::digest_of(b"evil"));
    let (title, version) = ("org.opencontainers.image.title", "org.opencontainers.image.version");
    let entry = |arch: &str, platform: &str| {
        json!({
            "mediaType": document::MANIFEST, "digest": digest, "size": 4,
            "platform": { "architecture": arch, "os": platform },
        })
    };
    let layer = json!({ "mediaType": "a/b", "digest": digest, "size": 4 });
    let mut evil = layer.clone();
    evil["annotations"] = json!({ title: "vmlinuz" });
    let to = |name: &str| format!("/annotations/{}", name.replace('/', "~1"));
    for (tag, index, pointer, value, fact) in [
        ("1.0", None, "/manifests/0", entry("amd64", "linux"), "manifests[0]"),
        ("1.0", None, "/manifests/-", entry("amd64", "linux"), "entries for amd64, arm64, amd64;"),
        ("1.0", None, "/manifests/-", entry("a\u{1b}[2J", "x"), "amd64, arm64, a\\u{1b}[2J; "),
        ("1.0", None, "/manifests/1", Value::Null, "entries for amd64; expected amd64, arm64"),
        ("1.0", None, "/manifests/0/platform/os.version", json!("x"), "os.version"),
        ("1.0", None, "/manifests/0/annotations/x", json!("y"), "manifests[0].annotations.x"),
        ("1.0", None, "/manifests/0/artifactType", json!("a/b"), "manifests[0].artifactType"),
        ("1.0", None, "/manifests/1/size", json!(1), "manifests[1].size"),
        (
            "1.0",
            None,
            "/annotations",
            Value::Null,
            "netboot.version is \"1\", published was missing",
        ),
        ("1.0", None, "/artifactType", json!("a/b"), "artifactType is missing"),
        ("1.0-amd64", None, &to(version), json!("1.1"), "annotations.org.opencontainers.image"),
        ("1.0-amd64", None, &to("x"), json!("\u{9b}2J"), "annotations.x is missing"),
        ("1.0-amd64", None, "/layers/-", layer.clone(), "layers[2].digest is missing"),
        ("1.0-amd64", None, "/layers/1", Value::Null, "layers[1]"),
        ("1.0-amd64", None, "/layers/0", evil.clone(), "1.0-amd64 is"),
        ("1.0-amd64", None, "/layers/0/annotations", json!({ title: "x" }), "layers[0].annot"),
        ("1.0-arm64", None, "/artifactType", json!("a/b"), "1.0-arm64"),
        ("1.0-arm64", None, "/config/digest", json!(digest), "1.0-arm64"),
        ("1.0-arm64", None, "/mediaType", json!(document::INDEX), "blobs/sha256/"),
        ("1.0-ironcore", None, "/manifests/0/digest", json!(digest), "1.0-ironcore is"),
        ("1.0-ironcore", None, "/manifests/-", entry("riscv64", "linux"), "manifests[2]"),
        ("1.0-ironcore-amd64", None, "/layers/1/digest", json!(digest), "1.0-ironcore-amd64 is"),
        ("1.0-ironcore-arm64", None, "/config", layer.clone(), "config.digest is"),
        ("1.0-ironcore-arm64", None, "/layers/0/mediaType", json!("a/b"), "layers[0].mediaType"),
        ("1.0-image", None, "/manifests/1", Value::Null, "1.0-image is"),
        ("1.0-image-amd64", None, "/config", layer.clone(), "1.0-image-amd64"),
        ("1.0-image-arm64", None, "/layers/-", layer.clone(), "1.0-image-arm64"),
        ("1.0", Some(0), "/layers/0", evil.clone(), "of type text/plain"),
        ("1.0-amd64", Some(1), "/layers/0", evil.clone(), "of type application/spdx"),
        ("1.0-amd64", Some(1), &to("x"), json!("y"), "of type application/spdx+json"),
        ("1.0-amd64", Some(1), "/artifactType", json!("a/b"), "sbom-amd64.spdx.json"),
        ("1.0-amd64", Some(1), "/subject", Value::Null, "sbom-amd64.spdx.json"),
        ("1.0-amd64", Some(2), "/layers/-", layer.clone(), "vnd.in-toto+json"),
        ("1.0-amd64", Some(0), "/layers/-", layer.clone(), "1.0-amd64' has no build manifest"),
        ("1.0-arm64", Some(0), &to("x"), json!("y"), "vnd.ocidd.build-manifest"),
    ] {
        let folder = copy_of(&honest);
        let publication = publication_in(folder.path());
        let store = Store::open_existing(folder.path()).unwrap();
        store.add(b"evil".as_slice()).unwrap();
        replace(&store, tag, index, &|document| change(document, pointer, value.clone()));
        let error = compared(&publication).expect_err(&format!("{tag} {index:?} {pointer}"));
        assert!(error.contains(fact), "{tag} {pointer}: {error}");
        assert!(!error.contains(|c: char| c.is_control() && c != '\n'), "{error}");
    }
}

#[test]
fn reports_other_bytes_documents_and_tags_of_a_publication() {
    type Manipulate<'a> = &'a dyn Fn(&Store);
    let (honest, _) = layout();
    let resolve = |store: &Store, tag: &str| store.resolve(tag).unwrap().unwrap();
    let blob = |store: &Store, text: &str| {
        store.path(&format!("sha256:{}", output::digest_of(text.as_bytes())).parse().unwrap())
    };
    let attach = |store: &Store, kind: &str| {
        let mut artifact =
            document::artifact(kind, Vec::new(), document::Annotations::new()).unwrap();
        artifact.set_subject(Some(resolve(store, "1.0-image-arm64")));
        let bytes = document::to_bytes(&artifact).unwrap();
        store.add(bytes.as_slice()).unwrap();
        store.keep(&document::describe(document::MANIFEST, &bytes).unwrap(), None).unwrap();
    };
    let forget = |store: &Store, tag: &str, index: usize| {
        let about = document::digest_of(&resolve(store, tag)).unwrap();
        let referrer = store.referrers(&about).unwrap().remove(index);
        store.forget(&document::digest_of(&referrer).unwrap()).unwrap();
    };
    let cases: [(&str, Manipulate<'_>); 11] = [
        ("is damaged", &|store| {
            fs::write(blob(store, "kernel of amd64"), "kernel of amd65").unwrap();
        }),
        ("opening", &|store| fs::remove_file(blob(store, "initramfs of arm64")).unwrap()),
        // The same JSON.
        ("1.0-ironcore is", &|store| {
            let old = resolve(store, "1.0-ironcore");
            let bytes = [store.read(&old).unwrap(), b"\n".to_vec()].concat();
            store.add(bytes.as_slice()).unwrap();
            let new = document::describe(document::INDEX, &bytes).unwrap();
            store.keep(&new, Some("1.0-ironcore")).unwrap();
        }),
        ("'1.0-image-arm64' has a document that is not of the rebuilt set: sha256:", &|store| {
            attach(store, "application/spdx+json");
        }),
        ("'1.0-image-arm64' has a document that is not of the rebuilt set: sha256:", &|store| {
            attach(store, "text/plain");
        }),
        ("'1.0-amd64' has no sbom-amd64.spdx.json", &|store| forget(store, "1.0-amd64", 1)),
        ("'1.0-arm64' has no provenance-arm64", &|store| forget(store, "1.0-arm64", 2)),
        ("'1.0' has no SHA256SUMS", &|store| forget(store, "1.0", 0)),
        ("1.0-ironcore-arm64", &|store| assert!(store.untag("1.0-ironcore-arm64").unwrap())),
        ("1.0-image-arm64 is", &|store| {
            store.keep(&resolve(store, "1.0-image-amd64"), Some("1.0-image-arm64")).unwrap();
        }),
        ("1.0' is not an image index", &|store| {
            store.keep(&resolve(store, "1.0-amd64"), Some("1.0")).unwrap();
        }),
    ];
    for (fact, manipulate) in cases {
        let folder = copy_of(&honest);
        manipulate(&Store::open_existing(folder.path()).unwrap());
        let error = compared(&publication_in(folder.path())).expect_err(fact);
        assert!(error.contains(fact), "{fact}: {error}");
    }
    // Signatures, for example, are not part of a publication.
    attach(&Store::open_existing(honest.path()).unwrap(), "a/signature\u{9b}2J");
    let text = compared(&publication_in(honest.path())).unwrap();
    assert!(
        text.contains("not verified: sha256:") && text.contains("a/signature\\u{9b}2J"),
        "{text}"
    );
}

#[test]
fn requires_all_architectures_and_the_source_of_a_publication() {
    let (_folder, mut publication) = layout();
    let error = compared_for(&publication, &[Arch::Arm64], Some(&settings())).unwrap_err();
    assert!(error.contains("has entries for amd64, arm64; expected arm64\nhint: "), "{error}");
    publication.source = Some("https://git.example/ocidd".to_owned());
    let error = compared(&publication).unwrap_err();
    assert!(error.contains("image.source is \"https://git.example/ocidd\", published was missing"));
}

#[test]
fn the_tag_of_a_publication_has_the_suffix_of_its_profile() {
    let open = |reference: &str, profile| {
        Publication::open(reference, profile, Connection::default().session(), None)
    };
    let publication = open("r.example/ocidd:1.0-hw", Profile::Hw).unwrap();
    assert_eq!(
        (publication.repository.as_str(), publication.version.as_str()),
        ("r.example/ocidd", "1.0")
    );
    let error = report::lines(&open("r.example/ocidd:1.0", Profile::Hw).unwrap_err());
    assert!(error.contains("'1.0' is not a tag of profile hw\nhint: use a tag that ends in -hw"));
    open("r.example/ocidd", Profile::Default).unwrap_err();
}

/// `cargo xtask setup` installs the registry server.
#[test]
fn compares_with_a_registry() {
    let has = |name: &str| cmd::find(name).is_some();
    if !(has("docker-registry") || has("registry")) {
        return;
    }
    let registry = Registry::start(Serve::Plain).unwrap();
    let (folder, _) = layout();
    let repository = format!("{}/ocidd", registry.local());
    let session = || {
        let settings = session::Settings { tls: Tls::Plain, ..session::Settings::default() };
        Session::new(settings, Box::new(report::Console))
    };
    let push = |from: &str, to: &str| {
        let mut from = Location::in_store(Store::open_existing(folder.path()).unwrap(), from);
        let (session, to) = (session(), format!("{repository}:{to}"));
        let mut to = Location::open(&session, &to, Access::Push).unwrap();
        copy::copy(&mut from, &mut to, CopyScope::WithReferrers).unwrap();
    };
    let store = Store::open_existing(folder.path()).unwrap();
    for name in store.entries().unwrap().iter().filter_map(|entry| oci::layout::name_of(entry)) {
        push(name, name);
    }
    let reference = format!("{repository}:1.0");
    let publication = Publication::open(&reference, PROFILE, session(), None).unwrap();
    let text = compared(&publication).unwrap();
    let digest = store.resolve("1.0").unwrap().unwrap().digest().to_string();
    assert!(text.contains(&format!("{digest}  {reference}")), "{text}");
    push("1.0-image-amd64", "1.0-image-arm64");
    let error = compared(&publication).unwrap_err();
    assert!(error.contains("1.0-image-arm64 is "), "{error}");
}
