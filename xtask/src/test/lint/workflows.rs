//! Checks workflows, dependabot's settings and `compose.yaml` with third-party tools, offline.

use crate::host::report;
use crate::host::setup;
use crate::test::pypi;
use anyhow::Result;
use xshell::Cmd;
use xshell::Shell;

const WORKFLOWS: &str = ".github/workflows";

/// The tools with findings, which they have printed.
pub fn check(shell: &Shell) -> Result<Vec<String>> {
    let mut failed = Vec::new();
    if let Some(compose) = setup::compose() {
        // The example sets nothing. The user's .env must not cause findings.
        let config = shell.cmd(compose).args(["--env-file", ".env.example", "config", "--quiet"]);
        note(config, "docker-compose", &mut failed);
    }
    let tools = match pypi::packages(shell) {
        Ok(tools) => tools,
        Err(error) => {
            report::warn(format_args!(
                "workflows and compose.yaml were not checked: {error:#}  hint: run lint again when \
                 pip reaches its index"
            ));
            // Developers can work without a network.
            failed.extend(setup::is_ci().then(|| "workflows".to_owned()));
            return Ok(failed);
        }
    };
    let zizmor = shell.cmd(tools.join("bin/zizmor")).args(["--offline", "--quiet", "--pedantic"]);
    note(zizmor.args(["--strict-collection", ".github"]), "zizmor", &mut failed);
    let workflows = shell.read_dir(WORKFLOWS)?;
    // Schemas included in check-jsonschema.
    for (schema, files) in [
        ("vendor.github-workflows", workflows.as_slice()),
        ("custom.github-workflows-require-timeout", workflows.as_slice()),
        ("vendor.dependabot", &[".github/dependabot.yml".into()]),
        ("vendor.compose-spec", &["compose.yaml".into()]),
    ] {
        let check = shell.cmd("python3").args(["-m", "check_jsonschema", "--quiet"]);
        let check = check.args(["--builtin-schema", schema]).args(files);
        note(check.env("PYTHONPATH", &tools), schema, &mut failed);
    }
    Ok(failed)
}

fn note(cmd: Cmd<'_>, name: &str, failed: &mut Vec<String>) {
    if cmd.quiet().run().is_err() {
        failed.push(name.to_owned());
    }
}
