//! `cargo xtask doctor`: one page of what decides whether a build works here. Goes in: this machine, as it is. Comes out: lines for a person, and whether
//! anything that a build needs is missing. It changes nothing.

mod machine;
mod rust;
mod sources;
mod tools;
mod variables;

use crate::arch::Arch;
use crate::arch::ArchOption;
use crate::cache::Cache;
use crate::report;
use anyhow::Result;
use anyhow::bail;

/// Tell what a build would find on this machine, and what it lacks
///
/// For whoever looks into a build that does not work, and for reports of such. Installs, fetches and writes nothing; asks a few hosts whether they are
/// there. Passwords of proxies are hidden. Exits with 1 when a build cannot work; then the last line says what to do.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask doctor
      Can this machine build for itself?
  cargo xtask doctor --arch arm64
      Can it build for another one?")]
pub struct Args {
    #[command(flatten)]
    arch: ArchOption,
}

/// A part of the page.
#[derive(Debug, Default)]
struct Section {
    title: &'static str,
    lines: Vec<String>,
    troubles: Vec<Trouble>,
}

/// Why a build cannot work.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Trouble {
    fact: String,
    /// What a person does about it.
    remedy: String,
}

pub fn run(args: &Args) -> Result<()> {
    for arch in args.arch.chosen()? {
        examine(arch)?;
    }
    Ok(())
}

fn examine(arch: Arch) -> Result<()> {
    let cache = Cache::at(Cache::place()?);
    let sections = [
        machine::project(),
        machine::host(),
        tools::section(arch),
        rust::section(arch),
        machine::cache(&cache),
        variables::section(),
        sources::section(arch, &cache),
    ];
    for section in &sections {
        report::result(section.title);
        for line in section.lines.iter().flat_map(|line| line.lines()) {
            report::result(format_args!("  {line}").to_string().trim_end());
        }
    }
    verdict(arch, &sections.iter().flat_map(|section| &section.troubles).collect::<Vec<_>>())?;
    report::result(format_args!("a build for {arch} can work"));
    Ok(())
}

/// Fails with everything that is in the way, and ends with what to do about it.
fn verdict(arch: Arch, troubles: &[&Trouble]) -> Result<()> {
    if troubles.is_empty() {
        return Ok(());
    }
    let facts: Vec<&str> = troubles.iter().map(|trouble| trouble.fact.as_str()).collect();
    let mut remedies: Vec<&str> = troubles.iter().map(|trouble| trouble.remedy.as_str()).collect();
    remedies.dedup();
    bail!(
        "a build for {arch} cannot work: {}  hint: {}",
        facts.join("; "),
        remedies.join("; then ")
    )
}

/// Rows as lines, with the cells of each column below each other.
fn aligned<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_tells_all_facts_and_each_remedy_once() {
        let trouble =
            |fact: &str, remedy: &str| Trouble { fact: fact.to_owned(), remedy: remedy.to_owned() };
        let (tools, hosts) = (trouble("flex is missing", "install it"), trouble("no host", "wait"));
        assert!(verdict(Arch::X86_64, &[]).is_ok());
        assert_eq!(
            verdict(Arch::X86_64, &[&tools, &hosts, &hosts]).unwrap_err().to_string(),
            "a build for x86_64 cannot work: flex is missing; no host; no host  hint: install it; then wait"
        );
    }

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [["a", "bb", "c"], ["aaa", "b", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(aligned(&rows), ["a    bb  c", "aaa  b"]);
        assert_eq!(aligned::<2>(&[]), Vec::<String>::new());
    }
}
