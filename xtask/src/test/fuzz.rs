//! `cargo xtask fuzz`: fuzzes each parser for a limited time. `target/fuzz` keeps the corpus and
//! the findings. The targets are in `ocidd/fuzz/fuzz_targets` and call `ocidd/fuzz/lib.rs`.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use xshell::{Shell, cmd};

use crate::host::{cmd, project, report, report::hinted};

/// Programs that must be in `PATH`, and how to install them.
const PROGRAMS: [(&str, &str); 2] = [
    ("cargo-fuzz", "run cargo install cargo-fuzz --locked"),
    ("c++", "install g++ or clang, which builds libFuzzer"),
];
/// libFuzzer prints these before the number of inputs and before the path of a failing one.
const EXECUTIONS: &str = "stat::number_of_executed_units:";
const FINDING: &str = "Test unit written to ";

/// Fuzz the parsers
///
/// Needs cargo-fuzz and a C++ compiler. The project's stable compiler is enough: no sanitizer is
/// used, because the workspace contains no unsafe code.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask fuzz
      Run every target for a minute
  cargo xtask fuzz reference --seconds 3600
      Run one target for an hour")]
pub struct Args {
    /// Target to run [default: all]
    target: Option<String>,
    /// Time for each target
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
}

pub fn run(args: &Args) -> Result<()> {
    for (program, remedy) in PROGRAMS {
        if cmd::find(program).is_none() {
            return Err(hinted(format!("{program} not found in PATH"), remedy));
        }
    }
    let targets = select(targets()?, args.target.as_deref())?;
    // Fuzzes the dependencies that are shipped. cargo adds those of the targets.
    let shell = Shell::new()?;
    shell.copy_file(project::root().join("Cargo.lock"), folder().join("Cargo.lock"))?;
    let mut failed = Vec::new();
    for target in &targets {
        if let Err(error) = fuzz(&shell, target, args.seconds) {
            report::failure(&error);
            failed.push(target.as_str());
        }
    }
    if !failed.is_empty() {
        bail!("fuzzing failed for {}", failed.join(", "));
    }
    Ok(())
}

/// The crate of the targets.
fn folder() -> PathBuf {
    project::root().join("ocidd/fuzz")
}

/// The names of all targets, sorted.
fn targets() -> Result<Vec<String>> {
    let files = Shell::new()?.read_dir(folder().join("fuzz_targets"))?;
    let names = files.iter().filter_map(|path| path.file_stem()?.to_str());
    Ok(names.map(str::to_owned).collect())
}

fn select(all: Vec<String>, target: Option<&str>) -> Result<Vec<String>> {
    match target {
        None => Ok(all),
        Some(name) if all.iter().any(|known| known == name) => Ok(vec![name.to_owned()]),
        Some(name) => Err(hinted(
            format!("unknown fuzz target '{name}'"),
            format!("the targets are {}", all.join(", ")),
        )),
    }
}

fn fuzz(shell: &Shell, target: &str, seconds: u32) -> Result<()> {
    let kept = project::root().join("target/fuzz");
    let corpus = shell.create_dir(kept.join("corpus").join(target))?;
    let findings = shell.create_dir(kept.join("findings").join(target))?;
    let log = shell.create_dir(project::logs())?.join(format!("fuzz-{target}.log"));
    report::step(format_args!("fuzzing {target} for {seconds} s; log in {}", log.display()));
    let crate_folder = folder();
    let seeds = crate_folder.join("seeds").join(target);
    // libFuzzer does not add a slash.
    let prefix = format!("-artifact_prefix={}/", findings.display());
    let time = format!("-max_total_time={seconds}");
    let cargo = cmd::cargo();
    let fuzz = cmd!(
        shell,
        "{cargo} fuzz run --sanitizer none --fuzz-dir {crate_folder} --target-dir {kept} {target}"
    );
    // An input that takes 10 seconds is considered an endless loop.
    let options = ["--", &time, "-timeout=10", &prefix, "-print_final_stats=1"];
    let fuzz = fuzz.args([corpus, seeds]).args(options).quiet().ignore_status();
    let output = fuzz.output().context("running cargo fuzz")?;
    shell.write_file(&log, &output.stderr)?;
    let text = String::from_utf8_lossy(&output.stderr);
    match (after(&text, FINDING), after(&text, EXECUTIONS)) {
        (Some(path), _) => {
            bail!("{target} failed with the input {path}; log in {}", log.display())
        }
        (None, Some(executions)) if output.status.success() => {
            report::result(format_args!("{target:<12} {executions:>12} executions"));
            Ok(())
        }
        _ => bail!("cargo fuzz ended with {}, log in {}", output.status, log.display()),
    }
}

/// The text after the last occurrence of `words` on a line.
fn after<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    text.lines().rev().find_map(|line| line.split_once(words)).map(|(_, rest)| rest.trim())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn parses_output_of_libfuzzer() {
        let good = "Done 274675 runs in 11 second(s)\nstat::number_of_executed_units: 274675\nstat::peak_rss_mb:              43\n";
        let bad = "SUMMARY: libFuzzer: deadly signal\nartifact_prefix='/f/'; Test unit written to /f/crash-1\nBase64: MQ==\n";
        assert_eq!((after(good, EXECUTIONS), after(good, FINDING)), (Some("274675"), None));
        assert_eq!((after(bad, EXECUTIONS), after(bad, FINDING)), (None, Some("/f/crash-1")));
    }

    #[test]
    fn rejects_unknown_target() {
        let all = targets().unwrap();
        assert!(all.is_sorted() && all.iter().any(|name| name == "parameters"), "{all:?}");
        assert_eq!(select(all.clone(), None).unwrap(), all);
        assert_eq!(select(all.clone(), Some("parameters")).unwrap(), ["parameters"]);
        let error = report::lines(&select(all, Some("wrods")).unwrap_err());
        assert!(
            error.contains("unknown fuzz target 'wrods'\nhint: the targets are challenge, "),
            "{error}"
        );
    }

    #[test]
    fn has_seeds_for_each_target() {
        for target in targets().unwrap() {
            let seeds = folder().join("seeds").join(&target);
            assert!(fs::read_dir(seeds).unwrap().next().is_some(), "{target}");
        }
    }
}
