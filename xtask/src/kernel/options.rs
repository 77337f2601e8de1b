//! Requested options of the kernel's configuration, and the check that a configuration has them.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::{Result, bail};

use crate::config::env;

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
        let line = line.trim_end();
        if let Some((name, value)) = parse_line(line) {
            let (name, value) = (name.to_owned(), Some(value.to_owned()));
            requested.push(Requested { name, value, from });
        } else if !line.is_empty() && !line.starts_with('#') {
            errors.push(format!("{from}: '{line}' is neither CONFIG_X=value nor a comment"));
        }
    }
    if !errors.is_empty() {
        bail!("{}", errors.join("\n"));
    }
    Ok(requested)
}

/// The option of a line of a configuration; `n` for `# CONFIG_X is not set`.
fn parse_line(line: &str) -> Option<(&str, &str)> {
    let unset = line.strip_prefix("# ").and_then(|rest| rest.strip_suffix(" is not set"));
    let (name, value) = unset.map(|name| (name, "n")).or_else(|| line.split_once('='))?;
    (is_name(name) && is_value(value)).then_some((name, value))
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

/// The options in `KERNEL_CONFIG`.
pub fn parse_arguments(arguments: &[String]) -> Result<Vec<Requested>> {
    let options = env::parse_kernel_options(arguments).map_err(anyhow::Error::msg)?;
    let requested = |(name, value)| Requested { name, value, from: env::KERNEL_CONFIG.to_owned() };
    Ok(options.into_iter().map(requested).collect())
}

/// The base configuration, changed by `requested`. The last value of an option wins.
pub fn merge(base: &str, requested: &[Requested]) -> String {
    let latest = latest(requested);
    let mut text = String::new();
    for line in base.lines() {
        if parse_line(line).is_none_or(|(name, _)| !latest.contains_key(name)) {
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
    let found: BTreeMap<&str, &str> = config.lines().filter_map(parse_line).collect();
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
