//! Collects what is wrong with a file, so that one run names every fault and its reader mends them in one go.

use anyhow::Result;
use anyhow::anyhow;
use std::collections::BTreeMap;
use std::fmt::Display;

/// The faults of one file.
#[derive(Debug)]
pub struct Faults {
    file: String,
    found: Vec<String>,
}

impl Faults {
    pub fn new(file: &str) -> Self {
        Self { file: file.to_owned(), found: Vec::new() }
    }

    /// Notes that the value of `key` is wrong, and why. Once, where several checks find the same.
    pub fn add(&mut self, key: impl Display, fact: impl Display) {
        let fault = format!("{}: {key} {fact}", self.file);
        if !self.found.contains(&fault) {
            self.found.push(fault);
        }
    }

    /// Notes that `key` is `found`, which is none of the `valid` words.
    pub fn unknown(&mut self, key: impl Display, found: &str, valid: &[&str]) {
        self.add(key, unknown_word(found, valid));
    }

    /// Hands over the value of `outcome`, or notes its error for `key`.
    pub fn keep<T>(&mut self, key: impl Display, outcome: Result<T, String>) -> Option<T> {
        outcome.map_err(|fact| self.add(key, fact)).ok()
    }

    /// As [`Faults::keep`], with an empty value where the check failed: nobody sees it, because [`Faults::finish`] will fail.
    pub fn keep_or_default<T: Default>(
        &mut self,
        key: impl Display,
        outcome: Result<T, String>,
    ) -> T {
        self.keep(key, outcome).unwrap_or_default()
    }

    /// The value of a key that must be there and not be empty.
    pub fn required(&mut self, key: impl Display, value: Option<String>) -> String {
        let value = value.unwrap_or_default();
        if value.is_empty() {
            self.add(key, "is missing");
        }
        value
    }

    /// Notes every key of a table which is none of the `valid` ones. `table` is where the table lies, with a dot at its end.
    pub fn unknown_keys<T>(&mut self, table: &str, found: &BTreeMap<String, T>, valid: &[&str]) {
        for key in found.keys() {
            self.add(
                format_args!("{table}{key}"),
                format_args!("is an unknown key{}", alternatives(key, valid)),
            );
        }
    }

    /// Fails with every fault noted, one per line.
    pub fn finish(self) -> Result<()> {
        match self.found.as_slice() {
            [] => Ok(()),
            [one] => Err(anyhow!("{one}")),
            many => {
                Err(anyhow!("{} has {} faults:\n  {}", self.file, many.len(), many.join("\n  ")))
            }
        }
    }
}

/// Says that `found` is none of the `valid` words, and which of them comes nearest.
pub fn unknown_word(found: &str, valid: &[&str]) -> String {
    format!("'{found}' is unknown{}", alternatives(found, valid))
}

fn alternatives(found: &str, valid: &[&str]) -> String {
    let nearest =
        nearest(found, valid).map(|word| format!(" (did you mean '{word}'?)")).unwrap_or_default();
    format!("{nearest}; known: {}", valid.join(", "))
}

/// The word that was probably meant. `None` where more than a third of it would be mistyped.
pub fn nearest<'a>(found: &str, valid: &[&'a str]) -> Option<&'a str> {
    let distance =
        |word: &&str| strsim::damerau_levenshtein(&found.to_lowercase(), &word.to_lowercase());
    let word = valid.iter().copied().min_by_key(distance)?;
    (distance(&word) <= word.chars().count().div_ceil(3)).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_nearest_word_only_where_it_is_near() {
        let valid = ["path", "target", "mode"];
        for (found, nearest_word) in [
            ("pth", Some("path")),
            ("PATH", Some("path")),
            ("mdoe", Some("mode")),
            ("tarjet", Some("target")),
            ("owner", None),
            ("", None),
        ] {
            assert_eq!(nearest(found, &valid), nearest_word, "{found}");
        }
        assert_eq!(unknown_word("x", &[]), "'x' is unknown; known: ");
    }

    #[test]
    fn tells_all_faults_at_once() {
        let mut faults = Faults::new("a.toml");
        faults.add("dir[0].path", "is missing");
        faults.unknown("key", "pth", &["path"]);
        let text = faults.finish().unwrap_err().to_string();
        assert_eq!(
            text,
            "a.toml has 2 faults:\n  a.toml: dir[0].path is missing\n  a.toml: key 'pth' is unknown (did you mean 'path'?); known: path"
        );
    }
}
