//! The words `ocidd` understands: one table, the parser over it, and the help text made from it. Pure.
//!
//! A word is `key=value` or `key`, as on a kernel command line; the value may hold `=`; of repeated words the last wins. Words outside our
//! prefixes belong to the kernel or to others and are passed over; inside them an unknown one is a typing mistake and refused.

use crate::size::parse_size;
use std::fmt;

/// One word: how it is typed, what it means, how it changes the options.
#[derive(Debug)]
pub struct Word {
    pub key: &'static str,
    /// What stands for the value in help; empty for a word that is said or not said.
    pub value: &'static str,
    pub meaning: &'static str,
    apply: fn(&mut Options, &str) -> Result<(), String>,
}

/// Every word, in the order of the help text and of README's table.
pub const WORDS: [Word; 6] = [
    Word {
        key: "oci.tag",
        value: "REF",
        meaning: "registry/repository:tag (or @sha256:…) of a manifest with exactly one disk layer",
        apply: |options, value| set(&mut options.tag, value, "a reference"),
    },
    Word {
        key: "oci.blob",
        value: "REPO@sha256:…",
        meaning: "the compressed disk image itself, as a blob; instead of oci.tag",
        apply: |options, value| set(&mut options.blob, value, "a reference"),
    },
    Word {
        key: "oci.allow_no_tls",
        value: "",
        meaning: "talk plain HTTP to the registry; digests still protect the image, nothing protects the tag",
        apply: |options, value| switch(&mut options.allow_no_tls, value),
    },
    Word {
        key: "dd.of",
        value: "DISK",
        meaning: "the target disk, a whole one such as /dev/sda; or an existing regular file",
        apply: |options, value| set(&mut options.disk, value, "a device such as /dev/sda"),
    },
    Word {
        key: "dd.bs",
        value: "SIZE",
        meaning: "write at most this much at once (64k, 1M, …); left out, a good size is chosen",
        apply: |options, value| match parse_size(value) {
            Some(bytes) => {
                options.transfer_size = Some(bytes);
                Ok(())
            }
            None => Err(format!(
                "'{value}' is no size; hint: a number with one of dd's suffixes, as 64k or 1M"
            )),
        },
    },
    Word {
        key: "wait",
        value: "",
        meaning: "ask for confirmation on the console before the disk is overwritten",
        apply: |options, value| switch(&mut options.wait, value),
    },
];

/// A word that begins with one of these is meant for us, known or not.
const PREFIXES: [&str; 3] = ["oci.", "dd.", "ocidd."];

/// What was typed. Nothing is checked against anything else yet; that is the plan's part.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Options {
    pub tag: Option<String>,
    pub blob: Option<String>,
    pub allow_no_tls: bool,
    pub disk: Option<String>,
    /// Bytes.
    pub transfer_size: Option<u64>,
    pub wait: bool,
}

/// What a command line asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    Help,
    Version,
    Install(Options),
}

/// Reads words in order; or tells everything that is wrong with them, one line each.
pub fn parse_words(
    words: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<Request, Vec<String>> {
    let mut options = Options::default();
    let mut faults = Vec::new();
    for word in words {
        let word = word.as_ref();
        match word {
            "--help" | "-h" => return Ok(Request::Help),
            "--version" | "-V" => return Ok(Request::Version),
            _ => {}
        }
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        if let Some(known) = WORDS.iter().find(|known| known.key == key) {
            if let Err(fault) = (known.apply)(&mut options, value) {
                faults.push(format!("{key}: {fault}"));
            }
        } else if PREFIXES.iter().any(|prefix| key.starts_with(prefix)) {
            faults.push(format!("'{key}' is not known; hint: {}", nearest(key)));
        }
    }
    if faults.is_empty() { Ok(Request::Install(options)) } else { Err(faults) }
}

fn set(option: &mut Option<String>, value: &str, wanted: &str) -> Result<(), String> {
    if value.is_empty() {
        return Err(format!("no value; hint: it takes {wanted}"));
    }
    *option = Some(value.to_owned());
    Ok(())
}

/// A switch is said bare; a value is taken too, so that a later word can take back what a site file says.
fn switch(option: &mut bool, value: &str) -> Result<(), String> {
    *option = match value {
        "" | "1" | "y" | "yes" | "on" | "true" => true,
        "0" | "n" | "no" | "off" | "false" => false,
        _ => return Err(format!("'{value}' is neither yes nor no")),
    };
    Ok(())
}

fn nearest(key: &str) -> String {
    let known = WORDS.iter().map(|word| word.key);
    match known.clone().max_by(|a, b| strsim::jaro(a, key).total_cmp(&strsim::jaro(b, key))) {
        Some(best) if strsim::jaro(best, key) > 0.8 => format!("the nearest word is {best}"),
        _ => format!("the words are {}", known.collect::<Vec<_>>().join(", ")),
    }
}

/// `ocidd --help`.
#[derive(Clone, Copy, Debug)]
pub struct Help;

impl fmt::Display for Help {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "Fetches a gzip-compressed raw disk image from an OCI registry, verifies it and writes it to a disk.\n\n\
             Usage: ocidd [WORD]...\n\n\
             Words, as on a kernel command line; of repeated ones the last wins, those of others are passed over:\n",
        )?;
        for word in &WORDS {
            let typed = if word.value.is_empty() {
                word.key.to_owned()
            } else {
                format!("{}={}", word.key, word.value)
            };
            writeln!(f, "  {typed:<23} {}", word.meaning)?;
        }
        f.write_str(
            "  -h, --help              print this\n  \
               -V, --version           print the version\n\n\
             An image and a disk that are not named are asked for on the console.\n\
             /etc/ocidd/words may hold further words, one a line; they are read first, so the command line wins.\n\
             /etc/ocidd/ca.d may hold further certificate authorities, as PEM files.\n\n\
             Examples:\n  \
               ocidd oci.tag=registry.example/os:1 dd.of=/dev/sda dd.bs=1M\n  \
               ocidd oci.tag=10.0.2.2:5000/os:1 oci.allow_no_tls dd.of=/dev/vda wait\n\n\
             Exit status:\n",
        )?;
        for (code, meaning) in crate::failure::EXIT_CODES {
            writeln!(f, "  {code}  {meaning}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(words: &[&str]) -> Options {
        match parse_words(words) {
            Ok(Request::Install(options)) => options,
            other => panic!("{words:?}: {other:?}"),
        }
    }

    #[test]
    fn reads_every_word() {
        let all = options(&[
            "oci.tag=r:1/a:b",
            "oci.blob=x@y",
            "oci.allow_no_tls",
            "dd.of=/dev/vda",
            "dd.bs=64k",
            "wait",
        ]);
        let wanted = Options {
            tag: Some("r:1/a:b".to_owned()),
            blob: Some("x@y".to_owned()),
            allow_no_tls: true,
            disk: Some("/dev/vda".to_owned()),
            transfer_size: Some(65536),
            wait: true,
        };
        assert_eq!(all, wanted);
    }

    #[test]
    fn passes_over_the_words_of_others() {
        assert_eq!(
            options(&[
                "quiet",
                "console=ttyS0,115200",
                "root=/dev/x=y",
                "ddx.of=1",
                "waiting",
                "",
                "=",
                "ip=dhcp"
            ]),
            Options::default()
        );
    }

    #[test]
    fn the_last_of_repeated_words_wins() {
        let last = options(&[
            "dd.of=/dev/a",
            "wait",
            "oci.allow_no_tls=1",
            "dd.of=/dev/b=c",
            "wait=no",
            "oci.allow_no_tls=off",
        ]);
        assert_eq!(last, Options { disk: Some("/dev/b=c".to_owned()), ..Options::default() });
    }

    #[test]
    fn tells_everything_that_is_wrong_at_once() {
        let faults = parse_words([
            "oci.tga=x",
            "dd.of",
            "dd.bs=1Q",
            "wait=perhaps",
            "ocidd.zzz=1",
            "oci.tag=",
        ])
        .unwrap_err();
        let all = faults.join("\n");
        assert_eq!(faults.len(), 6, "{all}");
        for found in [
            "'oci.tga' is not known; hint: the nearest word is oci.tag",
            "dd.of: no value",
            "dd.bs: '1Q'",
            "wait: 'perhaps'",
            "the words are",
            "oci.tag: no value",
        ] {
            assert!(all.contains(found), "{found} in {all}");
        }
    }

    #[test]
    fn help_and_version_are_found_anywhere() {
        assert_eq!(parse_words(["quiet", "--help", "oci.tga"]), Ok(Request::Help));
        assert_eq!(parse_words(["-V"]), Ok(Request::Version));
    }

    #[test]
    fn help_and_readme_name_every_word_with_its_meaning() {
        let help = Help.to_string();
        let readme = include_str!("../../README.md");
        for word in &WORDS {
            assert!(help.contains(word.key) && help.contains(word.meaning), "{}", word.key);
            let typed = if word.value.is_empty() {
                word.key.to_owned()
            } else {
                format!("{}={}", word.key, word.value)
            };
            let row = format!("| `{typed}` | {} |", word.meaning);
            assert!(readme.contains(&row), "README.md lacks this row:\n{row}");
        }
        for (code, meaning) in crate::failure::EXIT_CODES {
            let row = format!("| {code} | {meaning} |");
            assert!(readme.contains(&row), "README.md lacks this row:\n{row}");
        }
    }
}
