//! Parses `.env` files: one `KEY=VALUE` per line, optional quotes around a value, comment lines
//! start with `#`. Nothing is expanded. `docker compose` reads the same file.

use super::COMPOSE_VARIABLES;
use super::VARIABLES;
use crate::config::Problems;
use std::collections::BTreeMap;

/// The variables of `text`. Invalid lines, unknown and repeated variables become problems.
pub fn parse(text: &str, problems: &mut Problems) -> BTreeMap<String, String> {
    let known: Vec<&str> = VARIABLES.into_iter().chain(COMPOSE_VARIABLES).collect();
    let mut values = BTreeMap::new();
    for (index, line) in text
        .lines()
        .map(str::trim)
        .enumerate()
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
    {
        let place = format!("line {}", index + 1);
        let assignment = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = assignment.split_once('=') else {
            problems.add(place, format_args!("invalid assignment '{line}': expected NAME=VALUE"));
            continue;
        };
        if !known.contains(&name) {
            problems.unknown(place, name, &known);
        } else if values.contains_key(name) {
            problems.add(place, format_args!("duplicate variable '{name}'"));
        } else if let Some(value) = problems.keep(place, unquote(value.trim())) {
            values.insert(name.to_owned(), value.to_owned());
        }
    }
    values
}

/// Removes quotes around `value`. Others are part of it, as in `--set-str CMDLINE "a b"`.
fn unquote(value: &str) -> Result<&str, String> {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            return rest
                .strip_suffix(quote)
                .ok_or_else(|| format!("unclosed quote in the value {value}"));
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_all(text: &str) -> Result<BTreeMap<String, String>, String> {
        let mut problems = Problems::new(".env");
        let values = parse(text, &mut problems);
        problems.finish().map(|()| values).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_assignments() {
        let text = "# times\n\nFS_MTIME=@5\n export SOURCE_DATE_EPOCH = \"7\"\r\nKERNEL_CONFIG='--set-str CMDLINE \"a b\"'\n";
        let text = text.replace("EPOCH =", "EPOCH=");
        let values = parse_all(&text).unwrap();
        assert_eq!(values["FS_MTIME"], "@5");
        assert_eq!(values["SOURCE_DATE_EPOCH"], "7");
        assert_eq!(values["KERNEL_CONFIG"], "--set-str CMDLINE \"a b\"");
        assert_eq!(
            parse_all("KERNEL_CONFIG=-e A --set-str B \"a\"").unwrap()["KERNEL_CONFIG"],
            "-e A --set-str B \"a\""
        );
        assert_eq!(parse_all("FS_MTIME=").unwrap()["FS_MTIME"], "");
    }

    #[test]
    fn reports_problems_with_their_line() {
        let text = parse_all("FS_MTIM=1\nnonsense\nFS_MTIME=1\nFS_MTIME=2\nKERNEL_CONFIG=\"-e A\n")
            .unwrap_err();
        for fact in [
            "line 1: unknown 'FS_MTIM' (did you mean 'FS_MTIME'?)",
            "line 2: invalid assignment 'nonsense'",
            "line 4: duplicate variable 'FS_MTIME'",
            "line 5: unclosed quote",
        ] {
            assert!(text.contains(fact), "{text}");
        }
    }
}
