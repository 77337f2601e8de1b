//! The emergency shell: busybox on the active console, with job control.

use std::{fs, fs::File, path::Path};

use anyhow::Context as _;

use crate::{
    console,
    console::{Console, Kind},
    log::report,
    supervise,
};

const BUSYBOX: &str = "/bin/busybox";

/// Read by the shell when it starts. Without `-f` these applets only send a signal to PID 1.
const RC_FILE: &str = "/run/shell.rc";
const RC: &str = "alias reboot='reboot -f' poweroff='poweroff -f' halt='halt -f'\n";

/// Boot tests wait for these two texts with the device between them.
const STARTING: &str = "starting the emergency shell on";
const TYPE_EXIT: &str = "type 'exit' to reboot";

/// Links busybox's applets into `/bin`. Existing files stay; a failure is only reported.
pub(crate) fn install_applets(console: &Console) {
    let mut command = supervise::command(BUSYBOX, "dumb");
    let outcome =
        supervise::run_relayed("busybox", command.args(["--install", "-s", "/bin"]), console);
    if !outcome.is_success() {
        report::warn(format_args!("installing the applets of busybox: {outcome}"));
    }
}

/// Runs the shell until it ends. Fails if it cannot be started.
pub(crate) fn run(console: &Console) -> anyhow::Result<()> {
    let term = match console.kind {
        Kind::Screen => "linux",
        Kind::Line => "vt102",
    };
    install_applets(console);
    if let Err(error) = fs::write(RC_FILE, RC) {
        report::warn(format_args!("writing {RC_FILE}: {error}"));
    }
    let (terminal, device) = open_terminal(&console.device)?;

    report::info("try again with 'ocidd PARAMETER...' or 'ocidd $(cat /proc/cmdline)'");
    report::info("'ocidd --help' lists the parameters");
    report::info(format_args!("{STARTING} {}; {TYPE_EXIT}", device.display()));
    let mut shell = supervise::command(BUSYBOX, term);
    // Ctrl-C and Ctrl-Z need a session that owns the terminal.
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

/// Opens the console, or `/dev/console`, which has no job control.
fn open_terminal(device: &Path) -> anyhow::Result<(File, &Path)> {
    match console::open_terminal(device) {
        Ok(terminal) => Ok((terminal, device)),
        Err(error) => {
            report::warn_error(&error);
            let device = Path::new(console::DEVICE);
            Ok((console::open_terminal(device)?, device))
        }
    }
}
