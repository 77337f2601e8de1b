//! What runs elsewhere: the workflows, dependabot's settings and `compose.yaml`. Judged by other people's tools, none of which asks a host
//! while it judges.

use crate::pypi;
use crate::report;
use crate::setup;
use anyhow::Result;
use xshell::Cmd;
use xshell::Shell;

const WORKFLOWS: &str = ".github/workflows";

/// Who has findings. They are told already.
pub(super) fn check(shell: &Shell) -> Result<Vec<String>> {
    let mut failed = Vec::new();
    if let Some(compose) = setup::compose() {
        // The example sets nothing, so nobody's own .env can be the reason for a finding.
        let config = shell.cmd(compose).args(["--env-file", ".env.example", "config", "--quiet"]);
        note(config, "docker-compose", &mut failed);
    }
    let tools = match pypi::packages(shell) {
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
