//! What is kept of two files that should be one: both of them, and what diffoscope tells where it is there. Bytes in, the end of an error message out.

use crate::cmd;
use crate::output;
use crate::project;
use crate::report;
use anyhow::Result;
use xshell::Shell;

/// After so many seconds diffoscope unpacks nothing more. A kernel in all its layers would keep it busy for an hour.
const DIFFOSCOPE_SECONDS: &str = "300";

/// Keeps both files as `verify-<name>.first` and `.second` in the folder of logs, and says so.
pub fn keep(name: &str, first: &[u8], second: &[u8]) -> Result<String> {
    let place = |end: &str| project::logs().join(format!("verify-{name}.{end}"));
    let (one, other, told) = (place("first"), place("second"), place("txt"));
    output::write(&one, first)?;
    output::write(&other, second)?;
    let compare = format!("compare {} with {}", one.display(), other.display());
    if cmd::find("diffoscope").is_none() {
        return Ok(format!("{compare}  hint: diffoscope would tell more, where it is installed"));
    }
    report::step("asking diffoscope");
    let shell = Shell::new()?;
    let diffoscope = shell.cmd("diffoscope").args(["--timeout", DIFFOSCOPE_SECONDS, "--text"]);
    // It ends with 1 where the files differ, which they do.
    cmd::clean_env(diffoscope.arg(&told).arg(&one).arg(&other))
        .env("LC_ALL", "C.UTF-8")
        .quiet()
        .ignore_stdout()
        .ignore_status()
        .run()?;
    if told.exists() {
        return Ok(format!("{compare}; {} has what diffoscope says", told.display()));
    }
    Ok(compare)
}
