//! PID 1 of the initramfs: prepares the machine, runs ocidd with the kernel's parameters, and then
//! reboots or starts a shell. It never returns or panics, because the kernel would panic, too.

mod console;
mod hooks;
mod log;
mod mounts;
mod parameters;
mod power;
mod resolver;
mod shell;
mod supervise;
mod time;

use std::{ffi::OsString, path::Path, process::ExitCode};

use params::{After, Ending, OnError, Options};

use crate::{console::Console, log::report, supervise::Outcome, time::clock};

fn main() -> ExitCode {
    if std::process::id() != 1 {
        report::info("not PID 1; this program only runs as the init of an initramfs");
        return ExitCode::FAILURE;
    }
    boot()
}

fn boot() -> ! {
    power::reboot_on_panic();
    let console = open_consoles();
    let parameters = or_default(parameters::read_cmdline());
    let options = parameters::parse(&parameters);
    or_default(clock::raise_to_floor());
    or_default(resolver::link());
    or_default(clock::set_by_server(&options.time_servers));
    let outcome = install(&parameters, &console);
    if outcome.is_success() {
        finish(&options, &console, &outcome)
    } else {
        fail(&options, &console, &outcome)
    }
}

/// Mounts file systems and opens the consoles. Returns the active one.
fn open_consoles() -> Console {
    // Devices are mounted first, so errors are printed later.
    let mut errors = mounts::mount_all();
    errors.extend(console::keep_awake(Path::new("/")).err());
    errors.extend(console::attach().err());
    let (mut consoles, error) = console::find_all();
    errors.extend(error);
    report::start(&consoles);
    errors.iter().for_each(report::warn_error);
    consoles.pop().unwrap_or_else(Console::fallback)
}

/// Returns the outcome of the first program that failed, or of ocidd.
fn install(parameters: &[OsString], console: &Console) -> Outcome {
    hooks::run(hooks::BEFORE, &[], console)
        .filter(|before| !before.is_success())
        .unwrap_or_else(|| supervise::run_installer(parameters, console))
}

fn finish(options: &Options, console: &Console, outcome: &Outcome) -> ! {
    run_hook(hooks::AFTER, &[], console);
    match options.after {
        After::End(ending) => power::end_in(3, ending, outcome),
        After::Shell => {
            report::info(outcome);
            run_shell(console)
        }
    }
}

fn fail(options: &Options, console: &Console, outcome: &Outcome) -> ! {
    report::error(outcome);
    run_hook(hooks::FAILED, &[outcome.code().to_string()], console);
    if let OnError::End(ending, seconds) = options.on_error {
        power::end_in_unless_entered(seconds, ending, console);
    }
    run_shell(console)
}

fn run_hook(hook: &str, arguments: &[String], console: &Console) {
    let outcome = hooks::run(hook, arguments, console);
    outcome.filter(|hook| !hook.is_success()).iter().for_each(report::error);
}

fn run_shell(console: &Console) -> ! {
    match shell::run(console) {
        Ok(()) => power::end_in(3, Ending::Reboot, "the emergency shell has ended"),
        Err(error) => power::end_in(
            60,
            Ending::Reboot,
            format_args!("the emergency shell could not be started: {error:#}"),
        ),
    }
}

/// Warns of an error and continues without the value.
fn or_default<T: Default>(result: anyhow::Result<T>) -> T {
    result.unwrap_or_else(|error| {
        report::warn_error(&error);
        T::default()
    })
}
