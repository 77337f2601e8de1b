//! The consoles: standard input and output of init, and the terminal devices the kernel prints on. Reads sysfs, and changes there only whether
//! serial ports may sleep; changes no terminal.

use anyhow::Context as _;
use anyhow::anyhow;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::stdio::dup2_stderr;
use rustix::stdio::dup2_stdin;
use rustix::stdio::dup2_stdout;
use std::fs::File;
use std::io;
use std::io::ErrorKind;
use std::io::IsTerminal as _;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;

pub(crate) const DEVICE: &str = "/dev/console";
const ACTIVE: &str = "/sys/class/tty/console/active";
/// The ports of serial lines, in kernels since 6.5.
const PORTS: &str = "sys/bus/serial-base/devices";

/// A terminal people may look at.
#[derive(Clone, Debug, Eq, PartialEq)]
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

/// Opens a terminal for writing, also one whose line has nobody at its other end.
pub(crate) fn open_output(device: &Path) -> anyhow::Result<File> {
    let opening = || format!("opening {}", device.display());
    // Without O_NONBLOCK a serial line may wait for its carrier here.
    let flags = OFlags::WRONLY | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let terminal = rustix::fs::open(device, flags, Mode::empty()).with_context(opening)?;
    rustix::fs::fcntl_setfl(&terminal, OFlags::empty()).with_context(opening)?;
    Ok(File::from(terminal))
}

/// What a program started by us reads from: the active console; where that cannot be opened, nothing.
pub(crate) fn open_input(console: &Console) -> Stdio {
    open_terminal(&console.device)
        .or_else(|_| open_terminal(Path::new(DEVICE)))
        .map_or_else(|_| Stdio::null(), Stdio::from)
}

/// Keeps the serial ports of the system at `root`, which is `/` but in tests, from sleeping.
///
/// The kernel lets a port sleep after half a second, and leaves what is written meanwhile to its waking up. A line that is written at the very end
/// of that may wait for the next one to be sent, which for a last line never comes (`__uart_start` in `drivers/tty/serial/serial_core.c`; seen with
/// 6.12 on a PL011).
pub(crate) fn keep_awake(root: &Path) -> anyhow::Result<()> {
    let ports = root.join(PORTS);
    let reading = || format!("reading {}", ports.display());
    let entries = match std::fs::read_dir(&ports) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(reading)?,
    };
    for port in entries {
        let control = port.with_context(reading)?.path().join("power/control");
        let opened = File::options().write(true).truncate(true).open(&control);
        match opened.and_then(|mut opened| opened.write_all(b"on")) {
            // A kernel without power management.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            written => written.with_context(|| format!("writing {}", control.display()))?,
        }
    }
    Ok(())
}

/// Every console of the kernel, each once. The last is the active one, which `/dev/console` stands for; there is always one.
pub(crate) fn find_all() -> (Vec<Console>, Option<anyhow::Error>) {
    let found = std::fs::read_to_string(ACTIVE)
        .with_context(|| format!("reading {ACTIVE}"))
        .map(|names| parse_names(&names));
    match found {
        Ok(consoles) if !consoles.is_empty() => (consoles, None),
        Ok(_) => (vec![Console::fallback()], Some(anyhow!("{ACTIVE} names no console"))),
        Err(fault) => (vec![Console::fallback()], Some(fault)),
    }
}

/// Of several consoles the kernel names the preferred one last.
fn parse_names(names: &str) -> Vec<Console> {
    let mut consoles = Vec::new();
    for name in names.split_whitespace() {
        let console = Console { device: Path::new("/dev").join(name), kind: find_kind(name) };
        consoles.retain(|earlier| *earlier != console);
        consoles.push(console);
    }
    consoles
}

fn find_kind(name: &str) -> Kind {
    let is_screen = name
        .strip_prefix("tty")
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
    if is_screen { Kind::Screen } else { Kind::Line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_console_is_the_active_one() {
        for (names, devices) in [
            ("ttyS0\n", vec!["/dev/ttyS0"]),
            ("tty0 ttyS0\n", vec!["/dev/tty0", "/dev/ttyS0"]),
            ("ttyS0 ttyS1 tty12", vec!["/dev/ttyS0", "/dev/ttyS1", "/dev/tty12"]),
            ("ttyS0 tty0 ttyS0\n", vec!["/dev/tty0", "/dev/ttyS0"]),
            ("", vec![]),
            ("\n", vec![]),
        ] {
            let found = parse_names(names);
            let found: Vec<_> =
                found.iter().map(|console| console.device.to_str().unwrap()).collect();
            assert_eq!(found, devices, "{names:?}");
        }
    }

    #[test]
    fn a_numbered_terminal_is_a_screen() {
        for (name, kind) in [
            ("tty0", Kind::Screen),
            ("tty12", Kind::Screen),
            ("ttyS0", Kind::Line),
            ("hvc0", Kind::Line),
            ("ttyAMA0", Kind::Line),
            ("tty", Kind::Line),
            ("tty1a", Kind::Line),
        ] {
            assert_eq!(find_kind(name), kind, "{name}");
        }
    }

    #[test]
    fn every_serial_port_is_kept_awake() {
        let root = tempfile::tempdir().unwrap();
        keep_awake(root.path()).unwrap();
        let ports = root.path().join(PORTS);
        let controls = ["9000000.pl011:0", "9000000.pl011:0.0"].map(|port| {
            let control = ports.join(port).join("power/control");
            std::fs::create_dir_all(control.parent().unwrap()).unwrap();
            std::fs::write(&control, "auto\n").unwrap();
            control
        });
        keep_awake(root.path()).unwrap();
        assert_eq!(controls.map(|control| std::fs::read_to_string(control).unwrap()), ["on", "on"]);

        std::fs::create_dir(ports.join("odd")).unwrap();
        keep_awake(root.path()).unwrap();
        std::fs::create_dir_all(ports.join("odd/power/control")).unwrap();
        let fault = format!("{:#}", keep_awake(root.path()).unwrap_err());
        assert!(fault.ends_with("odd/power/control: Is a directory (os error 21)"), "{fault}");
    }

    #[test]
    fn output_is_opened_without_waiting_and_written_with_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console");
        std::fs::write(&path, "").unwrap();
        let console = open_output(&path).unwrap();
        let flags = rustix::fs::fcntl_getfl(&console).unwrap();
        assert!(!flags.contains(OFlags::NONBLOCK));
        let fault = format!("{:#}", open_output(&folder.path().join("nosuch")).unwrap_err());
        assert!(fault.starts_with("opening /"), "{fault}");
    }
}
