//! Collects the problems of a file, so that one run reports all of them.

use std::fmt::Display;

use anyhow::{Result, anyhow};

#[derive(Debug)]
pub struct Problems {
    file: String,
    found: Vec<String>,
}

impl Problems {
    pub fn new(file: &str) -> Self {
        Self { file: file.to_owned(), found: Vec::new() }
    }

    /// Adds a problem with the value of `key`, unless another check has found the same.
    pub fn add(&mut self, key: impl Display, fact: impl Display) {
        let problem = format!("{}: {key}: {fact}", self.file);
        if !self.found.contains(&problem) {
            self.found.push(problem);
        }
    }

    /// Adds a problem if the value `found` of `key` is not one of the `valid` names.
    pub fn check_name(&mut self, key: impl Display, found: &str, valid: &[&str]) {
        if !valid.contains(&found) {
            self.add(key, unknown_name(found, valid));
        }
    }

    /// The value of `outcome`, or `None` and a problem with `key`.
    pub fn keep<T>(&mut self, key: impl Display, outcome: Result<T, String>) -> Option<T> {
        outcome.map_err(|fact| self.add(key, fact)).ok()
    }

    /// Fails with all problems, one per line.
    pub fn finish(self) -> Result<()> {
        match self.found.as_slice() {
            [] => Ok(()),
            [one] => Err(anyhow!("{one}")),
            many => {
                let (count, lines) = (many.len(), many.join("\n  "));
                Err(anyhow!("{} has {count} problems:\n  {lines}", self.file))
            }
        }
    }
}

/// The fact that `found` is not one of the `valid` names, with the nearest of them.
pub fn unknown_name(found: &str, valid: &[&str]) -> String {
    let hint =
        nearest(found, valid).map(|name| format!(" (did you mean '{name}'?)")).unwrap_or_default();
    format!("unknown '{found}'{hint}; known: {}", valid.join(", "))
}

/// The name that was probably meant. `None` if more than a third of it differs.
pub fn nearest<'a>(found: &str, valid: &[&'a str]) -> Option<&'a str> {
    let distance =
        |name: &&str| strsim::damerau_levenshtein(&found.to_lowercase(), &name.to_lowercase());
    let name = valid.iter().copied().min_by_key(distance)?;
    (distance(&name) <= name.chars().count().div_ceil(3)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_only_similar_names() {
        let valid = ["path", "target", "mode"];
        for (found, expected) in [
            ("pth", Some("path")),
            ("PATH", Some("path")),
            ("mdoe", Some("mode")),
            ("tarjet", Some("target")),
            ("owner", None),
            ("", None),
        ] {
            assert_eq!(nearest(found, &valid), expected, "{found}");
        }
        assert_eq!(unknown_name("x", &[]), "unknown 'x'; known: ");
    }

    #[test]
    fn reports_all_problems_at_once() {
        let mut problems = Problems::new("a.toml");
        problems.add("dir[0].path", "is missing");
        problems.check_name("key", "pth", &["path"]);
        let text = problems.finish().unwrap_err().to_string();
        assert_eq!(
            text,
            "a.toml has 2 problems:\n  a.toml: dir[0].path: is missing\n  \
             a.toml: key: unknown 'pth' (did you mean 'path'?); known: path"
        );
    }
}
