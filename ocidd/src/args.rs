//! The words `ocidd` understands: the parser over their table, and the help text made from it. Pure.
//!
//! A word is `key=value` or `key`, as on a kernel command line; the value may hold `=`; of repeated words the last wins. Words outside our
//! prefixes belong to the kernel or to others and are passed over; inside them an unknown one is a typing mistake and refused.

mod words;

pub use words::WORDS;
pub use words::Word;

use crate::disk::selector;
use std::fmt;
use std::num::ParseIntError;
use std::time::Duration;

/// A word that begins with one of these is meant for us, known or not.
const PREFIXES: [&str; 3] = ["oci.", "dd.", "ocidd."];

/// What was typed. Nothing is checked against anything else yet; that is the plan's part.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word that is said or not said")]
pub struct Options {
    pub tag: Option<String>,
    pub blob: Option<String>,
    pub platform: Option<String>,
    pub mirrors: Vec<String>,
    pub verify_key: Option<String>,
    pub retries: Option<Retries>,
    pub timeout: Option<Duration>,
    pub allow_no_tls: bool,
    pub insecure_skip_verify: bool,
    pub http_proxy: Option<String>,
    pub https_proxy: Option<String>,
    pub no_proxy: Option<String>,
    pub disk: Option<String>,
    pub disk_timeout: Option<Duration>,
    /// Bytes.
    pub transfer_size: Option<u64>,
    pub keep_gpt: bool,
    pub read_back: bool,
    pub wait: bool,
    pub dry_run: bool,
    pub skip_if_installed: bool,
    pub report: Option<String>,
}

/// How often a request that failed for a passing reason is sent again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retries {
    Times(u32),
    Infinite,
}

impl std::str::FromStr for Retries {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "infinite" { Ok(Self::Infinite) } else { text.parse().map(Self::Times) }
    }
}

/// What a command line asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    Help,
    Version,
    Install(Box<Options>),
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
    if faults.is_empty() { Ok(Request::Install(Box::new(options))) } else { Err(faults) }
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
            "Fetches a raw disk image, compressed by gzip, zstd, xz or not at all, from an OCI registry, verifies it and writes it to a disk.\n\n\
             Usage: ocidd [WORD]...\n\n\
             Words, as on a kernel command line; of repeated ones the last wins, those of others are passed over:\n",
        )?;
        for word in &WORDS {
            writeln!(f, "  {}\n      {}", word.typed(), word.meaning)?;
        }
        f.write_str(
            "  -h, --help\n      print this\n  \
               -V, --version\n      print the version\n\n\
             A selector picks the disk by what it is: parts joined by commas, which one disk alone must match. Removable and\n\
             read-only disks, loop devices and disks in use are never chosen; '*' stands for anything at either end of a text:\n",
        )?;
        for (part, meaning) in selector::PARTS {
            writeln!(f, "  {part:<20} {meaning}")?;
        }
        f.write_str(
            "\nAn image and a disk that are not named are asked for on the console.\n\
             /etc/ocidd/words may hold further words, one a line; they are read first, so the command line wins.\n\
             /etc/ocidd/ca.d may hold further certificate authorities, as PEM files.\n\
             /etc/ocidd/keys.d may hold public keys, as PEM files: then one of them has to have signed the image.\n\
             /etc/ocidd/auth.json may hold logins, as docker's config.json does.\n\n\
             Examples:\n  \
               ocidd oci.tag=registry.example/os:1 dd.of=/dev/sda dd.bs=1M\n  \
               ocidd oci.tag=10.0.2.2:5000/os:1 oci.allow_no_tls dd.of=/dev/vda wait\n  \
               ocidd oci.tag=registry.example/os:1 dd.of=transport:nvme,smallest dd.verify=readback\n  \
               ocidd oci.tag=registry.example/os:1 dd.of=serial:S3Z8NB0K ocidd.dry_run\n\n\
             Exit status:\n",
        )?;
        for (code, meaning) in crate::report::failure::EXIT_CODES {
            writeln!(f, "  {code}  {meaning}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
