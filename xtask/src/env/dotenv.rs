//! The text of a `.env` file in, its variables out. One `KEY=VALUE` per line, quotes around a value optional; `#` begins a comment line. Nothing is expanded.

use super::OF_COMPOSE;
use super::VARIABLES;
use crate::config::Faults;
use std::collections::BTreeMap;

/// The variables of `text`. A line that is no assignment, names an unknown variable or repeats one is noted in `faults`.
pub fn parse(text: &str, faults: &mut Faults) -> BTreeMap<String, String> {
    let known: Vec<&str> = VARIABLES.into_iter().chain(OF_COMPOSE).collect();
    let mut values = BTreeMap::new();
    for (index, line) in text
        .lines()
        .map(str::trim)
        .enumerate()
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
    {
        let place = format!("line {}:", index + 1);
        let assignment = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = assignment.split_once('=') else {
            faults.add(place, format_args!("'{line}' is no assignment; wanted: NAME=VALUE"));
            continue;
        };
        if !known.contains(&name) {
            faults.unknown(place, name, &known);
        } else if values.contains_key(name) {
            faults.add(place, format_args!("'{name}' is set a second time"));
        } else if let Some(value) = faults.keep(place, unquote(value.trim())) {
            values.insert(name.to_owned(), value.to_owned());
        }
    }
    values
}

/// A quote at the start must have its like at the end; other quotes belong to the value, as in `--set-str CMDLINE "a b"`.
fn unquote(value: &str) -> Result<&str, String> {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            return rest.strip_suffix(quote).ok_or_else(|| {
                format!("the value {value} opens a quote that its end does not close")
            });
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_all(text: &str) -> Result<BTreeMap<String, String>, String> {
        let mut faults = Faults::new(".env");
        let values = parse(text, &mut faults);
        faults.finish().map(|()| values).map_err(|error| error.to_string())
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
    fn tells_every_fault_with_its_line() {
        let text = parse_all("FS_MTIM=1\nnonsense\nFS_MTIME=1\nFS_MTIME=2\nKERNEL_CONFIG=\"-e A\n")
            .unwrap_err();
        for fact in [
            "line 1: 'FS_MTIM' is unknown (did you mean 'FS_MTIME'?)",
            "line 2: 'nonsense' is no assignment",
            "line 4: 'FS_MTIME' is set a second time",
            "line 5: the value",
        ] {
            assert!(text.contains(fact), "{text}");
        }
    }
}
