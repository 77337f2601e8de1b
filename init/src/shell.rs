//! The emergency shell: busybox on the active console, with job control and its applets on the path. Knows no word of the installer.

use crate::applets;
use crate::applets::BUSYBOX;
use crate::console;
use crate::console::Console;
use crate::console::Kind;
use crate::report;
use crate::supervise;
use anyhow::Context as _;
use std::fs;
use std::fs::File;
use std::path::Path;

/// Read by the shell when it starts. Without `-f` these applets send a signal to PID 1, which busybox's own init would heed and we do not.
const RC_FILE: &str = "/run/shell.rc";
const RC: &str = "alias reboot='reboot -f' poweroff='poweroff -f' halt='halt -f'\n";

/// Boot tests wait for these two texts with the device between them.
const STARTING: &str = "starting the emergency shell on";
const TYPE_EXIT: &str = "type 'exit' to reboot";

/// Runs the shell to its end, whatever that is. An error means that there was none.
pub(crate) fn run(console: &Console) -> anyhow::Result<()> {
    let term = match console.kind {
        Kind::Screen => "linux",
        Kind::Line => "vt102",
    };
    applets::install(console);
    if let Err(error) = fs::write(RC_FILE, RC) {
        report::warn(format_args!("writing {RC_FILE}: {error}"));
    }
    let (terminal, device) = open_terminal(&console.device)?;

    report::say(
        "to try again: ocidd WORD..., or with the kernel's words: ocidd $(cat /proc/cmdline)",
    );
    report::say("'ocidd --help' tells the words");
    report::say(format_args!("{STARTING} {}; {TYPE_EXIT}", device.display()));
    // From here on the terminal is the shell's.
    report::drain();
    let mut shell = supervise::command(BUSYBOX, term);
    // A session of its own that the terminal belongs to: Ctrl-C and Ctrl-Z need it.
    shell
        .args(["setsid", "-c", BUSYBOX, "sh", "-l"])
        .env("ENV", RC_FILE)
        .env("PS1", "ocidd# ")
        .stdin(terminal.try_clone().context("sharing the terminal")?)
        .stdout(terminal.try_clone().context("sharing the terminal")?)
        .stderr(terminal);
    supervise::run(&mut shell)?;
    Ok(())
}

/// The terminal of the console; or `/dev/console`, which knows no job control but lets type.
fn open_terminal(device: &Path) -> anyhow::Result<(File, &Path)> {
    match console::open_terminal(device) {
        Ok(terminal) => Ok((terminal, device)),
        Err(fault) => {
            report::tell(&fault);
            let device = Path::new(console::DEVICE);
            Ok((console::open_terminal(device)?, device))
        }
    }
}
