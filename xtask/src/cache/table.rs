//! Entries as lines for people. Pure.

use crate::cache::Entry;
use crate::cache::Kind;
use crate::cache::units::ago;
use crate::cache::units::exact_size;
use crate::cache::units::size;
use std::fmt::Write as _;

/// How many digits of a digest tell one from another.
const SHORT: usize = 12;

/// A table of all entries, and what they add up to. `full` shows digests and keys to the end.
pub(super) fn render(entries: &[Entry], full: bool) -> String {
    if entries.is_empty() {
        return "nothing is in it".to_owned();
    }
    let width =
        entries.iter().map(|entry| entry.name.chars().count()).max().unwrap_or_default().max(4);
    let mut table = String::new();
    let mut line = |cells: [&str; 6]| {
        let [kind, name, size, made, used, id] = cells;
        let text = format!("{kind:<9}  {name:<width$}  {size:>11}  {made:>10}  {used:>10}  {id}");
        // Writing to a String cannot fail.
        writeln!(table, "{}", text.trim_end()).ok();
    };
    line(["kind", "name", "size", "made", "last used", "digest or key"]);
    for entry in entries {
        let id = if full { entry.id.as_str() } else { short(&entry.id) };
        let made = entry.made.map(ago).unwrap_or_default();
        line([entry.kind.name(), &entry.name, &size(entry.bytes), &made, &ago(entry.unused), id]);
    }
    let bytes = entries.iter().map(|entry| entry.bytes).sum();
    write!(table, "{} in all", exact_size(bytes)).ok();
    table
}

/// What each kind adds up to, those that are there: `2 kernels 18.8 MiB`.
pub fn totals(entries: &[Entry]) -> Vec<String> {
    let total = |kind: Kind| {
        let of_kind = entries.iter().filter(|entry| entry.kind == kind);
        let (count, bytes) =
            of_kind.fold((0_usize, 0), |(count, bytes), entry| (count + 1, bytes + entry.bytes));
        let noun = match (kind, count) {
            (_, 0) => return None,
            (Kind::Source, count) => format!("{count} source{}", plural(count)),
            (Kind::Kernel, count) => format!("{count} kernel{}", plural(count)),
            (Kind::Lists, _) => "apt's lists".to_owned(),
            (Kind::Objects, _) => "object files".to_owned(),
            (Kind::Scratch, _) => "a build at work, or what is left of one".to_owned(),
            (Kind::Temporary, _) => "temporary files".to_owned(),
        };
        Some(format!("{noun} {}", size(bytes)))
    };
    Kind::ALL.into_iter().filter_map(total).collect()
}

/// One entry in a sentence.
pub(super) fn line(entry: &Entry) -> String {
    let id = if entry.id.is_empty() { String::new() } else { format!(" {}", short(&entry.id)) };
    format!(
        "{} {}{id}, {}, last used {}",
        entry.kind.name(),
        entry.name,
        size(entry.bytes),
        match ago(entry.unused) {
            now if now == "now" => "just now".to_owned(),
            ago => ago,
        }
    )
}

fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::time::Duration;

    fn entry(kind: Kind, name: &str, id: &str, unused: u64) -> Entry {
        Entry {
            kind,
            name: name.to_owned(),
            id: id.to_owned(),
            path: PathBuf::from("/x"),
            bytes: 150_156_083,
            made: (kind == Kind::Kernel).then_some(Duration::from_hours(240)),
            unused: Duration::from_mins(unused),
        }
    }

    #[test]
    fn a_table_has_a_line_for_each_and_their_sum() {
        let id = "0123456789abcdef".repeat(4);
        let entries = [
            entry(Kind::Source, "linux-6.12.109.tar.xz", &id, 0),
            entry(Kind::Kernel, "x86_64 defconfig", &id, 125),
            entry(Kind::Objects, "ccache", "", 4000),
        ];
        let wanted = "\
kind       name                          size        made   last used  digest or key
source     linux-6.12.109.tar.xz    143.1 MiB                     now  0123456789ab
kernel     x86_64 defconfig         143.1 MiB    10 d ago     2 h ago  0123456789ab
objects    ccache                   143.1 MiB                 2 d ago
450468249 bytes (429.5 MiB) in all";
        assert_eq!(render(&entries, false), wanted);
        assert!(render(&entries, true).contains(&id));
        assert_eq!(render(&[], false), "nothing is in it");
        assert_eq!(
            totals(&entries),
            ["1 source 143.1 MiB", "1 kernel 143.1 MiB", "object files 143.1 MiB"]
        );
        assert_eq!(
            line(&entries[1]),
            "kernel x86_64 defconfig 0123456789ab, 143.1 MiB, last used 2 h ago"
        );
        assert_eq!(line(&entries[2]), "objects ccache, 143.1 MiB, last used 2 d ago");
    }
}
