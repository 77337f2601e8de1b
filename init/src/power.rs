//! The way out: a reboot after a countdown, or in place of a panic. Where even that is refused, init sleeps for ever, for it must not end.

use crate::report;
use rustix::system::RebootCommand;
use std::fmt;
use std::thread::sleep;
use std::time::Duration;

/// Tells why, counts down so that a person can read it, and reboots.
pub(crate) fn reboot_in(seconds: u32, why: impl fmt::Display) -> ! {
    report::say(format_args!("{why}; rebooting in {seconds} s"));
    for left in (0..seconds).rev() {
        sleep(Duration::from_secs(1));
        if matches!(left, 1..3 | 10) {
            report::say(format_args!("rebooting in {left} s"));
        }
    }
    reboot()
}

fn reboot() -> ! {
    // reboot(2) does not flush dirty pages.
    rustix::fs::sync();
    if let Err(error) = rustix::system::reboot(RebootCommand::Restart) {
        report::say(format_args!("rebooting: {error}; switch the machine off and on"));
    }
    loop {
        sleep(Duration::MAX);
    }
}

/// From here on a panic is told and leads to a reboot. Without this it would end PID 1, and the kernel would stop with it.
pub(crate) fn reboot_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        reboot_in(10, format_args!("a defect of init: {panic}"))
    }));
}
