//! The console: standard input and output of init, and the terminal device behind `/dev/console`. Reads sysfs, changes no terminal.

use anyhow::Context as _;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::stdio::dup2_stderr;
use rustix::stdio::dup2_stdin;
use rustix::stdio::dup2_stdout;
use std::fs::File;
use std::io;
use std::io::IsTerminal as _;
use std::path::Path;
use std::path::PathBuf;

pub(crate) const DEVICE: &str = "/dev/console";
const ACTIVE: &str = "/sys/class/tty/console/active";

/// The terminal people look at.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Console {
    /// `/dev/ttyS0`, `/dev/tty0`, …: unlike `/dev/console`, a device that can control a session, without which Ctrl-C does nothing.
    pub(crate) device: PathBuf,
    pub(crate) kind: Kind,
}

/// What the terminal can do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A screen with a keyboard, driven by the kernel.
    Screen,
    /// A serial line, or what a hypervisor offers in its place. Who is at its other end, a person or a log, is not known.
    Line,
}

impl Console {
    /// Where the active console cannot be found.
    pub(crate) fn fallback() -> Self {
        Self { device: DEVICE.into(), kind: Kind::Line }
    }
}

/// Gives init standard input and output, where the kernel had no console to give.
///
/// The Rust runtime then has opened `/dev/null` in their place, and aborts where there is none: the initramfs must hold one.
pub(crate) fn attach() -> anyhow::Result<()> {
    if io::stdin().is_terminal() {
        return Ok(());
    }
    let console = open_terminal(Path::new(DEVICE))?;
    dup2_stdin(&console)
        .and_then(|()| dup2_stdout(&console))
        .and_then(|()| dup2_stderr(&console))
        .with_context(|| format!("making {DEVICE} the standard input and output"))
}

/// Opens a terminal without taking control of it.
pub(crate) fn open_terminal(device: &Path) -> anyhow::Result<File> {
    rustix::fs::open(device, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
        .map(File::from)
        .with_context(|| format!("opening {}", device.display()))
}

/// The console that `/dev/console` stands for.
pub(crate) fn find_active() -> anyhow::Result<Console> {
    let names = std::fs::read_to_string(ACTIVE).with_context(|| format!("reading {ACTIVE}"))?;
    parse_active(&names).with_context(|| format!("{ACTIVE} names no console"))
}

/// Of several consoles the kernel names the preferred one last.
fn parse_active(names: &str) -> Option<Console> {
    let name = names.split_whitespace().next_back()?;
    let is_screen = name
        .strip_prefix("tty")
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
    let kind = if is_screen { Kind::Screen } else { Kind::Line };
    Some(Console { device: Path::new("/dev").join(name), kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_console_is_the_active_one() {
        for (names, device, kind) in [
            ("ttyS0\n", "/dev/ttyS0", Kind::Line),
            ("tty0 ttyS0\n", "/dev/ttyS0", Kind::Line),
            ("ttyS0 tty0\n", "/dev/tty0", Kind::Screen),
            ("ttyS0 ttyS1 tty12", "/dev/tty12", Kind::Screen),
            ("tty0 hvc0\n", "/dev/hvc0", Kind::Line),
            ("ttyAMA0\n", "/dev/ttyAMA0", Kind::Line),
            ("tty\n", "/dev/tty", Kind::Line),
            ("tty1a\n", "/dev/tty1a", Kind::Line),
        ] {
            let wanted = Console { device: device.into(), kind };
            assert_eq!(parse_active(names), Some(wanted), "{names:?}");
        }
    }

    #[test]
    fn no_name_is_no_console() {
        assert_eq!(parse_active(""), None);
        assert_eq!(parse_active("\n"), None);
    }
}
