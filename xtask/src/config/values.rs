//! Rules for single values of the configuration files.

use std::path::Path;

use serde::{Deserialize, Deserializer, de::Error as _};

use super::problems::unknown_name;
use crate::host::output;

/// Replaces `{name}` with its value.
pub fn expand(text: &str, values: &[(&str, &str)]) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) =
            after.split_once('}').ok_or_else(|| format!("unclosed '{{' in '{text}'"))?;
        let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
        let (_, value) = values
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| format!("placeholder in '{text}': {}", unknown_name(name, &names)))?;
        expanded.push_str(before);
        expanded.push_str(value);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// A pinned source as it is written, with one digest or one for each architecture.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawUpstream<D> {
    #[serde(deserialize_with = "non_empty")]
    pub version: String,
    #[serde(deserialize_with = "non_empty")]
    pub url: String,
    pub sha256: D,
}

/// A SHA-256 as 64 lower-case hexadecimal digits.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Sha256(pub String);

impl TryFrom<String> for Sha256 {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digest = text.to_ascii_lowercase();
        if output::is_sha256(&digest) {
            return Ok(Self(digest));
        }
        Err(format!("invalid SHA-256 '{text}': expected 64 hexadecimal digits"))
    }
}

/// Reads a string that is not empty.
pub fn non_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() { Err(D::Error::custom("empty string")) } else { Ok(text) }
}

/// Reads permission bits as for `chmod`, in a string: in TOML, `mode = 755` is a decimal number.
pub fn mode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    parse_mode(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn parse_mode(text: &str) -> Result<u32, String> {
    let bits = (3..=4).contains(&text.len()).then(|| u32::from_str_radix(text, 8).ok()).flatten();
    bits.filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
        .ok_or_else(|| format!("invalid mode '{text}': expected octal digits, as in \"0755\""))
}

/// Reads a device number, as in `1:3`.
pub fn device_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(u32, u32), D::Error> {
    let text = String::deserialize(deserializer)?;
    text.split_once(':')
        .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)))
        .ok_or_else(|| {
            D::Error::custom(format!(
                "invalid device number '{text}': expected MAJOR:MINOR, as in 1:3"
            ))
        })
}

/// A path in the image: absolute and normalized. The result is relative to the root.
pub fn image_path(text: &str) -> Result<String, String> {
    let relative = text
        .strip_prefix('/')
        .ok_or_else(|| format!("'{text}' is relative, expected an absolute path"))?;
    plain(text, relative)
}

/// A path in the project, which cannot leave it.
fn project_path(text: &str) -> Result<String, String> {
    if text.starts_with('/') {
        return Err(format!("'{text}' is absolute, expected a path relative to the project"));
    }
    plain(text, text)
}

/// A path of an existing file in the project at `root`.
pub fn project_file(text: &str, root: &Path) -> Result<String, String> {
    let file = project_path(text)?;
    let is_file = root.join(&file).is_file();
    is_file.then_some(file).ok_or_else(|| format!("file '{text}' not found in the project"))
}

fn plain(text: &str, relative: &str) -> Result<String, String> {
    if relative.split('/').any(|part| part == "..") {
        return Err(format!("'{text}' contains '..'"));
    }
    if relative.split('/').any(|part| part.is_empty() || part == ".") || text.contains('\0') {
        return Err(format!("'{text}' is not normalized: expected names separated by single '/'"));
    }
    Ok(relative.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_placeholders() {
        let values = [("cpu", "x86_64"), ("oci", "amd64")];
        assert_eq!(expand("a-{cpu}/{oci}{cpu}.gz", &values).unwrap(), "a-x86_64/amd64x86_64.gz");
        assert_eq!(expand("plain", &values).unwrap(), "plain");
        for (text, fact) in
            [("{cpy}", "did you mean 'cpu'"), ("a{cpu", "unclosed"), ("{}", "known: cpu, oci")]
        {
            assert!(expand(text, &values).unwrap_err().contains(fact), "{text}");
        }
    }

    #[test]
    fn accepts_only_complete_digests() {
        assert_eq!(Sha256::try_from("Ab".repeat(32)).unwrap().0, "ab".repeat(32));
        for text in ["", "abcd", &"g".repeat(64), &"a".repeat(63), &"ä".repeat(32)] {
            assert!(Sha256::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn accepts_only_octal_modes() {
        for (text, bits) in [("755", 0o755), ("0644", 0o644), ("1777", 0o1777), ("4755", 0o4755)] {
            assert_eq!(parse_mode(text).unwrap(), bits);
        }
        for text in ["", "7", "0o755", "888", "77777", "+755", "-755", "rwx"] {
            assert!(parse_mode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rejects_relative_and_escaping_paths() {
        assert_eq!(image_path("/bin/sh").unwrap(), "bin/sh");
        assert_eq!(image_path("/etc/..hidden").unwrap(), "etc/..hidden");
        for (text, fact) in [
            ("bin/sh", "relative"),
            ("", "relative"),
            ("/", "normalized"),
            ("/bin/", "normalized"),
            ("//bin", "normalized"),
            ("/./bin", "normalized"),
            ("/a/../../b", "contains '..'"),
            ("/..", "contains '..'"),
            ("/a\0b", "normalized"),
        ] {
            assert!(image_path(text).unwrap_err().contains(fact), "{text}");
        }
        assert_eq!(project_path("kernel/test.config").unwrap(), "kernel/test.config");
        for text in ["/etc/passwd", "../x", "a/../b", "", "./a"] {
            assert!(project_path(text).is_err(), "{text}");
        }
    }
}
