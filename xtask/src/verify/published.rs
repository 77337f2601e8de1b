//! Reads the times and kernel options of a published manifest, to build with them.

use anyhow::{Context as _, Result, anyhow};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    config::env::{Settings, parse_kernel_options},
    host::report::hinted,
};

pub fn settings(manifest: &Value) -> Result<Settings> {
    let time = |name: &str| -> Result<Timestamp> {
        let text = manifest.pointer(&format!("/times/{name}")).and_then(Value::as_str);
        let text = text.unwrap_or_default();
        text.parse()
            .with_context(|| format!("reading the published {name} '{}'", text::escape(text)))
    };
    let options = manifest.pointer("/kernel/options").and_then(Value::as_array);
    let options = options.context("no published options")?.iter();
    let options = options.map(|word| word.as_str().unwrap_or_default().to_owned());
    Ok(Settings {
        fs_mtime: u32::try_from(time("fs_mtime")?.as_second())
            .context("reading the published fs_mtime")?,
        kernel_timestamp: time("kernel_build_timestamp")?,
        kernel_config: checked_options(options.collect())?,
    })
}

/// Rejects arguments of `KERNEL_CONFIG` that could run programs: a shell script of the kernel
/// passes them to `sed`.
fn checked_options(words: Vec<String>) -> Result<Vec<String>> {
    let is_safe = |letter: char| letter.is_ascii_alphanumeric() || " -_.,=/+@()".contains(letter);
    if let Some(word) = words.iter().find(|word| !word.chars().all(is_safe)) {
        let word = text::escape(word);
        return Err(hinted(
            format!("the published kernel option '{word}' has characters that could run programs"),
            "if you trust it, build with KERNEL_CONFIG instead",
        ));
    }
    parse_kernel_options(&words)
        .map_err(|error| anyhow!("reading the published kernel options: {error}"))?;
    Ok(words)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::describe::example::value as manifest;

    #[test]
    fn reads_times_and_options() {
        let read = settings(&manifest()).unwrap();
        assert_eq!((read.fs_mtime, read.kernel_timestamp.as_second()), (9, 7));
        assert_eq!(read.kernel_config, ["--enable", "CONFIG_NVME"]);
    }

    #[test]
    fn rejects_unusable_times_and_options() {
        for (pointer, value, fact) in [
            ("/kernel/options", json!(["--enable", "A:w /etc/passwd"]), "could run programs"),
            ("/kernel/options", json!(["--enable", "\u{1b}[2J"]), "'\\u{1b}[2J'"),
            ("/kernel/options", json!(["--refresh"]), "reading the published kernel options"),
            ("/kernel/options", json!([1]), "unknown ''"),
            ("/kernel/options", json!("x"), "no published options"),
            ("/times/fs_mtime", json!("1960-01-01T00:00:00Z"), "fs_mtime"),
            ("/times/fs_mtime", json!("\u{9b}2J"), "fs_mtime '\\u{9b}2J'"),
            ("/times", json!({}), "fs_mtime"),
        ] {
            let mut manifest = manifest();
            *manifest.pointer_mut(pointer).unwrap() = value;
            let error = format!("{:#}", settings(&manifest).unwrap_err());
            assert!(error.contains(fact) && !error.contains(char::is_control), "{error}");
        }
    }

    #[test]
    fn any_change_of_a_manifest_is_read_or_rejected() {
        let manifest = manifest().to_string().into_bytes();
        for at in 0..manifest.len() {
            for byte in *b"\"\\{]9\x1b" {
                let mut changed = manifest.clone();
                changed[at] = byte;
                let Ok(manifest) = serde_json::from_slice(&changed) else { continue };
                if let Err(error) = settings(&manifest) {
                    assert!(!format!("{error:#}").contains(char::is_control));
                }
            }
        }
    }
}
