//! The first process of the initramfs: makes the machine usable, hands the kernel's words to ocidd, and leads from its end to what the words
//! ask for: a reboot after a success, a shell after a failure, if they say nothing.
//!
//! It never returns and never panics as PID 1, since either is a kernel panic: what goes wrong is told, and the next step follows.

mod applets;
mod clock;
mod cmdline;
mod console;
mod hooks;
mod kmsg;
mod lines;
mod log;
mod mounts;
mod power;
mod relay;
mod report;
mod resolver;
mod shell;
mod sntp;
mod supervise;
mod timeserver;
mod utc;
mod words;
mod writer;

use crate::console::Console;
use crate::hooks::Hook;
use crate::power::Ending;
use crate::supervise::Outcome;
use crate::words::After;
use crate::words::OnError;
use crate::words::Wishes;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::process::id() != 1 {
        report::say("this is the first process of an initramfs; started by hand it does nothing");
        return ExitCode::FAILURE;
    }
    boot()
}

fn boot() -> ! {
    power::reboot_on_panic();
    let console = open_consoles();
    let words = or_default(cmdline::read_words());
    let wishes = read_wishes(&words);
    prepare(&wishes);
    let outcome = install(&words, &console);
    if outcome.is_success() {
        finish(&wishes, &console, &outcome)
    } else {
        give_up(&wishes, &console, &outcome)
    }
}

/// Mounts and consoles, after which lines reach people. The active console is returned.
fn open_consoles() -> Console {
    // Devices come with the mounts, so what went wrong there can be told only once there is a console.
    let mut faults = mounts::mount_all();
    faults.extend(console::keep_awake(Path::new("/")).err());
    faults.extend(console::attach().err());
    let (mut consoles, fault) = console::find_all();
    faults.extend(fault);
    report::start(&consoles);
    faults.iter().for_each(report::tell);
    consoles.pop().unwrap_or_else(Console::fallback)
}

fn read_wishes(kernel_words: &[OsString]) -> Wishes {
    let site_words = or_default(words::read_site_words());
    let (wishes, faults) = words::parse(site_words.iter().chain(kernel_words));
    faults.iter().for_each(report::warn);
    wishes
}

/// Name servers and the clock: what a network program takes for granted.
fn prepare(wishes: &Wishes) {
    or_default(clock::raise_to_floor()).iter().for_each(report::say);
    or_default(resolver::link());
    or_default(clock::set_by_server(&wishes.time)).iter().for_each(report::say);
}

/// The outcome is that of the first program that failed, or of ocidd.
fn install(words: &[OsString], console: &Console) -> Outcome {
    hooks::run(Hook::Before, &[], console)
        .filter(|before| !before.is_success())
        .unwrap_or_else(|| supervise::run_installer(words, console))
}

fn finish(wishes: &Wishes, console: &Console, outcome: &Outcome) -> ! {
    if let Some(after) = hooks::run(Hook::After, &[], console).filter(|hook| !hook.is_success()) {
        report::error(after);
    }
    match wishes.after {
        After::End(ending) => power::end_in(3, ending, outcome),
        After::Shell => {
            report::say(outcome);
            open_shell(console)
        }
    }
}

fn give_up(wishes: &Wishes, console: &Console, outcome: &Outcome) -> ! {
    report::error(outcome);
    let arguments = [outcome.code().to_string()];
    if let Some(failed) =
        hooks::run(Hook::Failed, &arguments, console).filter(|hook| !hook.is_success())
    {
        report::error(failed);
    }
    if let OnError::End(ending, seconds) = wishes.on_error {
        power::end_in_unless_entered(seconds, ending, console);
    }
    open_shell(console)
}

fn open_shell(console: &Console) -> ! {
    match shell::run(console) {
        Ok(()) => power::end_in(3, Ending::Reboot, "the emergency shell has ended"),
        Err(fault) => power::end_in(
            60,
            Ending::Reboot,
            format_args!("the emergency shell could not be started: {fault:#}"),
        ),
    }
}

/// What cannot be had is told, and init goes on without.
fn or_default<T: Default>(result: anyhow::Result<T>) -> T {
    result.unwrap_or_else(|fault| {
        report::tell(&fault);
        T::default()
    })
}
