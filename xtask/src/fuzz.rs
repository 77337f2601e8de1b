//! `cargo xtask fuzz`: gives made-up bytes to each parser for a while, and tells how many were tried. What is found is kept below `target/fuzz`, and the next
//! run goes on from there. The targets are `ocidd/fuzz/fuzz_targets`, what they call is `ocidd/fuzz/lib.rs`.

use crate::cmd;
use crate::project;
use crate::report;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use std::fs;
use std::path::PathBuf;
use xshell::Shell;
use xshell::cmd;

/// What has to be in `PATH`, and how it gets there.
const PROGRAMS: [(&str, &str); 2] = [
    ("cargo-fuzz", "cargo install cargo-fuzz --locked"),
    ("c++", "install g++ or clang; libFuzzer is built by it"),
];
/// Seconds after which one input counts as an endless loop.
const TIMEOUT: &str = "-timeout=10";
/// What libFuzzer says before the number of inputs it tried, and before the path of one that goes wrong.
const EXECUTIONS: &str = "stat::number_of_executed_units:";
const FINDING: &str = "Test unit written to ";

/// Try the parsers with made-up bytes
///
/// Needs cargo-fuzz and a C++ compiler. The stable compiler of the project will do: no sanitizer is used, since no code of ours is unsafe.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask fuzz
      Every target for a minute
  cargo xtask fuzz reference --seconds 3600
      One target for an hour")]
pub struct Args {
    /// Name of a target; left out, every one is run
    target: Option<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
}

pub fn run(args: &Args) -> Result<()> {
    require_programs()?;
    let targets = chosen(targets()?, args.target.as_deref())?;
    // The parsers are tried with the versions that are shipped, not with the newest. cargo adds what only the targets need.
    let (from, to) = (project::root().join("Cargo.lock"), folder().join("Cargo.lock"));
    fs::copy(&from, &to)
        .with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
    let mut failed = Vec::new();
    for target in &targets {
        if let Err(error) = fuzz(target, args.seconds) {
            report::failure(&error);
            failed.push(target.as_str());
        }
    }
    if !failed.is_empty() {
        bail!("fuzzing went wrong for {}", failed.join(", "));
    }
    Ok(())
}

/// The crate of the targets.
fn folder() -> PathBuf {
    project::root().join("ocidd/fuzz")
}

fn require_programs() -> Result<()> {
    for (program, remedy) in PROGRAMS {
        if cmd::find(program).is_none() {
            bail!("fuzzing needs {program}, which is not in PATH  hint: {remedy}");
        }
    }
    Ok(())
}

/// Every target's name, in order.
fn targets() -> Result<Vec<String>> {
    let folder = folder().join("fuzz_targets");
    let doing = || format!("listing {}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(doing)? {
        let path = entry.with_context(doing)?.path();
        names.extend(path.file_stem().and_then(|name| name.to_str()).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

fn chosen(all: Vec<String>, target: Option<&str>) -> Result<Vec<String>> {
    match target {
        None => Ok(all),
        Some(name) if all.iter().any(|known| known == name) => Ok(vec![name.to_owned()]),
        Some(name) => {
            bail!("'{name}' is no fuzz target  hint: the targets are {}", all.join(", "))
        }
    }
}

/// Builds and runs one target.
fn fuzz(target: &str, seconds: u32) -> Result<()> {
    let kept = project::root().join("target/fuzz");
    let corpus = kept.join("corpus").join(target);
    let findings = kept.join("findings").join(target);
    let log = project::logs().join(format!("fuzz-{target}.log"));
    let shell = Shell::new()?;
    for folder in [&corpus, &findings, &project::logs()] {
        shell.create_dir(folder)?;
    }
    report::step(format_args!("fuzzing {target} for {seconds} s; log in {}", log.display()));
    let crate_folder = folder();
    let seeds = crate_folder.join("seeds").join(target);
    // libFuzzer takes the prefix as it is.
    let prefix = format!("-artifact_prefix={}/", findings.display());
    let time = format!("-max_total_time={seconds}");
    let cargo = cmd::cargo();
    let output = cmd!(
        shell,
        "{cargo} fuzz run --sanitizer none --fuzz-dir {crate_folder} --target-dir {kept} {target} {corpus} {seeds} -- {time} {TIMEOUT} {prefix} -print_final_stats=1"
    )
    .quiet()
    .ignore_status()
    .output()
    .context("running cargo fuzz")?;
    fs::write(&log, &output.stderr).with_context(|| format!("writing {}", log.display()))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let executions = after(&text, EXECUTIONS);
    match (after(&text, FINDING), executions) {
        (Some(path), _) => {
            bail!("{target} goes wrong with the bytes of {path}; why, is in {}", log.display())
        }
        (None, Some(executions)) if output.status.success() => {
            report::result(format_args!("{target:<12} {executions:>12} executions"));
            Ok(())
        }
        _ => bail!("cargo fuzz ended with {}, log in {}", output.status, log.display()),
    }
}

/// What follows `words` on their line, the last time they are said.
fn after<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    text.lines().rev().find_map(|line| line.split_once(words)).map(|(_, rest)| rest.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_libfuzzer_says_at_its_end() {
        let good = "Done 274675 runs in 11 second(s)\nstat::number_of_executed_units: 274675\nstat::peak_rss_mb:              43\n";
        let bad = "SUMMARY: libFuzzer: deadly signal\nartifact_prefix='/f/'; Test unit written to /f/crash-1\nBase64: MQ==\n";
        assert_eq!((after(good, EXECUTIONS), after(good, FINDING)), (Some("274675"), None));
        assert_eq!((after(bad, EXECUTIONS), after(bad, FINDING)), (None, Some("/f/crash-1")));
    }

    #[test]
    fn a_target_is_one_of_those_there_are() {
        let all = targets().unwrap();
        assert!(all.is_sorted() && all.iter().any(|name| name == "words"), "{all:?}");
        assert_eq!(chosen(all.clone(), None).unwrap(), all);
        assert_eq!(chosen(all.clone(), Some("words")).unwrap(), ["words"]);
        let error = chosen(all, Some("wrods")).unwrap_err().to_string();
        assert!(
            error.contains("'wrods' is no fuzz target  hint: the targets are challenge, "),
            "{error}"
        );
    }

    #[test]
    fn the_crate_of_the_targets_has_seeds_for_each() {
        for target in targets().unwrap() {
            let seeds = folder().join("seeds").join(&target);
            assert!(fs::read_dir(seeds).unwrap().next().is_some(), "{target}");
        }
    }
}
