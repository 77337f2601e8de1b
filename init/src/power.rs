//! The ways out: reboot, power off or halt, after a countdown in which a person may ask for a shell; or a reboot in place of a panic. Where
//! even that is refused, init sleeps for ever, for it must not end.

use crate::console::Console;
use crate::report;
use anyhow::Context as _;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::event::poll;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::system::RebootCommand;
use rustix::termios::QueueSelector;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::thread::Builder;
use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

/// How the machine stops.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    Reboot,
    PowerOff,
    /// The machine stays on and does nothing.
    Halt,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reboot => "rebooting",
            Self::PowerOff => "powering off",
            Self::Halt => "halting",
        })
    }
}

/// Tells why, counts down so that a person can read it, and stops the machine.
pub(crate) fn end_in(seconds: u32, ending: Ending, why: impl fmt::Display) -> ! {
    report::say(format_args!("{why}; {ending} in {seconds} s"));
    for left in (0..seconds).rev() {
        sleep(Duration::from_secs(1));
        tell_left(ending, left);
    }
    end(ending)
}

/// Counts down, and stops the machine unless Enter is pressed on the active console meanwhile: then it returns.
pub(crate) fn end_in_unless_entered(seconds: u32, ending: Ending, console: &Console) {
    let keys = Keys::open(console).map_err(|fault| report::tell(&fault)).ok();
    report::say(format_args!(
        "{ending} in {seconds} s; press Enter on {} for a shell",
        console.device.display()
    ));
    if count_down(seconds, Duration::from_secs(1), keys, |left| tell_left(ending, left))
        == Count::Over
    {
        end(ending);
    }
}

fn tell_left(ending: Ending, left: u32) {
    if matches!(left, 1..3 | 10 | 30) {
        report::say(format_args!("{ending} in {left} s"));
    }
}

/// What a countdown has come to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Count {
    Over,
    Interrupted,
}

fn count_down(seconds: u32, second: Duration, mut keys: Option<Keys>, tell: impl Fn(u32)) -> Count {
    for left in (0..seconds).rev() {
        let next = Instant::now() + second;
        if let Some(open) = &mut keys {
            match open.wait_for_enter(next) {
                Ok(true) => return Count::Interrupted,
                Ok(false) => {}
                Err(fault) => {
                    report::tell(&fault);
                    keys = None;
                }
            }
        }
        sleep(next.saturating_duration_since(Instant::now()));
        tell(left);
    }
    Count::Over
}

/// The keyboard of a console. A terminal gives what is typed line by line.
#[derive(Debug)]
struct Keys(File);

impl Keys {
    fn open(console: &Console) -> anyhow::Result<Self> {
        let device = &console.device;
        let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let keys = rustix::fs::open(device, flags, Mode::empty())
            .with_context(|| format!("opening {}", device.display()))?;
        // What was typed before the question is no answer.
        rustix::termios::tcflush(&keys, QueueSelector::IFlush).ok();
        Ok(Self(keys.into()))
    }

    /// True as soon as Enter is pressed; false when it was not by then. An error when nobody ever can.
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
                anyhow::bail!("the console has no keyboard any more");
            }
            if typed.contains(&b'\n') {
                return Ok(true);
            }
        }
    }
}

fn end(ending: Ending) -> ! {
    report::drain();
    // reboot(2) does not flush dirty pages.
    rustix::fs::sync();
    // Where halting or powering off is not possible the kernel ends the thread that asked for it. This one must not end.
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
        report::error(format_args!("{ending}: {error}; hint: switch the machine off and on"));
    }
}

/// From here on a panic is told and leads to a reboot. Without this it would end PID 1, and the kernel would stop with it.
pub(crate) fn reboot_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        end_in(10, Ending::Reboot, format_args!("a defect of init: {panic}"))
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::io::pipe;
    use std::os::fd::OwnedFd;
    use std::sync::Mutex;

    const MOMENT: Duration = Duration::from_millis(5);
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_countdown_tells_every_second_and_is_over() {
        let told = Mutex::new(Vec::new());
        let over = count_down(3, MOMENT, None, |left| told.lock().unwrap().push(left));
        assert_eq!((over, told.into_inner().unwrap()), (Count::Over, vec![2, 1, 0]));
        assert_eq!(count_down(0, LONG, None, |_| {}), Count::Over);
    }

    #[test]
    fn enter_interrupts_a_countdown_and_other_keys_do_not() {
        for (typed, count, seconds, second) in [
            (&b"\n"[..], Count::Interrupted, 60, LONG),
            (b"abc\n", Count::Interrupted, 60, LONG),
            (b"abc", Count::Over, 3, MOMENT),
            (b"", Count::Over, 3, MOMENT),
        ] {
            let (keys, mut keyboard) = pipe().unwrap();
            keyboard.write_all(typed).unwrap();
            let keys = Keys(OwnedFd::from(keys).into());
            assert_eq!(count_down(seconds, second, Some(keys), |_| {}), count, "{typed:?}");
        }
    }

    #[test]
    fn a_countdown_goes_on_without_a_keyboard() {
        let (keys, keyboard) = pipe().unwrap();
        drop(keyboard);
        let mut keys = Keys(OwnedFd::from(keys).into());
        assert!(keys.wait_for_enter(Instant::now() + LONG).is_err());
        assert_eq!(count_down(3, MOMENT, Some(keys), |_| {}), Count::Over);
    }

    #[test]
    fn what_was_typed_before_is_no_answer() {
        let nothing = Console { device: "/dev/null".into(), ..Console::fallback() };
        assert!(Keys::open(&nothing).is_ok(), "what is no terminal has nothing to forget");
        let nosuch = Console { device: "/nosuch".into(), ..Console::fallback() };
        let fault = format!("{:#}", Keys::open(&nosuch).unwrap_err());
        assert!(fault.starts_with("opening /nosuch: "), "{fault}");
    }
}
