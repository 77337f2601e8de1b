//! The first process of the initramfs: makes the machine usable, hands the kernel's words to ocidd, and leads from its end to a reboot.
//!
//! It never returns and never panics as PID 1, since either is a kernel panic: what goes wrong is told, and the next step follows.

mod clock;
mod cmdline;
mod console;
mod mounts;
mod power;
mod report;
mod resolver;
mod shell;
mod supervise;

use crate::supervise::Outcome;
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

    // Devices come with the mounts, so what went wrong there can be told only once there is a console.
    let faults = mounts::mount_all();
    let attached = console::attach();
    faults.iter().for_each(tell);
    attached.unwrap_or_else(|fault| tell(&fault));

    let console = console::find_active().unwrap_or_else(|fault| {
        tell(&fault);
        console::Console::fallback()
    });
    match clock::raise_to_floor() {
        Ok(raised) => raised.iter().for_each(report::say),
        Err(fault) => tell(&fault),
    }
    resolver::link().unwrap_or_else(|fault| tell(&fault));

    let words = cmdline::read_words().unwrap_or_else(|fault| {
        tell(&fault);
        Vec::new()
    });
    match supervise::run_installer(&words, console.kind) {
        Outcome::Succeeded => power::reboot_in(3, "ocidd succeeded"),
        failure => report::say(failure),
    }
    match shell::run(&console) {
        Ok(()) => power::reboot_in(3, "the emergency shell has ended"),
        Err(fault) => power::reboot_in(
            60,
            format_args!("the emergency shell could not be started: {fault:#}"),
        ),
    }
}

fn tell(fault: &anyhow::Error) {
    report::say(format_args!("{fault:#}"));
}
