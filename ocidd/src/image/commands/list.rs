//! `list`: images of the store, or tags of a repository.

use clap::Args;
use oci::{layout, reference::ManifestReference};
use registry::{auth::Access, repository::Remote, session::Session};
use serde_json::json;

use super::{print, print_json, short};
use crate::image::error::Result;

/// List the images of the store, or the tags of a repository
#[derive(Args, Debug)]
pub(in crate::image) struct List {
    /// Repository (registry/repository) whose tags to list [default: the store]
    #[arg(value_name = "REPOSITORY")]
    repository: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &List, session: &Session) -> Result<()> {
    match &args.repository {
        Some(repository) => list_tags(repository, args.json, session),
        None => list_store(args.json, session),
    }
}

fn list_tags(repository: &str, as_json: bool, session: &Session) -> Result<()> {
    // Any tag turns the repository into a reference.
    let reference: ManifestReference = format!("{repository}:latest").parse()?;
    let tags = Remote::open(session, &reference.repository, Access::Pull)?.list_tags()?;
    if as_json {
        return print_json(&tags);
    }
    tags.iter().try_for_each(|tag| print(&format!("{tag}\n")))
}

fn list_store(as_json: bool, session: &Session) -> Result<()> {
    let entries = session.store()?.entries()?;
    if as_json {
        let rows: Vec<_> = entries
            .iter()
            .map(|entry| json!({ "name": layout::name_of(entry), "digest": entry.digest().to_string() }))
            .collect();
        return print_json(&rows);
    }
    let mut rows = vec![["REPOSITORY", "TAG", "IMAGE ID"].map(str::to_owned)];
    for entry in &entries {
        let [repository, tag] = split(layout::name_of(entry));
        rows.push([repository, tag, short(entry.digest()).to_owned()]);
    }
    print(&table(&rows))
}

/// Splits a name into repository and tag.
fn split(name: Option<&str>) -> [String; 2] {
    const NONE: &str = "<none>";
    let name = name.unwrap_or(NONE);
    // A colon before the last slash precedes a port.
    let (folder, last) = name.split_at(name.rfind('/').map_or(0, |at| at + 1));
    let (base, tag) = last.split_once(':').unwrap_or((last, NONE));
    [format!("{folder}{base}"), tag.to_owned()]
}

/// Columns separated by three spaces.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}   "));
        format!("{}\n", cells.collect::<String>().trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_split_at_its_tag() {
        for (name, wanted) in [
            (None, ["<none>", "<none>"]),
            (Some("r.example:5000/a/b:1"), ["r.example:5000/a/b", "1"]),
            (Some("r.example:5000/a"), ["r.example:5000/a", "<none>"]),
            (Some("name"), ["name", "<none>"]),
            (Some("name:1"), ["name", "1"]),
        ] {
            assert_eq!(split(name), wanted, "{name:?}");
        }
    }
}
