//! The kernel's consoles, and standard input and output of init.

use std::{
    fs::File,
    io,
    io::{ErrorKind, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, anyhow};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags},
    io::Errno,
    stdio::{dup2_stderr, dup2_stdin, dup2_stdout},
};

pub(crate) const DEVICE: &str = "/dev/console";
const ACTIVE: &str = "/sys/class/tty/console/active";
/// Serial ports, in kernels since 6.5.
const PORTS: &str = "sys/bus/serial-base/devices";

/// A terminal that the kernel prints on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Console {
    /// Such as `/dev/ttyS0`. Unlike `/dev/console` it can control a session, which Ctrl-C needs.
    pub(crate) device: PathBuf,
    pub(crate) kind: Kind,
}

/// The type of a terminal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A screen with a keyboard, driven by the kernel.
    Screen,
    /// A serial line or a hypervisor's console.
    Line,
}

impl Console {
    /// Used if the active console is unknown.
    pub(crate) fn fallback() -> Self {
        Self { device: DEVICE.into(), kind: Kind::Line }
    }
}

/// Opens standard input and output of init if the kernel had no console for them.
///
/// The Rust runtime has then opened `/dev/null`, and aborts if the initramfs does not contain it.
pub(crate) fn attach() -> anyhow::Result<()> {
    if io::stdin().is_terminal() {
        return Ok(());
    }
    let console = open_terminal(Path::new(DEVICE))?;
    dup2_stdin(&console)
        .and_then(|()| dup2_stdout(&console))
        .and_then(|()| dup2_stderr(&console))
        .with_context(|| format!("using {DEVICE} as standard input and output"))
}

/// Opens a terminal without taking control of it.
pub(crate) fn open_terminal(device: &Path) -> anyhow::Result<File> {
    rustix::fs::open(device, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
        .map(File::from)
        .with_context(|| format!("opening {}", device.display()))
}

/// Writes to a terminal, which may be stuck: gives up after a second.
pub(crate) fn write_briefly(device: &Path, mut bytes: &[u8]) -> anyhow::Result<()> {
    // Without O_NONBLOCK, open can wait for the carrier of a serial line. Tests write to files.
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NONBLOCK;
    let flags = flags | OFlags::NOCTTY | OFlags::CLOEXEC;
    let terminal = rustix::fs::open(device, flags, Mode::empty())?;
    let limit = Timespec { tv_sec: 1, tv_nsec: 0 };
    while !bytes.is_empty() {
        match rustix::io::write(&terminal, bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                if poll(&mut [PollFd::new(&terminal, PollFlags::OUT)], Some(&limit))? == 0 {
                    anyhow::bail!("{} is stuck", device.display());
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Standard input for a program: the active console, or nothing if that cannot be opened.
pub(crate) fn open_input(console: &Console) -> Stdio {
    open_terminal(&console.device)
        .or_else(|_| open_terminal(Path::new(DEVICE)))
        .map_or_else(|_| Stdio::null(), Stdio::from)
}

/// Disables power saving of the serial ports of the system at `root`, which is `/` except in tests.
///
/// After half a second the kernel suspends a port. Text written while it resumes can be delayed
/// until the next write, which may never happen (`__uart_start` in
/// `drivers/tty/serial/serial_core.c`; observed with 6.12 on a PL011).
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

/// All consoles, at least one. The last is the active one, which `/dev/console` refers to.
pub(crate) fn find_all() -> (Vec<Console>, Option<anyhow::Error>) {
    let found = std::fs::read_to_string(ACTIVE)
        .with_context(|| format!("reading {ACTIVE}"))
        .map(|names| parse_names(&names));
    match found {
        Ok(consoles) if !consoles.is_empty() => (consoles, None),
        Ok(_) => (vec![Console::fallback()], Some(anyhow!("{ACTIVE} is empty"))),
        Err(error) => (vec![Console::fallback()], Some(error)),
    }
}

/// The kernel lists the preferred console last.
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
    fn disables_power_saving_of_every_serial_port() {
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
        let error = format!("{:#}", keep_awake(root.path()).unwrap_err());
        assert!(error.ends_with("odd/power/control: Is a directory (os error 21)"), "{error}");
    }

    #[test]
    fn gives_up_a_stuck_terminal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console");
        std::fs::write(&path, "").unwrap();
        write_briefly(&path, b"a\n").unwrap();
        write_briefly(&path, b"b\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"a\nb\n");
        let (reader, writer) = io::pipe().unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
        let error = write_briefly(Path::new(&path), &vec![b'x'; 1 << 20]).unwrap_err().to_string();
        assert!(error.ends_with("is stuck"), "{error}");
        drop(reader);
        assert!(write_briefly(Path::new("/nosuch"), b"").is_err());
    }
}
