//! `cargo xtask lint`: formatting, clippy, workflows, and the rules no other tool knows. Tells all findings at once.

mod workflows;

use crate::cmd;
use crate::project;
use crate::report;
use crate::setup;
use crate::setup::Need;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use std::path::Path;
use xshell::Shell;
use xshell::cmd;

/// The longest a text file may be without a reason in its header.
const LINES: usize = 300;
/// What the header of a longer file says before its reason.
const REASON: &str = "over 300 lines:";
/// Lines of a file that count as its header.
const HEADER: usize = 15;
/// The largest tracked file, in bytes. Disk images, kernels and the like do not belong here.
const SIZE: usize = 256 * 1024;
/// Written by tools, so neither long nor badly spaced by anyone's fault.
const GENERATED: [&str; 1] = ["Cargo.lock"];
/// Put together from halves, or this file would be a finding.
const IGNORED_TEST: &str = concat!("#[", "ignore");
const UNWRITTEN: &str = concat!("todo", "!(");

/// Check formatting, run clippy, judge the workflows, and look for what none of these sees
///
/// What is below .github is judged by zizmor, and with compose.yaml by JSON schemas. Both tools are fetched by pip, pinned by digest, and stay in target/xtask. On
/// a machine that cannot fetch them lint warns and goes on; with CI=true it fails. Where there is docker-compose, it reads compose.yaml too.
///
/// The other rules: no file over 300 lines unless its header says why ("over 300 lines: …"), no white space at a line's end, a `//!` header
/// on every Rust file, no tracked file over 256 KiB, no ignored test, no unwritten code.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask lint
      What CI runs
  cargo fmt && cargo clippy --fix --allow-dirty && cargo xtask lint
      Let the tools mend what they can first")]
pub struct Args {}

pub fn run(_args: &Args) -> Result<()> {
    let shell = Shell::new()?;
    shell.change_dir(project::root());
    setup::require(&[Need::Lint])?;
    let cargo = cmd::cargo();
    let mut failed = Vec::new();
    report::step("checking formatting");
    if cmd!(shell, "{cargo} fmt --all --check").quiet().run().is_err() {
        failed.push("formatting".to_owned());
    }
    report::step("running clippy");
    // All there is, and the installer as the initramfs has it.
    for what in [["--workspace", "--all-targets"], ["--package=ocidd", "--no-default-features"]] {
        let clippy = cmd!(shell, "{cargo} clippy {what...} --locked -- -D warnings");
        if clippy.quiet().run().is_err() {
            failed.push(format!("clippy {}", what.join(" ")));
        }
    }
    report::step("looking at workflows and compose.yaml");
    failed.extend(workflows::check(&shell)?);
    report::step("looking at every file");
    let findings = look(&shell)?;
    for finding in &findings {
        report::result(finding);
    }
    if !findings.is_empty() {
        failed.push(format!("{} in files", findings.len()));
    }
    if !failed.is_empty() {
        bail!("lint has findings: {}", failed.join(", "));
    }
    Ok(())
}

/// The findings in all files that are tracked or would be.
fn look(shell: &Shell) -> Result<Vec<String>> {
    let names = cmd!(shell, "git ls-files -z --cached --others --exclude-standard")
        .quiet()
        .read()
        .context("listing the project's files")?;
    let mut findings = Vec::new();
    for name in names.split_terminator('\0') {
        let path = shell.current_dir().join(name);
        // A file deleted but still in the index, or a link, has no text of its own.
        if !path.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
            continue;
        }
        let bytes = std::fs::read(&path).with_context(|| format!("reading {name}"))?;
        findings
            .extend(look_at(name, &bytes).into_iter().map(|finding| format!("{name}{finding}")));
    }
    Ok(findings)
}

/// What is wrong with one file, each to be put after its name.
fn look_at(name: &str, bytes: &[u8]) -> Vec<String> {
    let mut findings = Vec::new();
    if bytes.len() > SIZE {
        findings
            .push(format!(": {} bytes, at most {SIZE} belong into the repository", bytes.len()));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return findings };
    if GENERATED.contains(&name) {
        return findings;
    }
    let count = text.lines().count();
    if count > LINES && !text.lines().take(HEADER).any(|line| line.contains(REASON)) {
        findings.push(format!(": {count} lines, more than {LINES}  hint: split it by topic, or begin a comment with '{REASON}'"));
    }
    let is_rust = Path::new(name).extension().is_some_and(|extension| extension == "rs");
    if is_rust && !text.starts_with("//!") {
        findings.push(":1: begins without a //! header".to_owned());
    }
    // Not lines(), which would swallow a carriage return.
    for (number, line) in text.split('\n').enumerate() {
        let number = number + 1;
        if line.ends_with([' ', '\t', '\r']) {
            findings.push(format!(":{number}: white space at the line's end"));
        }
        if is_rust && line.contains(IGNORED_TEST) {
            findings.push(format!(":{number}: an ignored test: make it pass or take it away"));
        }
        if is_rust && line.contains(UNWRITTEN) {
            findings.push(format!(":{number}: unwritten code"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_breach_where_it_is() {
        let ignored = format!("//! x\n{IGNORED_TEST}]\n");
        let unwritten = format!("//! x\nfn f() {{ {UNWRITTEN}) }}\n");
        let long = "x\n".repeat(LINES + 1);
        for (name, text, wanted) in [
            ("a.rs", "fn f() {}\n", ":1: begins without"),
            ("a.rs", ignored.as_str(), ":2: an ignored test"),
            ("a.rs", unwritten.as_str(), ":2: unwritten code"),
            ("a.md", "one\ntwo \n", ":2: white space"),
            ("a.md", "one\r\n", ":1: white space"),
            ("a.md", long.as_str(), ": 301 lines"),
        ] {
            let findings = look_at(name, text.as_bytes());
            assert!(
                matches!(findings.as_slice(), [one] if one.starts_with(wanted)),
                "{text:?}: {findings:?}"
            );
        }
        assert!(
            matches!(look_at("a.bin", &vec![0xff; SIZE + 1]).as_slice(), [one] if one.contains("bytes"))
        );
    }

    #[test]
    fn leaves_good_files_alone() {
        let reasoned = format!("# {REASON} a table\n{}", "x\n".repeat(LINES));
        for (name, text) in [
            ("a.rs", "//! x\n"),
            ("a.md", ""),
            ("Cargo.lock", &"x \n".repeat(LINES + 1)),
            ("a.toml", &reasoned),
        ] {
            assert_eq!(look_at(name, text.as_bytes()), Vec::<String>::new(), "{name}");
        }
        assert_eq!(look_at("a.bin", &[0xff; 3]), Vec::<String>::new());
    }
}
