//! Reboots, powers off or halts the machine after a countdown. init itself never ends.

use std::{
    fmt,
    fs::File,
    io::Read as _,
    thread::{Builder, sleep},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use params::Ending;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags},
    io::Errno,
    system::RebootCommand,
    termios::QueueSelector,
};

use crate::{console::Console, log::report};

const SECOND: Duration = Duration::from_secs(1);

/// Prints the reason and a countdown for people to read, then stops the machine.
pub(crate) fn end_in(seconds: u32, ending: Ending, reason: impl fmt::Display) -> ! {
    report::info(format_args!("{reason}; {ending} in {seconds} s"));
    count_down(seconds, SECOND, None, |left| print_left(ending, left));
    end(ending)
}

/// Stops the machine after a countdown. Returns if Enter is pressed on the active console.
pub(crate) fn end_in_unless_entered(seconds: u32, ending: Ending, console: &Console) {
    let keys = Keys::open(console).map_err(|error| report::warn_error(&error)).ok();
    report::info(format_args!(
        "{ending} in {seconds} s; press Enter on {} for a shell",
        console.device.display()
    ));
    if count_down(seconds, SECOND, keys, |left| print_left(ending, left)) {
        end(ending);
    }
}

fn print_left(ending: Ending, left: u32) {
    if matches!(left, 1..3 | 10 | 30) {
        report::info(format_args!("{ending} in {left} s"));
    }
}

/// Returns false if Enter interrupts the countdown.
fn count_down(seconds: u32, second: Duration, mut keys: Option<Keys>, print: impl Fn(u32)) -> bool {
    for left in (0..seconds).rev() {
        let next = Instant::now() + second;
        if let Some(open) = &mut keys {
            match open.wait_for_enter(next) {
                Ok(true) => return false,
                Ok(false) => {}
                Err(error) => {
                    report::warn_error(&error);
                    keys = None;
                }
            }
        }
        sleep(next.saturating_duration_since(Instant::now()));
        print(left);
    }
    true
}

/// The keyboard of a console, which is read by lines.
#[derive(Debug)]
struct Keys(File);

impl Keys {
    fn open(console: &Console) -> anyhow::Result<Self> {
        let device = &console.device;
        let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let keys = rustix::fs::open(device, flags, Mode::empty())
            .with_context(|| format!("opening {}", device.display()))?;
        // Earlier input is not an answer.
        rustix::termios::tcflush(&keys, QueueSelector::IFlush).ok();
        Ok(Self(keys.into()))
    }

    /// Returns true as soon as Enter is pressed, false at the deadline. Fails without a keyboard.
    fn wait_for_enter(&mut self, deadline: Instant) -> anyhow::Result<bool> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let limit = Timespec::try_from(left).context("waiting for a key")?;
            match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&limit)) {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error).context("waiting for a key"),
            }
            let mut typed = [0; 256];
            let length = self.0.read(&mut typed).context("reading keys")?;
            let typed = typed.get(..length).unwrap_or_default();
            if typed.is_empty() {
                anyhow::bail!("the console has no keyboard");
            }
            if typed.contains(&b'\n') {
                return Ok(true);
            }
        }
    }
}

fn end(ending: Ending) -> ! {
    // reboot(2) does not flush dirty pages.
    rustix::fs::sync();
    // If the machine cannot power off or halt, the kernel ends the calling thread.
    let stopped = Builder::new().spawn(move || stop(ending));
    if stopped.is_err() {
        stop(ending);
    }
    loop {
        sleep(Duration::MAX);
    }
}

fn stop(ending: Ending) {
    let command = match ending {
        Ending::Reboot => RebootCommand::Restart,
        Ending::PowerOff => RebootCommand::PowerOff,
        Ending::Halt => RebootCommand::Halt,
    };
    if let Err(error) = rustix::system::reboot(command) {
        report::error(format_args!("{ending}: {error}; switch the machine off"));
    }
}

/// Makes a panic reboot the machine. The end of PID 1 would be a kernel panic.
pub(crate) fn reboot_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        end_in(10, Ending::Reboot, format_args!("bug in init: {panic}"))
    }));
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Write as _, pipe},
        os::fd::OwnedFd,
        sync::Mutex,
    };

    use super::*;

    const MOMENT: Duration = Duration::from_millis(5);
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_countdown_prints_every_second() {
        let printed = Mutex::new(Vec::new());
        let over = count_down(3, MOMENT, None, |left| printed.lock().unwrap().push(left));
        assert_eq!((over, printed.into_inner().unwrap()), (true, vec![2, 1, 0]));
        assert!(count_down(0, LONG, None, |_| {}));
    }

    #[test]
    fn only_enter_interrupts_a_countdown() {
        for (typed, count, seconds, second) in [
            (&b"\n"[..], false, 60, LONG),
            (b"abc\n", false, 60, LONG),
            (b"abc", true, 3, MOMENT),
            (b"", true, 3, MOMENT),
        ] {
            let (keys, mut keyboard) = pipe().unwrap();
            keyboard.write_all(typed).unwrap();
            let keys = Keys(OwnedFd::from(keys).into());
            assert_eq!(count_down(seconds, second, Some(keys), |_| {}), count, "{typed:?}");
        }
    }

    #[test]
    fn a_countdown_continues_without_a_keyboard() {
        let (keys, keyboard) = pipe().unwrap();
        drop(keyboard);
        let mut keys = Keys(OwnedFd::from(keys).into());
        assert!(keys.wait_for_enter(Instant::now() + LONG).is_err());
        assert!(count_down(3, MOMENT, Some(keys), |_| {}));
    }

    #[test]
    fn ignores_input_before_the_countdown() {
        let nothing = Console { device: "/dev/null".into(), ..Console::fallback() };
        assert!(Keys::open(&nothing).is_ok(), "not a terminal");
        let nosuch = Console { device: "/nosuch".into(), ..Console::fallback() };
        let error = format!("{:#}", Keys::open(&nosuch).unwrap_err());
        assert!(error.starts_with("opening /nosuch: "), "{error}");
    }
}
