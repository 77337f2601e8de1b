//! What runs elsewhere: the workflows, dependabot's settings and `compose.yaml`. Judged by other people's tools, which are fetched once by pip and
//! kept. Nothing here asks a host while it judges.

use crate::cmd;
use crate::output;
use crate::project;
use crate::report;
use crate::setup;
use anyhow::Context as _;
use anyhow::Result;
use std::path::Path;
use std::path::PathBuf;
use xshell::Cmd;
use xshell::Shell;

/// The tools and all that they need, each by version and digest.
const REQUIREMENTS: &str = include_str!("requirements.txt");

const WORKFLOWS: &str = ".github/workflows";

/// Who has findings. They are told already.
pub(super) fn check(shell: &Shell) -> Result<Vec<String>> {
    let mut failed = Vec::new();
    if let Some(compose) = setup::compose() {
        // The example sets nothing, so nobody's own .env can be the reason for a finding.
        let config = shell.cmd(compose).args(["--env-file", ".env.example", "config", "--quiet"]);
        note(config, "docker-compose", &mut failed);
    }
    let tools = match tools(shell) {
        Ok(tools) => tools,
        Err(error) => {
            report::warn(format_args!(
                "workflows and compose.yaml were not judged: {error:#}  hint: lint again where pip reaches its index"
            ));
            // A person may go on without a network.
            failed.extend(setup::is_ci().then(|| "workflows".to_owned()));
            return Ok(failed);
        }
    };
    let zizmor = shell.cmd(tools.join("bin/zizmor")).args(["--offline", "--quiet", "--pedantic"]);
    note(zizmor.args(["--strict-collection", ".github"]), "zizmor", &mut failed);
    let workflows = shell.read_dir(WORKFLOWS)?;
    // The schemas that check-jsonschema brings along.
    for (schema, files) in [
        ("vendor.github-workflows", workflows.as_slice()),
        ("custom.github-workflows-require-timeout", workflows.as_slice()),
        ("vendor.dependabot", &[".github/dependabot.yml".into()]),
        ("vendor.compose-spec", &["compose.yaml".into()]),
    ] {
        let judge = shell.cmd("python3").args(["-m", "check_jsonschema", "--quiet"]);
        let judge = judge.args(["--builtin-schema", schema]).args(files);
        note(judge.env("PYTHONPATH", &tools), schema, &mut failed);
    }
    Ok(failed)
}

fn note(cmd: Cmd<'_>, name: &str, failed: &mut Vec<String>) {
    if cmd.quiet().run().is_err() {
        failed.push(name.to_owned());
    }
}

/// The folder with the tools, filled where it is not there yet. Another list and another Python have another folder.
fn tools(shell: &Shell) -> Result<PathBuf> {
    let python = cmd::version("python3")?;
    let digest = output::digest_of(format!("{python}\n{REQUIREMENTS}").as_bytes());
    let folder = project::logs().join(format!("lint-{}", digest.get(..12).unwrap_or_default()));
    if !folder.is_dir() {
        report::step("fetching zizmor and check-jsonschema");
        fetch(shell, &folder).context("fetching the tools that judge workflows")?;
    }
    Ok(folder)
}

/// Whole or not at all: pip fills another folder, which is renamed then.
fn fetch(shell: &Shell, folder: &Path) -> Result<()> {
    let parent = project::logs();
    std::fs::create_dir_all(&parent).with_context(|| format!("making {}", parent.display()))?;
    let new = tempfile::Builder::new().prefix(".lint-").tempdir_in(&parent)?;
    let list = new.path().join("requirements.txt");
    output::write(&list, REQUIREMENTS.as_bytes())?;
    // The list is complete, so nothing but what it names is fetched, and no package's own code runs.
    shell
        .cmd("python3")
        .args(["-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"])
        .args(["--require-hashes", "--only-binary", ":all:", "--requirement"])
        .arg(&list)
        .arg("--target")
        .arg(new.path())
        // What pip warns of where root runs it does not matter for a folder of our own.
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .quiet()
        .run()?;
    let filled = new.keep();
    std::fs::rename(&filled, folder)
        .with_context(|| format!("renaming {} to {}", filled.display(), folder.display()))
}
