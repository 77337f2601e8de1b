//! What this machine has of the tools, for whoever looks into a build that does not work. Nothing is installed.

use crate::cmd;
use crate::setup::Need;
use crate::setup::is_for_own_compiler;
use crate::setup::remedy;
use crate::setup::tool::Detect;
use crate::setup::tool::Tool;
use crate::setup::tools;
use anyhow::Result;
use std::path::Path;
use std::path::PathBuf;
use xshell::Shell;

/// Some programs go on to tell what they were linked with.
const VERSION_LENGTH: usize = 60;

/// A tool that was looked for.
#[derive(Clone, Debug)]
pub struct Found {
    pub name: String,
    pub needs: &'static [Need],
    /// What it is for.
    pub reason: &'static str,
    /// Where it is; `None` where it is missing.
    pub path: Option<PathBuf>,
    /// What it says of its version; nothing of what cannot say.
    pub version: String,
}

/// Every tool that something on this machine may use, in the order of the table.
pub fn survey() -> Vec<Found> {
    tools::TOOLS.iter().filter(|tool| !is_for_own_compiler(tool)).map(look).collect()
}

/// The command that installs all of these that are missing.
pub fn remedy_for(found: &[&Found]) -> String {
    let names: Vec<&str> = found.iter().map(|found| found.name.as_str()).collect();
    let missing: Vec<&Tool> =
        tools::TOOLS.iter().filter(|tool| names.contains(&tool.name().as_str())).collect();
    remedy(&missing)
}

fn look(tool: &Tool) -> Found {
    let path = tool.place();
    let version = match (&tool.detect, &path) {
        (Detect::Program(_), Some(path)) => version(path).unwrap_or_default(),
        _ => String::new(),
    };
    Found { name: tool.name(), needs: tool.needs, reason: tool.reason, path, version }
}

/// The first line that a program tells of its version. Those that know no such question complain, and nobody wants to read that.
fn version(program: &Path) -> Result<String> {
    let shell = Shell::new()?;
    let ask = cmd::clean_env(shell.cmd(program).arg("--version")).env("LC_ALL", "C");
    let text = ask.quiet().ignore_stderr().read()?;
    Ok(text.lines().next().unwrap_or_default().chars().take(VERSION_LENGTH).collect())
}
