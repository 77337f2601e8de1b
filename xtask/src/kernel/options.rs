//! Requested options of the kernel's configuration, and the check that a configuration has them.

use anyhow::Result;
use anyhow::bail;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A requested option.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Requested {
    /// `CONFIG_…`
    pub name: String,
    /// `y`, `n`, `m`, a number, or a quoted text; `None` is the default.
    pub value: Option<String>,
    /// Where it is requested: file and line, or a variable.
    from: String,
}

impl Requested {
    fn new(name: &str, value: Option<&str>, from: String) -> Self {
        Self { name: name.to_owned(), value: value.map(str::to_owned), from }
    }

    /// The line of a `.config`, but with `n` for "is not set".
    pub fn assignment(&self) -> String {
        format!("{}={}", self.name, self.value.as_deref().unwrap_or_default())
    }
}

/// Parses a fragment: lines of `CONFIG_X=value` or `# CONFIG_X is not set`, comments and empty
/// lines. Reports all invalid lines.
pub fn parse_fragment(file: &str, text: &str) -> Result<Vec<Requested>> {
    let mut requested = Vec::new();
    let mut errors = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let from = format!("{file}:{}", number + 1);
        match parse_line(line.trim_end()) {
            Line::Option(name, value) => requested.push(Requested::new(name, Some(value), from)),
            Line::Comment => {}
            Line::Invalid => {
                errors.push(format!("{from}: '{line}' is neither CONFIG_X=value nor a comment"));
            }
        }
    }
    if !errors.is_empty() {
        bail!("{}", errors.join("\n"));
    }
    Ok(requested)
}

enum Line<'a> {
    Option(&'a str, &'a str),
    Comment,
    Invalid,
}

fn parse_line(line: &str) -> Line<'_> {
    if let Some(name) = line
        .strip_prefix("# ")
        .and_then(|rest| rest.strip_suffix(" is not set"))
        .filter(|name| is_name(name))
    {
        return Line::Option(name, "n");
    }
    if line.is_empty() || line.starts_with('#') {
        return Line::Comment;
    }
    match line.split_once('=') {
        Some((name, value)) if is_name(name) && is_value(value) => Line::Option(name, value),
        _ => Line::Invalid,
    }
}

fn is_name(name: &str) -> bool {
    name.strip_prefix("CONFIG_").is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

fn is_value(value: &str) -> bool {
    let quoted = value.len() >= 2 && value.starts_with('"') && value.ends_with('"');
    quoted
        || (!value.is_empty()
            && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
}

/// Parses `KERNEL_CONFIG`: arguments of the kernel's `scripts/config`.
pub fn parse_words(words: &[String]) -> Result<Vec<Requested>> {
    let mut requested = Vec::new();
    let mut keep_case = false;
    let mut rest = words.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        if matches!(word, "--keep-case" | "-k") {
            keep_case = true;
            continue;
        }
        let mut argument = |what: &str| match rest.next() {
            Some(argument) => Ok(argument),
            None => bail!("KERNEL_CONFIG: '{word}' needs {what}"),
        };
        let option = argument("an option")?;
        let value = match word {
            "--enable" | "-e" => Some("y".to_owned()),
            "--disable" | "-d" => Some("n".to_owned()),
            "--module" | "-m" => Some("m".to_owned()),
            "--set-str" => Some(format!("\"{}\"", argument("a text")?.replace('"', "\\\""))),
            "--set-val" => Some(argument("a value")?.to_owned()),
            "--undefine" | "-u" => None,
            other => {
                bail!("KERNEL_CONFIG: unknown argument '{other}' of the kernel's scripts/config")
            }
        };
        let bare = option.strip_prefix("CONFIG_").unwrap_or(option);
        let name = if keep_case {
            format!("CONFIG_{bare}")
        } else {
            format!("CONFIG_{}", bare.to_ascii_uppercase())
        };
        requested.push(Requested { name, value, from: "KERNEL_CONFIG".to_owned() });
    }
    Ok(requested)
}

/// The base configuration, changed by `requested`. The last value of an option wins.
pub fn merge(base: &str, requested: &[Requested]) -> String {
    let latest = latest(requested);
    let mut text = String::new();
    for line in base.lines() {
        if !matches!(parse_line(line), Line::Option(name, _) if latest.contains_key(name)) {
            text.push_str(line);
            text.push('\n');
        }
    }
    for option in latest.values().filter(|option| option.value.is_some()) {
        // Writing to a String cannot fail.
        writeln!(text, "{}", option.assignment()).ok();
    }
    text
}

/// A line for each requested option that `config` does not have.
pub fn lost(requested: &[Requested], config: &str) -> Vec<String> {
    let found: BTreeMap<&str, &str> = config
        .lines()
        .filter_map(|line| match parse_line(line) {
            Line::Option(name, value) => Some((name, value)),
            _ => None,
        })
        .collect();
    let mut lost = Vec::new();
    for option in latest(requested).values() {
        let got = found.get(option.name.as_str()).copied().unwrap_or("n");
        if option.value.as_deref().is_some_and(|value| value != got) {
            lost.push(format!("{} ({}) became {got}", option.assignment(), option.from));
        }
    }
    lost
}

fn latest(requested: &[Requested]) -> BTreeMap<&str, &Requested> {
    requested.iter().map(|option| (option.name.as_str(), option)).collect()
}

#[cfg(test)]
mod tests;
