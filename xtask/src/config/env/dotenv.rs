//! Parses `.env` files in the dialect of `docker compose`, which reads the same file, without
//! expansion and values of several lines: what `docker compose` would expand is rejected.

use std::collections::BTreeMap;

use super::{COMPOSE_VARIABLES, VARIABLES};
use crate::config::Problems;

/// The variables of `text`. Invalid lines, unknown and repeated variables become problems.
pub fn parse(text: &str, problems: &mut Problems) -> BTreeMap<String, String> {
    let known: Vec<&str> = VARIABLES.into_iter().chain(COMPOSE_VARIABLES).collect();
    let mut values = BTreeMap::new();
    let text = text.trim_start_matches('\u{feff}');
    for (line, number) in text.lines().map(str::trim).zip(1..) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = format!("line {number}");
        let assignment = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = assignment.split_once('=') else {
            problems.add(place, format_args!("invalid assignment '{line}': expected NAME=VALUE"));
            continue;
        };
        let name = name.trim();
        if !known.contains(&name) {
            problems.check_name(place, name, &known);
        } else if values.contains_key(name) {
            problems.add(place, format_args!("duplicate variable '{name}'"));
        } else if let Some(value) = problems.keep(place, parse_value(value.trim())) {
            values.insert(name.to_owned(), value);
        }
    }
    values
}

/// Quotes count only around the whole value; others are part of it, as in `--set-str A "b"`.
fn parse_value(text: &str) -> Result<String, String> {
    let expansion = || format!("'$' in {text}; hint: use single quotes");
    let Some(quote) = text.chars().next().filter(|first| matches!(first, '"' | '\'')) else {
        let value = text.split(" #").next().unwrap_or_default().trim_end();
        return if value.contains('$') { Err(expansion()) } else { Ok(value.to_owned()) };
    };
    let mut value = String::new();
    let mut rest = text.chars();
    rest.next();
    loop {
        match rest.next() {
            None => return Err(format!("unclosed quote in the value {text}")),
            Some(letter) if letter == quote => break,
            Some('$') if quote == '"' => return Err(expansion()),
            Some('\\') => match rest.clone().next() {
                Some(escaped) if escaped == quote => value.extend(rest.next()),
                Some(escaped @ ('n' | 'r' | 't' | '$' | '\\')) if quote == '"' => {
                    rest.next();
                    value.push(match escaped {
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        other => other,
                    });
                }
                _ => value.push('\\'),
            },
            Some(letter) => value.push(letter),
        }
    }
    match rest.as_str().trim_start() {
        after if after.is_empty() || after.starts_with('#') => Ok(value),
        after => Err(format!("'{after}' after the closing quote")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use xshell::{Shell, cmd};

    use super::*;
    use crate::host::cmd;

    fn parse_all(text: &str) -> Result<BTreeMap<String, String>, String> {
        let mut problems = Problems::new(".env");
        let values = parse(text, &mut problems);
        problems.finish().map(|()| values).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_assignments() {
        let text = "# times\n\nFS_MTIME=@5\n export SOURCE_DATE_EPOCH=\"7\"\r\n\
                    KERNEL_CONFIG='--set-str CMDLINE \"a b\"'\n";
        let values = parse_all(text).unwrap();
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

    #[test]
    fn reads_values_like_docker_compose() {
        // Version 1 has another dialect.
        let compose = cmd::find("docker-compose").filter(|program| {
            let shell = Shell::new().unwrap();
            let version = cmd!(shell, "{program} version --short").quiet().read();
            version.is_ok_and(|version| !version.starts_with("1."))
        });
        for (text, expected) in [
            ("-e A --set-str B \"a\"", "-e A --set-str B \"a\""),
            ("-e A # comment", "-e A"),
            ("-e A#b", "-e A#b"),
            ("\"-e A # b\" # comment", "-e A # b"),
            ("'-e A # b'", "-e A # b"),
            (r#""--set-str A \"b c\"""#, "--set-str A \"b c\""),
            (r#""a\tb\\c\d\$e""#, "a\tb\\c\\d$e"),
            (r"'a\nb $c \'d\''", r"a\nb $c 'd'"),
            (" a  b ", "a  b"),
        ] {
            let file = format!("\u{feff}KERNEL_CONFIG={text}\nexport FS_MTIME = @5\n");
            let values = parse_all(&file).unwrap();
            assert_eq!(values["KERNEL_CONFIG"], expected);
            assert_eq!(values["FS_MTIME"], "@5");
            if let Some(compose) = &compose {
                let folder = tempfile::tempdir().unwrap();
                std::fs::write(folder.path().join(".env"), file).unwrap();
                let service =
                    json!({ "image": "x", "environment": ["KERNEL_CONFIG=${KERNEL_CONFIG}"] });
                let project = json!({ "services": { "x": service } });
                std::fs::write(folder.path().join("compose.yaml"), project.to_string()).unwrap();
                let shell = Shell::new().unwrap();
                shell.change_dir(folder.path());
                let text = cmd!(shell, "{compose} config --format json").quiet().read().unwrap();
                let config: Value = serde_json::from_str(&text).unwrap();
                let value =
                    config["services"]["x"]["environment"]["KERNEL_CONFIG"].as_str().unwrap();
                assert_eq!(value.replace("$$", "$"), expected, "docker-compose reads {text}");
            }
        }
        for (text, fact) in [
            ("a $b", "'$' in a $b; hint: use single quotes"),
            ("\"${B}\"", "hint: use single quotes"),
            ("'a' b", "'b' after the closing quote"),
            (r#""a\""#, "unclosed quote"),
        ] {
            let error = parse_all(&format!("KERNEL_CONFIG={text}")).unwrap_err();
            assert!(error.contains(fact), "{error}");
        }
    }
}
