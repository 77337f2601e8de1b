//! Which entries are to go: those past some limits, or those that a person names. Pure.

use crate::cache::Entry;
use crate::cache::Kind;
use crate::cache::store::ABANDONED;
use crate::cache::units::size;
use crate::config;
use anyhow::Result;
use anyhow::bail;
use std::collections::BTreeSet;
use std::time::Duration;

/// What may stay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How long ago it was used at most.
    pub(super) max_age: Duration,
    /// How many bytes all of it has at most.
    pub(super) max_size: Option<u64>,
}

/// The entries that `limits` leave no place for, in the order given. Scratch has no worth once its build has ended.
pub(super) fn expendable(entries: &[Entry], limits: Limits) -> Vec<&Entry> {
    let is_old = |entry: &Entry| match entry.kind {
        Kind::Scratch => true,
        Kind::Temporary => entry.unused > ABANDONED,
        _ => entry.unused > limits.max_age,
    };
    let mut left: Vec<&Entry> = entries.iter().filter(|entry| !is_old(entry)).collect();
    if let Some(max_size) = limits.max_size {
        let mut bytes: u64 = left.iter().map(|entry| entry.bytes).sum();
        // What is being filled stays; taking it away would break a build.
        left.sort_by_key(|entry| (entry.kind == Kind::Temporary, entry.unused));
        while bytes > max_size {
            let last = left.iter().rposition(|entry| entry.kind != Kind::Temporary);
            let Some(last) = last else { break };
            bytes -= left.remove(last).bytes;
        }
    }
    entries.iter().filter(|entry| !left.iter().any(|kept| kept.path == entry.path)).collect()
}

/// The entries that `words` name: each word the name of one, or the beginning of its digest or key. Every word that names none or several is told.
pub(super) fn named<'a>(entries: &'a [Entry], words: &[String]) -> Result<Vec<&'a Entry>> {
    let mut chosen: Vec<&Entry> = Vec::new();
    let mut faults = Vec::new();
    for word in words {
        let found = matching(entries, word);
        let ids: BTreeSet<&str> = found.iter().map(|entry| entry.id.as_str()).collect();
        match ids.len() {
            0 => faults.push(unknown(entries, word)),
            1 => chosen.extend(found),
            count => {
                let lines: Vec<String> = found.iter().copied().map(candidate).collect();
                faults.push(format!(
                    "'{word}' may be each of {count}  hint: write more of its digest or key\n{}",
                    lines.join("\n")
                ));
            }
        }
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    // Two words may name the same.
    Ok(entries.iter().filter(|entry| chosen.contains(entry)).collect())
}

/// Whole names count more than beginnings of digests. A digest's beginning means all that lies under it.
fn matching<'a>(entries: &'a [Entry], word: &str) -> Vec<&'a Entry> {
    let named: Vec<_> = entries.iter().filter(|entry| entry.name == word).collect();
    if !named.is_empty() || word.is_empty() {
        return named;
    }
    entries.iter().filter(|entry| entry.id.starts_with(word)).collect()
}

fn candidate(entry: &Entry) -> String {
    format!("  {} {} {} {}", entry.id, entry.kind.name(), entry.name, size(entry.bytes))
}

fn unknown(entries: &[Entry], word: &str) -> String {
    let of = |entry: &'_ Entry| [entry.name.clone(), entry.id.chars().take(word.len()).collect()];
    let known: Vec<String> = entries.iter().flat_map(of).filter(|name| !name.is_empty()).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    match config::nearest(word, &known) {
        Some(near) => format!("the cache holds nothing by '{word}'  hint: did you mean '{near}'?"),
        None => format!(
            "the cache holds nothing by '{word}'  hint: `cargo xtask cache ls` tells what it holds"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn entry(kind: Kind, name: &str, id: &str, (bytes, days): (u64, u64)) -> Entry {
        Entry {
            kind,
            name: name.to_owned(),
            id: id.to_owned(),
            path: PathBuf::from(format!("/{id}/{name}")),
            bytes,
            made: None,
            unused: Duration::from_hours(24 * days),
        }
    }

    fn entries() -> Vec<Entry> {
        vec![
            entry(Kind::Source, "linux.tar.xz", "aa11", (100, 2)),
            entry(Kind::Source, "busybox.deb", "ab22", (10, 40)),
            entry(Kind::Source, "busybox.deb", "cc33", (11, 1)),
            entry(Kind::Source, "busybox.deb.wrong", "cc33", (5, 1)),
            entry(Kind::Kernel, "x86_64 defconfig", "ac44", (50, 31)),
            entry(Kind::Kernel, "arm64 defconfig", "dd55", (60, 30)),
            entry(Kind::Lists, "apt-amd64", "", (20, 3)),
            entry(Kind::Objects, "ccache", "", (30, 4)),
            entry(Kind::Scratch, "build", "", (1000, 0)),
            entry(Kind::Temporary, ".tmpA", "", (7, 1)),
            entry(Kind::Temporary, ".tmpB", "", (8, 3)),
        ]
    }

    #[test]
    fn what_is_past_a_limit_goes() {
        let all = entries();
        for (days, max_size, wanted) in [
            (30, None, &["ab22", "ac44", "build", ".tmpB"][..]),
            (50, None, &["build", ".tmpB"]),
            (31, None, &["ab22", "build", ".tmpB"]),
            // 293 bytes are young enough. Of these goes what was used longest ago, one by one.
            (50, Some(293), &["build", ".tmpB"]),
            (50, Some(292), &["ab22", "build", ".tmpB"]),
            (50, Some(282), &["ab22", "ac44", "build", ".tmpB"]),
            (50, Some(232), &["ab22", "ac44", "dd55", "build", ".tmpB"]),
            (50, Some(172), &["ab22", "ac44", "dd55", "ccache", "build", ".tmpB"]),
            (
                50,
                Some(0),
                &[
                    "aa11",
                    "ab22",
                    "cc33",
                    "cc33",
                    "ac44",
                    "dd55",
                    "apt-amd64",
                    "ccache",
                    "build",
                    ".tmpB",
                ],
            ),
        ] {
            let limits = Limits { max_age: Duration::from_hours(24 * days), max_size };
            let chosen = expendable(&all, limits);
            let names: Vec<_> = chosen
                .iter()
                .map(|entry| if entry.id.is_empty() { &entry.name } else { &entry.id })
                .collect();
            assert_eq!(names, wanted, "{days} {max_size:?}");
        }
    }

    #[test]
    fn words_name_entries() {
        let all = entries();
        for (words, wanted) in [
            (&["aa"][..], Ok(&["linux.tar.xz"][..])),
            (&["linux.tar.xz", "aa11"], Ok(&["linux.tar.xz"])),
            (&["ccache", "ab"], Ok(&["busybox.deb", "ccache"])),
            (&["cc"], Ok(&["busybox.deb", "busybox.deb.wrong"])),
            (
                &["a"],
                Err(
                    &["'a' may be each of 3", "  aa11 source linux.tar.xz 100 B", "ac44 kernel"][..],
                ),
            ),
            (&["busybox.deb"], Err(&["'busybox.deb' may be each of 2", "ab22", "cc33"])),
            (&["linux.tar.gz"], Err(&["did you mean 'linux.tar.xz'?"])),
            (&["ad44"], Err(&["did you mean 'ac44'?"])),
            (
                &["nothing", "a"],
                Err(&["nothing by 'nothing'  hint: `cargo xtask cache ls`", "each of 3"]),
            ),
            (&[""], Err(&["nothing by ''"])),
        ] {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            match (named(&all, &words), wanted) {
                (Ok(found), Ok(wanted)) => {
                    let names: Vec<_> = found.iter().map(|entry| entry.name.as_str()).collect();
                    assert_eq!(names, wanted, "{words:?}");
                }
                (Err(error), Err(facts)) => {
                    let text = error.to_string();
                    assert!(facts.iter().all(|fact| text.contains(fact)), "{text}");
                }
                (outcome, _) => panic!("{words:?}: {outcome:?}"),
            }
        }
    }
}
