//! Published sets of files, honest and with one manipulation each, compared with a stand-in for a
//! build.

mod publication;

use std::{
    cell::Cell,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
};

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::{describe::example, host::output::SUMS, verify::files::Files};

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
