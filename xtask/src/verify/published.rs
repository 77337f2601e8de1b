//! What somebody says of a build: the manifest beside its outputs. Text in, checked values out. Pure.

use crate::arch::Arch;
use crate::config::Profile;
use crate::env::Settings;
use crate::sources::SourceSet;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::ensure;
use clap::ValueEnum as _;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

/// The newest form of manifests that is understood here.
const SCHEMA: u64 = 1;

/// What a manifest says, as far as a rebuild and its comparison need it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Published {
    pub(super) arch: Arch,
    pub(super) profile: Profile,
    pub(super) set: SourceSet,
    /// The commit, and whether the tree was as the commit has it. Manifests of before did not say.
    pub(super) commit: Option<(String, bool)>,
    /// `version, sha256` of each source, by its name.
    pub(super) sources: BTreeMap<String, String>,
    /// What is said of each tool.
    pub(super) tools: BTreeMap<String, String>,
    /// The digests of the project's files that decide what is built.
    pub(super) files: BTreeMap<String, String>,
    /// The digest of all that went into the kernel.
    pub(super) kernel_key: String,
    /// The times and kernel options to build with.
    pub(super) settings: Settings,
    /// The digests of the files beside it.
    pub(super) outputs: BTreeMap<String, String>,
}

/// The name of the manifest of one build.
pub(super) fn file_name(arch: Arch, profile: Profile) -> String {
    format!("manifest-{}{}.json", arch.oci(), profile.suffix())
}

impl Published {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let manifest: Value = serde_json::from_str(text).context("parsing the manifest")?;
        let schema = manifest.get("schema").and_then(Value::as_u64).unwrap_or(SCHEMA);
        ensure!(
            schema <= SCHEMA,
            "the manifest has schema {schema}, at most {SCHEMA} is understood  hint: verify with the checkout it was made by"
        );
        let at = |pointer: &'static str| {
            manifest.pointer(pointer).ok_or_else(|| anyhow!("the manifest lacks '{pointer}'"))
        };
        let (arch, profile) = (text_of(at("/arch")?)?, text_of(at("/kernel/profile")?)?);
        let set = text_of(at("/inputs/set")?)?;
        let time = |pointer| -> Result<Timestamp> {
            let text = text_of(at(pointer)?)?;
            text.parse().with_context(|| format!("reading '{pointer}' of the manifest, '{text}'"))
        };
        let fs_mtime = u32::try_from(time("/times/fs_mtime")?.as_second())
            .context("reading '/times/fs_mtime' of the manifest")?;
        Ok(Self {
            arch: Arch::ALL
                .into_iter()
                .find(|known| known.oci() == arch)
                .ok_or_else(|| anyhow!("the manifest is for '{arch}'; known: amd64, arm64"))?,
            profile: Profile::from_str(&profile, false)
                .map_err(|fact| anyhow!("the manifest's profile '{profile}': {fact}"))?,
            set: SourceSet::from_str(&set, false)
                .map_err(|fact| anyhow!("the manifest's source set '{set}': {fact}"))?,
            commit: commit(manifest.get("commit")),
            sources: sources(at("/inputs/sources")?)?,
            tools: map(at("/tools")?, |tool| Ok(told(tool)))?,
            files: map(at("/inputs/files")?, digest)?,
            kernel_key: text_of(at("/kernel/key")?)?,
            settings: Settings {
                fs_mtime,
                kernel_timestamp: time("/times/kernel_build_timestamp")?,
                kernel_config: options(at("/kernel/options")?)?,
            },
            outputs: map(at("/outputs")?, digest)?,
        })
    }
}

fn text_of(value: &Value) -> Result<String> {
    let text = value.as_str().with_context(|| format!("the manifest has {value} for a text"))?;
    Ok(text.to_owned())
}

/// A text as it is, anything else as JSON.
fn told(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn commit(value: Option<&Value>) -> Option<(String, bool)> {
    let commit = value?;
    Some((commit.get("id")?.as_str()?.to_owned(), commit.get("clean")?.as_bool()?))
}

fn map(value: &Value, read: impl Fn(&Value) -> Result<String>) -> Result<BTreeMap<String, String>> {
    let object =
        value.as_object().with_context(|| format!("the manifest has {value} for a map"))?;
    object.iter().map(|(name, value)| Ok((name.clone(), read(value)?))).collect()
}

/// A digest by itself, or beside the size.
fn digest(value: &Value) -> Result<String> {
    let text = text_of(value.get("sha256").unwrap_or(value))?;
    let is_digest = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(is_digest, "the manifest has '{text}' for a SHA-256");
    Ok(text)
}

fn sources(value: &Value) -> Result<BTreeMap<String, String>> {
    let list = value.as_array().context("the manifest's sources are no list")?;
    let field = |source: &Value, name: &str| {
        text_of(
            source.get(name).with_context(|| format!("a source of the manifest lacks '{name}'"))?,
        )
    };
    let source = |source: &Value| {
        Ok((
            field(source, "name")?,
            format!("{}, {}", field(source, "version")?, field(source, "sha256")?),
        ))
    };
    list.iter().map(source).collect()
}

/// The words of `KERNEL_CONFIG`. They come from somebody else and end in a shell script of the kernel, which hands them to `sed`.
fn options(value: &Value) -> Result<Vec<String>> {
    let list = value.as_array().context("the manifest's kernel options are no list")?;
    let words = list.iter().map(text_of).collect::<Result<Vec<String>>>()?;
    let is_harmless = |word: &String| {
        word.chars().all(|letter| letter.is_ascii_alphanumeric() || " -_.,=/+@()".contains(letter))
    };
    if let Some(word) = words.iter().find(|word| !is_harmless(word)) {
        return Err(anyhow!(
            "the manifest's kernel option '{word}' has letters that could run programs here  hint: build with KERNEL_CONFIG yourself, if you trust it"
        ));
    }
    Ok(words)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    /// A manifest of today.
    pub(in crate::verify) fn manifest() -> Value {
        let digest = "ab".repeat(32);
        json!({
            "arch": "amd64",
            "inputs": {
                "files": { "Cargo.lock": digest },
                "set": "debian",
                "sources": [{ "name": "busybox-static", "origin": "pool/b", "sha256": digest, "version": "1" }],
            },
            "kernel": { "key": "cd", "options": ["--enable", "CONFIG_NVME"], "profile": "hw" },
            "outputs": { "vmlinuz-amd64-hw": digest, "initramfs-amd64.gz": digest },
            "times": { "fs_mtime": "1970-01-01T00:00:09Z", "kernel_build_timestamp": "1970-01-01T00:00:07Z" },
            "tools": { "cc": "gcc 1", "rustc": "rustc 1" },
        })
    }

    #[test]
    fn reads_a_manifest_with_and_without_what_came_later() {
        let old = Published::parse(&manifest().to_string()).unwrap();
        assert_eq!(
            (old.arch, old.profile, old.set),
            (Arch::X86_64, Profile::Hw, SourceSet::Debian)
        );
        assert_eq!((old.settings.fs_mtime, old.settings.kernel_timestamp.as_second()), (9, 7));
        assert_eq!(old.settings.kernel_config, ["--enable", "CONFIG_NVME"]);
        assert_eq!(old.sources["busybox-static"], format!("1, {}", "ab".repeat(32)));
        let mut later = manifest();
        later["schema"] = json!(1);
        later["commit"] = json!({ "clean": true, "id": "12" });
        later["outputs"]["initramfs-amd64.gz"] = json!({ "bytes": 5, "sha256": "ab".repeat(32) });
        later["tools"]["libc"] = json!({ "name": "musl" });
        let later = Published::parse(&later.to_string()).unwrap();
        assert_eq!(later.commit, Some(("12".to_owned(), true)));
        assert_eq!(later.tools["libc"], r#"{"name":"musl"}"#);
        assert_eq!(later.outputs, old.outputs);
    }

    #[test]
    fn refuses_what_it_cannot_build_from() {
        for (pointer, value, fact) in [
            ("/arch", json!("riscv64"), "is for 'riscv64'"),
            ("/kernel/profile", json!("big"), "profile 'big'"),
            ("/kernel/options", json!(["--enable", "A:w /etc/passwd"]), "could run programs"),
            ("/inputs/set", json!("mirror"), "source set 'mirror'"),
            ("/times/fs_mtime", json!("1960-01-01T00:00:00Z"), "/times/fs_mtime"),
            ("/outputs", json!({ "vmlinuz": "abc" }), "for a SHA-256"),
            ("/inputs/sources", json!([{}]), "lacks 'name'"),
        ] {
            let mut manifest = manifest();
            *manifest.pointer_mut(pointer).unwrap() = value;
            let error = format!("{:#}", Published::parse(&manifest.to_string()).unwrap_err());
            assert!(error.contains(fact), "{error}");
        }
        assert!(Published::parse(r#"{"schema":2}"#).unwrap_err().to_string().contains("schema 2"));
        assert!(Published::parse("{}").unwrap_err().to_string().contains("lacks '/arch'"));
    }
}
