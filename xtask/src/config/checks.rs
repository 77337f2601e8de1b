//! The rules that single values of the configuration files obey. Each takes a text and gives the value, or the fact that is wrong with it.

use super::faults::unknown_word;

/// Replaces `{name}` by its value.
pub fn expand(text: &str, values: &[(&str, &str)]) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after
            .split_once('}')
            .ok_or_else(|| format!("'{text}' opens a '{{' and never closes it"))?;
        let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
        let (_, value) = values
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| format!("'{text}': placeholder {}", unknown_word(name, &names)))?;
        expanded.push_str(before);
        expanded.push_str(value);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// A SHA-256 as 64 lower-case digits.
pub fn digest(text: &str) -> Result<String, String> {
    let is_digest = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest
        .then(|| text.to_ascii_lowercase())
        .ok_or_else(|| format!("'{text}' is no SHA-256; wanted: 64 hexadecimal digits"))
}

/// Permission bits, written as `chmod` takes them. They are a text because `mode = 755` would be a decimal number to TOML.
pub fn mode(text: &str) -> Result<u32, String> {
    let bits = (3..=4).contains(&text.len()).then(|| u32::from_str_radix(text, 8).ok()).flatten();
    bits.filter(|_| text.bytes().all(|byte| byte.is_ascii_digit())).ok_or_else(|| {
        format!("'{text}' is no mode; wanted: three or four octal digits, as in \"0755\"")
    })
}

/// A path in the image: absolute, and already in its shortest form.
pub fn image_path(text: &str) -> Result<String, String> {
    let Some(relative) = text.strip_prefix('/') else {
        return Err(format!(
            "'{text}' is relative; wanted: a path from the image's root, as in '/bin/sh'"
        ));
    };
    plain(text, relative)
}

/// A path in the project, which cannot leave it.
pub fn project_path(text: &str) -> Result<String, String> {
    if text.starts_with('/') {
        return Err(format!("'{text}' is absolute; wanted: a path relative to the project"));
    }
    plain(text, text)
}

fn plain(text: &str, relative: &str) -> Result<String, String> {
    if relative.split('/').any(|part| part == "..") {
        return Err(format!("'{text}' escapes through '..'"));
    }
    if relative.split('/').any(|part| part.is_empty() || part == ".") || text.contains('\0') {
        return Err(format!(
            "'{text}' is not a plain path; wanted: names, separated by single '/'"
        ));
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
            [("{cpy}", "did you mean 'cpu'"), ("a{cpu", "never closes"), ("{}", "known: cpu, oci")]
        {
            assert!(expand(text, &values).unwrap_err().contains(fact), "{text}");
        }
    }

    #[test]
    fn takes_only_whole_digests() {
        assert_eq!(digest(&"Ab".repeat(32)).unwrap(), "ab".repeat(32));
        for text in ["", "abcd", &"g".repeat(64), &"a".repeat(63), &"ä".repeat(32)] {
            assert!(digest(text).is_err(), "{text}");
        }
    }

    #[test]
    fn takes_only_octal_modes() {
        for (text, bits) in [("755", 0o755), ("0644", 0o644), ("1777", 0o1777), ("4755", 0o4755)] {
            assert_eq!(mode(text).unwrap(), bits);
        }
        for text in ["", "7", "0o755", "888", "77777", "+755", "-755", "rwx"] {
            assert!(mode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn refuses_paths_that_are_relative_or_escape() {
        assert_eq!(image_path("/bin/sh").unwrap(), "bin/sh");
        assert_eq!(image_path("/etc/..hidden").unwrap(), "etc/..hidden");
        for (text, fact) in [
            ("bin/sh", "relative"),
            ("", "relative"),
            ("/", "plain"),
            ("/bin/", "plain"),
            ("//bin", "plain"),
            ("/./bin", "plain"),
            ("/a/../../b", "escapes"),
            ("/..", "escapes"),
            ("/a\0b", "plain"),
        ] {
            assert!(image_path(text).unwrap_err().contains(fact), "{text}");
        }
        assert_eq!(project_path("kernel/test.config").unwrap(), "kernel/test.config");
        for text in ["/etc/passwd", "../x", "a/../b", "", "./a"] {
            assert!(project_path(text).is_err(), "{text}");
        }
    }
}
