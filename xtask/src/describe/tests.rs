//! The manifest compared with its schema, and properties of all three files.

use serde_json::Value;

use super::{
    example::Example,
    manifest::{Libc, SCHEMA},
    *,
};
use crate::{host::report, sources::SourceSet};

const SCHEMA_FILE: &str = "manifest.schema.json";

fn schema() -> Value {
    let path = project::root().join("xtask/schema").join(SCHEMA_FILE);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Validates `manifest` by the schema.
fn validate(manifest: &Value) -> Result<(), String> {
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource(SCHEMA_FILE, schema()).unwrap();
    let index = compiler.compile(SCHEMA_FILE, &mut schemas).unwrap();
    schemas.validate(manifest, index).map_err(|error| format!("{error:#}"))
}

fn manifest_of(example: &Example) -> Value {
    serde_json::from_str(&example.described()["manifest"]).unwrap()
}

#[test]
fn the_schema_accepts_every_manifest() {
    for set in [SourceSet::Upstream, SourceSet::Debian] {
        let mut example = Example::of(set);
        validate(&manifest_of(&example)).unwrap();
        example.host.commit = None;
        example.host.libc = Libc {
            name: "glibc".to_owned(),
            sha256: Some("ab".repeat(32)),
            version: Some("2.36".to_owned()),
        };
        validate(&manifest_of(&example)).unwrap();
    }
}

#[test]
fn the_schema_rejects_other_documents() {
    let good = manifest_of(&Example::of(SourceSet::Debian));
    let remove = |at: &str, key: &str| {
        let mut value = good.clone();
        value.pointer_mut(at).unwrap().as_object_mut().unwrap().remove(key).unwrap();
        value
    };
    let set = |at: &str, key: &str, to: Value| {
        let mut value = good.clone();
        value.pointer_mut(at).unwrap().as_object_mut().unwrap().insert(key.to_owned(), to);
        value
    };
    let objects = [
        "",
        "/commit",
        "/inputs",
        "/inputs/sources/0",
        "/kernel",
        "/outputs/vmlinuz-amd64",
        "/times",
        "/tools",
        "/tools/libc",
    ];
    for at in objects {
        for key in good.pointer(at).unwrap().as_object().unwrap().keys() {
            assert!(validate(&remove(at, key)).is_err(), "{at} without {key}");
        }
        assert!(validate(&set(at, "unknown", Value::from("x"))).is_err(), "{at} with another key");
    }
    for (at, key, to) in [
        ("", "schema", Value::from(2)),
        ("", "arch", Value::from("x86_64")),
        ("/commit", "id", Value::from("HEAD")),
        ("/inputs/files", "Cargo.lock", Value::from("AB".repeat(32))),
        ("/inputs", "set", Value::from("mine")),
        ("/outputs/vmlinuz-amd64", "sha256", Value::from("sha256:ab")),
        ("/outputs/vmlinuz-amd64", "bytes", Value::from(-1)),
        ("/times", "fs_mtime", Value::from("yesterday")),
    ] {
        assert!(validate(&set(at, key, to.clone())).is_err(), "{at}/{key} {to}");
    }
}

/// Fails unless all objects in `schema` have descriptions and reject unknown keys.
fn assert_complete(at: &str, schema: &Value) {
    if !at.is_empty() {
        let is_described = schema.get("description").is_some() || schema.get("$ref").is_some();
        assert!(is_described, "{at} has no description");
    }
    for key in ["properties", "$defs"] {
        for (name, inner) in schema.get(key).and_then(Value::as_object).into_iter().flatten() {
            assert!(inner.get("description").is_some(), "{at}/{name} has no description");
            assert_complete(&format!("{at}/{name}"), inner);
        }
    }
    if schema.get("type").is_some_and(|kind| kind.to_string().contains("object")) {
        let others = &schema["additionalProperties"];
        assert!(*others == Value::Bool(false) || others.is_object(), "{at} takes other keys");
    }
}

#[test]
fn the_schema_describes_every_property_and_rejects_others() {
    assert_complete("", &schema());
    assert_eq!(schema()["properties"]["schema"]["const"], SCHEMA);
}

#[test]
fn parses_the_manifest_it_writes() {
    let example = Example::of(SourceSet::Debian);
    let text = &example.described()["manifest"];
    let manifest = Manifest::parse(text).unwrap();
    assert_eq!(&json(&manifest).unwrap(), text);
    assert_eq!(manifest.times.fs_mtime, "1970-01-01T00:00:00Z");
    assert_eq!(manifest.kernel.config_sha256, output::digest_of(b"abc"));
    assert_eq!(manifest.outputs["vmlinuz-amd64"].bytes, 6);
    let names: Vec<_> = manifest.inputs.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["busybox-static", "ca-certificates", "linux-source-6.12"]);
    for file in ["Cargo.lock", "Cargo.toml", "initramfs.toml", "kernel/kernel.toml"] {
        assert!(manifest.inputs.files.contains_key(file), "{file}");
    }
    let facts = Facts { profile: Profile::Hw, ..example.facts() };
    assert!(facts.project_files().unwrap().contains_key("kernel/hw-amd64.config"));
}

#[test]
fn rejects_other_schema_versions() {
    let good = manifest_of(&Example::of(SourceSet::Debian));
    for (schema, facts) in [
        (
            Some(Value::from(SCHEMA + 1)),
            &["schema 2", "supported: 1", "hint: check out the commit"][..],
        ),
        (Some(Value::from("1")), &["schema \"1\""]),
        (None, &["missing 'schema'", "hint:"]),
    ] {
        let mut value = good.clone();
        value["unknown"] = Value::from("x");
        let object = value.as_object_mut().unwrap();
        drop(object.remove("schema"));
        object.extend(schema.map(|schema| ("schema".to_owned(), schema)));
        let error = report::lines(&Manifest::parse(&value.to_string()).unwrap_err());
        assert!(facts.iter().all(|fact| error.contains(fact)), "{error}");
    }
    for (from, to, fact) in
        [("\"arch\"", "\"arhc\"", "unknown field `arhc`"), ("{", "", "parsing the manifest")]
    {
        let text = good.to_string().replacen(from, to, 1);
        let error = format!("{:#}", Manifest::parse(&text).unwrap_err());
        assert!(error.contains(fact), "{error}");
    }
}

#[test]
fn the_same_build_gives_the_same_files_in_any_directory() {
    for set in [SourceSet::Upstream, SourceSet::Debian] {
        let (here, there) = (Example::of(set), Example::of(set));
        assert_ne!(here.folder.path(), there.folder.path());
        let files = here.described();
        assert_eq!(files, there.described());
        for (name, text) in files {
            for path in [project::root(), here.folder.path().to_owned(), std::env::temp_dir()] {
                assert!(!text.contains(path.to_str().unwrap()), "{name} holds {}", path.display());
            }
            let home = std::env::var("HOME").unwrap_or_default();
            assert!(home.len() < 2 || !text.contains(&format!("{home}/")), "{name} holds {home}");
        }
    }
}

#[test]
fn the_keys_of_a_manifest_are_sorted() {
    fn assert_sorted(value: &str) {
        let keys: Vec<&str> = value
            .lines()
            .filter(|line| line.starts_with("  \""))
            .filter_map(|line| line.split('"').nth(1))
            .collect();
        assert!(keys.len() > 5 && keys.is_sorted(), "{keys:?}");
    }
    let text = &Example::of(SourceSet::Debian).described()["manifest"];
    assert_sorted(text);
    // Value sorts the keys of every object; a manifest in their order is the same text.
    let value: Value = serde_json::from_str(text).unwrap();
    assert_eq!(&json(&value).unwrap(), text);
}
