//! Published sets, honest and with one manipulation each, compared with a stand-in for a build.

use std::{
    cell::Cell,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
};

use oci::{document, layout::Store};
use registry::{
    auth::Access, copy, copy::CopyScope, http::Tls, location::Location, session, session::Session,
};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::{
    describe::example,
    host::{cmd, output::SUMS},
    publish::{Connection, ReleaseInfo, layout},
    testbed::registry::{Registry, Serve},
    verify::{files::Files, publication::Publication},
};

const ARCHS: [Arch; 2] = Arch::ALL;
const PROFILE: Profile = Profile::Default;

/// A directory in memory if possible: writing a layout to a disk takes half a second.
fn directory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Writes the files of a build, like `cargo xtask build`.
fn build(arch: Arch, out: &Path) {
    let name = arch.oci();
    let mut manifest = example::value();
    manifest["arch"] = json!(name);
    manifest["kernel"]["profile"] = json!("default");
    manifest["outputs"] = json!({});
    manifest["tools"]["libc"]["sha256"] = Value::Null;
    for (file, text) in [
        (format!("vmlinuz-{name}"), format!("kernel of {name}")),
        (format!("initramfs-{name}.gz"), format!("initramfs of {name}")),
    ] {
        let sha256 = output::digest_of(text.as_bytes());
        manifest["outputs"][&file] = json!({ "bytes": text.len(), "sha256": sha256 });
        fs::write(out.join(file), text).unwrap();
    }
    let [file, sbom, provenance] = describe::file_names(arch, PROFILE);
    fs::write(out.join(file), manifest.to_string()).unwrap();
    fs::write(out.join(sbom), json!({ "packages": [name] }).to_string()).unwrap();
    fs::write(out.join(provenance), json!({ "subject": [name] }).to_string()).unwrap();
}

/// An `out/` with the builds of all architectures.
fn built() -> TempDir {
    let out = directory();
    for arch in ARCHS {
        build(arch, out.path());
    }
    output::write_sums(out.path()).unwrap();
    out
}

/// Counts its builds.
#[derive(Default)]
struct Fake(Cell<u32>);

impl Rebuild for Fake {
    fn inputs(&self, arch: Arch, settings: &Settings) -> Result<Manifest> {
        let out = tempfile::tempdir()?;
        build(arch, out.path());
        let [name, ..] = describe::file_names(arch, PROFILE);
        let mut manifest = Manifest::parse(&fs::read_to_string(out.path().join(name))?)?;
        manifest.kernel.options.clone_from(&settings.kernel_config);
        manifest.times.kernel_build_timestamp = settings.kernel_timestamp.to_string();
        manifest.outputs.clear();
        Ok(manifest)
    }

    fn build(&self, arch: Arch, _: &Settings, out: &Path) -> Result<()> {
        self.0.set(self.0.get() + 1);
        build(arch, out);
        Ok(())
    }

    fn keep(&self, name: &str, _: &[u8], _: &[u8]) -> Result<String> {
        Ok(format!("kept {name}"))
    }
}

fn settings() -> Settings {
    published::settings(&example::value()).unwrap()
}

fn compared_for(set: &dyn Set, archs: &[Arch], own: Option<&Settings>) -> Result<String, String> {
    let out = directory();
    let request = Request { archs, profile: PROFILE, settings: own, out: out.path() };
    let outcome = compare(set, &request, &Fake::default());
    outcome.map(|lines| lines.join("\n")).map_err(|error| report::lines(&error))
}

/// The lines of the result or the error.
fn compared(set: &dyn Set) -> Result<String, String> {
    compared_for(set, &ARCHS, Some(&settings()))
}

fn files(out: &TempDir) -> Files {
    Files::open(out.path().to_str().unwrap()).unwrap()
}

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

/// Sets the value at `pointer`; appends to an array whose pointer ends in `/-`; removes for null.
fn change(document: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) if value.is_null() => drop(items.remove(key.parse().unwrap())),
        Value::Object(fields) if value.is_null() => drop(fields.remove(key)),
        Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
        parent => parent[key] = value,
    }
}

#[test]
fn accepts_a_rebuilt_directory_and_names_what_was_not_verified() {
    let out = built();
    fs::write(out.path().join("notes\u{1b}[2J"), "").unwrap();
    let text = compared(&files(&out)).unwrap();
    for fact in [
        "x86_64 was built with these values of this checkout: FS_MTIME=1970-01-01T00:00:09Z ",
        r#"KERNEL_CONFIG=["--enable", "CONFIG_NVME"]"#,
        &format!("{}  vmlinuz-arm64", output::digest_of(b"kernel of arm64")),
        "  sbom-amd64.spdx.json",
        "not verified: notes\\u{1b}[2J",
    ] {
        assert!(text.contains(fact), "{fact}: {text}");
    }
    let text = compared_for(&files(&out), &[Arch::Arm64], Some(&settings())).unwrap();
    let others = "not verified: initramfs-amd64.gz, manifest-amd64.json, notes";
    assert!(text.contains(others), "{text}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn reports_every_manipulation_of_a_directory() {
    type Manipulate<'a> = &'a dyn Fn(&Path);
    let write = |out: &Path, name: &str, text: &str| fs::write(out.join(name), text).unwrap();
    let edit = |out: &Path, name: &str, pointer: &str, value: Value| {
        let mut document = serde_json::from_slice(&fs::read(out.join(name)).unwrap()).unwrap();
        change(&mut document, pointer, value);
        write(out, name, &document.to_string());
    };
    let manifest = "manifest-amd64.json";
    let cases: [(&str, Manipulate<'_>); 26] = [
        ("vmlinuz-amd64", &|out| write(out, "vmlinuz-amd64", "kernel of amd65")),
        ("initramfs-arm64.gz", &|out| write(out, "initramfs-arm64.gz", "junk")),
        ("sbom-amd64.spdx.json is", &|out| write(out, "sbom-amd64.spdx.json", "{}")),
        ("[0] is \"amd64\", published was 7", &|out| {
            edit(out, "provenance-amd64.intoto.json", "/subject/0", json!(7));
        }),
        // The honest files under other names, next to others.
        ("'vmlinuz-x'", &|out| {
            fs::copy(out.join("vmlinuz-amd64"), out.join("vmlinuz-x")).unwrap();
            write(out, "vmlinuz-amd64", "evil");
            edit(out, manifest, "/outputs", json!({ "vmlinuz-x": {} }));
        }),
        ("'vmlinuz-x'", &|out| write(out, "vmlinuz-x", "kernel of amd64")),
        ("'initramfs-\\u{1b}.gz'", &|out| write(out, "initramfs-\u{1b}.gz", "")),
        ("'vmlinuz-riscv64'", &|out| write(out, "vmlinuz-riscv64", "")),
        ("outputs.Image-amd64 is missing, published was {}", &|out| {
            edit(out, manifest, "/outputs/Image-amd64", json!({}));
        }),
        ("kernel.options[2] is missing, published was \"-e\"", &|out| {
            edit(out, manifest, "/kernel/options/-", json!("-e"));
        }),
        ("times.fs_mtime is ", &|out| edit(out, manifest, "/times/fs_mtime", json!("x"))),
        ("times.kernel_build_timestamp", &|out| {
            let time = json!("1970-01-01T00:00:08Z");
            edit(out, manifest, "/times/kernel_build_timestamp", time);
        }),
        ("tools.rustc is \"rustc 1\", published was \"\\u001b[2J\\u{9b}\"", &|out| {
            edit(out, manifest, "/tools/rustc", json!("\u{1b}[2J\u{9b}"));
        }),
        ("tools.new is missing", &|out| edit(out, manifest, "/tools/new", json!("1"))),
        ("tools.cc is \"gcc 1\", published was missing", &|out| {
            edit(out, manifest, "/tools/cc", Value::Null);
        }),
        ("commit.id", &|out| edit(out, manifest, "/commit/id", json!("34"))),
        ("inputs.set", &|out| edit(out, manifest, "/inputs/set", json!("upstream"))),
        ("inputs.sources[0].sha256", &|out| {
            edit(out, manifest, "/inputs/sources/0/sha256", json!("cd"));
        }),
        ("inputs.files.Cargo.lock", &|out| {
            edit(out, manifest, "/inputs/files/Cargo.lock", json!("cd"));
        }),
        ("manifest-amd64.json is", &|out| {
            edit(out, manifest, "/kernel/config_sha256", json!("cd"));
        }),
        ("outputs.vmlinuz-amd64.bytes", &|out| {
            edit(out, manifest, "/outputs/vmlinuz-amd64/bytes", json!(1));
        }),
        ("schema is 1, published was 2", &|out| edit(out, manifest, "/schema", json!(2))),
        ("parsing the published manifest for x86_64", &|out| write(out, manifest, "junk")),
        ("manifest-amd64.json is", &|out| {
            let text = fs::read_to_string(out.join(manifest)).unwrap();
            write(out, manifest, &format!("{text} "));
        }),
        ("sbom-arm64.spdx.json not found", &|out| {
            fs::remove_file(out.join("sbom-arm64.spdx.json")).unwrap();
        }),
        ("vmlinuz-amd64 not found, or not a file", &|out| {
            fs::remove_file(out.join("vmlinuz-amd64")).unwrap();
            fs::create_dir(out.join("vmlinuz-amd64")).unwrap();
        }),
    ];
    for (fact, manipulate) in cases {
        let out = built();
        manipulate(out.path());
        // A careful attacker updates the list of digests.
        output::write_sums(out.path()).ok();
        let error = compared(&files(&out)).expect_err(fact);
        assert!(error.contains(fact), "{fact}: {error}");
        assert!(!error.contains(|c: char| c.is_control() && c != '\n'), "{error}");
    }
}

#[test]
fn reports_every_manipulation_of_the_list_of_digests() {
    let honest = built();
    let text = fs::read_to_string(honest.path().join(SUMS)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let digest = output::digest_of(b"evil");
    for changed in [
        text.replace(lines[0].split_once(' ').unwrap().0, &digest),
        text.replacen(lines[0], "", 1),
        lines.iter().rev().flat_map(|line| [line, "\n"]).collect(),
        format!("{}\n{text}", lines[0]),
        format!("{digest}  {}\n{text}", "initramfs-amd64.gz"),
        format!("{text}{digest}  vmlinuz-z\n"),
        text.replace("  vmlinuz", " *vmlinuz"),
        text.trim_end().to_owned(),
    ] {
        fs::write(honest.path().join(SUMS), &changed).unwrap();
        let error = compared(&files(&honest)).expect_err(&changed);
        assert!(error.contains(SUMS) || error.contains("vmlinuz-z"), "{error}");
    }
}

#[test]
fn builds_only_if_the_published_inputs_are_those_of_the_checkout() {
    for (pointer, value, builds) in [
        ("/tools/rustc", json!("rustc 2"), 0),
        ("/kernel/options/-", json!("-e"), 0),
        ("/inputs/programs", json!({ "init": "cd" }), 2),
    ] {
        let out = built();
        let path = out.path().join("manifest-arm64.json");
        let mut manifest = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut manifest, pointer, value);
        fs::write(path, manifest.to_string()).unwrap();
        output::write_sums(out.path()).unwrap();
        let (rebuild, settings, scratch) = (Fake::default(), Some(&settings()), directory());
        let request = Request { archs: &ARCHS, profile: PROFILE, settings, out: scratch.path() };
        compare(&files(&out), &request, &rebuild).unwrap_err();
        assert_eq!(rebuild.0.get(), builds, "{pointer}");
    }
}

#[test]
fn uses_published_options_only_if_asked_and_shows_them() {
    let own = Settings { kernel_config: Vec::new(), ..settings() };
    let out = built();
    let error = compared_for(&files(&out), &ARCHS, Some(&own)).unwrap_err();
    assert!(error.contains("kernel.options[0]"), "{error}");
    assert!(error.contains("\nhint: ") && error.contains("--with-published-options"), "{error}");
    let text = compared_for(&files(&out), &ARCHS, None).unwrap();
    let fact =
        "arm64 was built with these values of the published set: FS_MTIME=1970-01-01T00:00:09Z ";
    assert!(text.contains(fact) && text.contains("\"CONFIG_NVME\"]"), "{text}");
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
        ("1.0-arm64", None, "/mediaType", json!(document::INDEX), "1.0-arm64"),
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

#[test]
fn fetches_files_from_a_url() {
    let out = built();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/sets/", listener.local_addr().unwrap());
    let root = out.path().to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let asked = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let name = asked.split(' ').nth(1).unwrap().strip_prefix("/sets/").unwrap().to_owned();
            let body = fs::read(root.join(name));
            let (status, body) = body.map_or((404, Vec::new()), |body| (200, body));
            let length = body.len();
            let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n");
            let head = format!("{head}connection: close\r\n\r\n");
            stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        }
    });
    compared(&Files::open(&url).unwrap()).unwrap();
    fs::write(out.path().join("vmlinuz-amd64"), "kernel of amd65").unwrap();
    let error = compared(&Files::open(&url).unwrap()).unwrap_err();
    assert!(error.contains("SHA256SUMS differs from the files of the set"));
    output::write_sums(out.path()).unwrap();
    let error = compared(&Files::open(&url).unwrap()).unwrap_err();
    assert!(error.contains("vmlinuz-amd64 is "), "{error}");
    fs::write(out.path().join("manifest-amd64.json"), vec![b' '; 5 << 20]).unwrap();
    let error = compared(&Files::open(&url).unwrap()).unwrap_err();
    assert!(
        error.contains("/sets/manifest-amd64.json") && error.contains("larger than"),
        "{error}"
    );
    fs::remove_file(out.path().join(SUMS)).unwrap();
    let error = compared(&Files::open(&url).unwrap()).unwrap_err();
    assert!(error.contains("/sets/SHA256SUMS") && error.contains("404"), "{error}");
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
