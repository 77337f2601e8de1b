//! `cargo xtask lint`: formatting, clippy, workflows and own rules. Reports all findings at once.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use xshell::{Cmd, Shell, cmd};

use crate::host::{cmd, output, project, report, setup, setup::Need};

/// Maximum lines of a text file without a reason in its header.
const LINES: usize = 500;
/// Precedes the reason in the header of a longer file.
const REASON: &str = "over 500 lines:";
/// Lines of a file that count as its header.
const HEADER: usize = 15;
/// Maximum size of a tracked file, in bytes. Keeps out disk images and kernels.
const SIZE: usize = 256 * 1024;
/// Concatenated, so that this file is not a finding.
const IGNORED_TEST: &str = concat!("#[", "ignore");
const UNFINISHED: &str = concat!("todo", "!(");

/// Python packages for checks and tests, with their dependencies, versions and digests.
const REQUIREMENTS: &str = include_str!("lint/requirements.txt");

/// Check formatting, workflows and own rules, and run clippy
///
/// zizmor checks the workflows, JSON schemas check .github and compose.yaml. pip downloads both
/// tools, pinned by digest, into target/xtask. If that is impossible, lint prints a warning, or
/// fails with CI=true. If docker-compose is installed, it checks compose.yaml too.
///
/// Own rules: no file over 500 lines without a reason in its header ("over 500 lines: …"), no
/// trailing white space, a `//!` header in every Rust file, no tracked file over 256 KiB, no
/// ignored tests, no unfinished code.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask lint
      Run the checks of CI
  cargo fmt && cargo clippy --fix --allow-dirty && cargo xtask lint
      Fix what the tools can fix first")]
pub struct Args {}

pub fn run(_args: &Args) -> Result<()> {
    let shell = project::shell()?;
    setup::require(&[Need::Lint])?;
    let cargo = cmd::cargo();
    let mut failed = Vec::new();
    report::step("checking formatting");
    check(cmd!(shell, "{cargo} fmt --all --check"), "formatting", &mut failed);
    report::step("running clippy");
    // Everything, and the installer with the features of the initramfs.
    for what in [["--workspace", "--all-targets"], ["--package=ocidd", "--no-default-features"]] {
        let clippy = cmd!(shell, "{cargo} clippy {what...} --locked -- -D warnings");
        check(clippy, &format!("clippy {}", what.join(" ")), &mut failed);
    }
    report::step("checking workflows and compose.yaml");
    check_workflows(&shell, &mut failed)?;
    report::step("checking every file");
    let findings = check_files(&shell)?;
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

/// Checks workflows, dependabot's settings and `compose.yaml`, offline.
fn check_workflows(shell: &Shell, failed: &mut Vec<String>) -> Result<()> {
    if let Some(compose) = setup::compose() {
        // The example sets nothing. The user's .env must not cause findings.
        let config = shell.cmd(compose).args(["--env-file", ".env.example", "config", "--quiet"]);
        check(config, "docker-compose", failed);
    }
    let tools = match packages(shell) {
        Ok(tools) => tools,
        Err(error) => {
            report::warn(format_args!(
                "workflows and compose.yaml were not checked: {error:#}  hint: run lint again when \
                 pip reaches its index"
            ));
            // Developers can work without a network.
            failed.extend(setup::is_ci().then(|| "workflows".to_owned()));
            return Ok(());
        }
    };
    let zizmor = shell.cmd(tools.join("bin/zizmor")).args(["--offline", "--quiet", "--pedantic"]);
    check(zizmor.args(["--strict-collection", ".github"]), "zizmor", failed);
    let workflows = shell.read_dir(".github/workflows")?;
    // Schemas included in check-jsonschema.
    for (schema, files) in [
        ("vendor.github-workflows", workflows.as_slice()),
        ("custom.github-workflows-require-timeout", workflows.as_slice()),
        ("vendor.dependabot", &[".github/dependabot.yml".into()]),
        ("vendor.compose-spec", &["compose.yaml".into()]),
    ] {
        let schemas = shell.cmd("python3").args(["-m", "check_jsonschema", "--quiet"]);
        let schemas = schemas.args(["--builtin-schema", schema]).args(files);
        check(schemas.env("PYTHONPATH", &tools), schema, failed);
    }
    Ok(())
}

/// Runs a command that prints its findings. Adds `name` to `failed` if there are any.
fn check(cmd: Cmd<'_>, name: &str, failed: &mut Vec<String>) {
    if cmd.quiet().run().is_err() {
        failed.push(name.to_owned());
    }
}

/// The directory of the Python packages for `PYTHONPATH`, filled on first use; one for each list
/// and Python version. pip fills a temporary directory, which is then renamed, so that it is
/// complete.
pub fn packages(shell: &Shell) -> Result<PathBuf> {
    let python = cmd::version("python3")?;
    let digest = output::digest_of(format!("{python}\n{REQUIREMENTS}").as_bytes());
    let directory = project::logs().join(format!("pypi-{}", digest.get(..12).unwrap_or_default()));
    if directory.is_dir() {
        return Ok(directory);
    }
    report::step("fetching zizmor, check-jsonschema and oras from PyPI");
    let parent = shell.create_dir(project::logs())?;
    let new = tempfile::Builder::new().prefix(".pypi-").tempdir_in(parent)?;
    let list = new.path().join("requirements.txt");
    shell.write_file(&list, REQUIREMENTS)?;
    // The list is complete: nothing else is downloaded, and no package runs its own code.
    shell
        .cmd("python3")
        .args(["-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"])
        .args(["--require-hashes", "--only-binary", ":all:", "--requirement"])
        .arg(&list)
        .arg("--target")
        .arg(new.path())
        // pip's warning for root does not matter with --target.
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .quiet()
        .run()
        .context("fetching Python packages")?;
    let filled = new.keep();
    std::fs::rename(&filled, &directory)
        .with_context(|| format!("renaming {} to {}", filled.display(), directory.display()))?;
    Ok(directory)
}

/// The findings in all files that git does not ignore.
fn check_files(shell: &Shell) -> Result<Vec<String>> {
    let names = cmd!(shell, "git ls-files -z --cached --others --exclude-standard")
        .quiet()
        .read()
        .context("listing the project's files")?;
    let mut findings = Vec::new();
    for name in names.split_terminator('\0') {
        let path = shell.current_dir().join(name);
        // Skips links, and deleted files that are still in the index.
        if !path.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
            continue;
        }
        let bytes = std::fs::read(&path).with_context(|| format!("reading {name}"))?;
        findings.extend(check_file(name, &bytes).iter().map(|finding| format!("{name}{finding}")));
    }
    Ok(findings)
}

/// The findings in one file, as suffixes of its name.
fn check_file(name: &str, bytes: &[u8]) -> Vec<String> {
    let mut findings = Vec::new();
    if bytes.len() > SIZE {
        findings.push(format!(": {} bytes, the maximum is {SIZE}", bytes.len()));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return findings };
    // cargo writes it.
    if name == "Cargo.lock" {
        return findings;
    }
    let count = text.lines().count();
    if count > LINES && !text.lines().take(HEADER).any(|line| line.contains(REASON)) {
        findings.push(format!(
            ": {count} lines, the maximum is {LINES}  hint: split it by topic, or add a comment \
             '{REASON} …'"
        ));
    }
    let is_rust = Path::new(name).extension().is_some_and(|extension| extension == "rs");
    if is_rust && !text.starts_with("//!") {
        findings.push(":1: missing //! header".to_owned());
    }
    // lines() would remove carriage returns.
    for (number, line) in (1..).zip(text.split('\n')) {
        if line.ends_with([' ', '\t', '\r']) {
            findings.push(format!(":{number}: trailing white space"));
        }
        if is_rust && line.contains(IGNORED_TEST) {
            findings.push(format!(":{number}: ignored test"));
        }
        if is_rust && line.contains(UNFINISHED) {
            findings.push(format!(":{number}: unfinished code"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_each_finding_with_its_line() {
        let ignored = format!("//! x\n{IGNORED_TEST}]\n");
        let unfinished = format!("//! x\nfn f() {{ {UNFINISHED}) }}\n");
        let long = "x\n".repeat(LINES + 1);
        for (name, text, wanted) in [
            ("a.rs", "fn f() {}\n", ":1: missing //! header"),
            ("a.rs", ignored.as_str(), ":2: ignored test"),
            ("a.rs", unfinished.as_str(), ":2: unfinished code"),
            ("a.md", "one\ntwo \n", ":2: trailing white space"),
            ("a.md", "one\r\n", ":1: trailing white space"),
            ("a.md", long.as_str(), ": 501 lines"),
        ] {
            let findings = check_file(name, text.as_bytes());
            assert!(
                matches!(findings.as_slice(), [one] if one.starts_with(wanted)),
                "{text:?}: {findings:?}"
            );
        }
        assert!(
            matches!(check_file("a.bin", &vec![0xff; SIZE + 1]).as_slice(), [one] if one.contains("bytes"))
        );
    }

    #[test]
    fn accepts_good_files() {
        let reasoned = format!("# {REASON} a table\n{}", "x\n".repeat(LINES));
        for (name, text) in [
            ("a.rs", "//! x\n"),
            ("a.md", ""),
            ("Cargo.lock", &"x \n".repeat(LINES + 1)),
            ("a.toml", &reasoned),
        ] {
            assert_eq!(check_file(name, text.as_bytes()), Vec::<String>::new(), "{name}");
        }
        assert_eq!(check_file("a.bin", &[0xff; 3]), Vec::<String>::new());
    }
}
