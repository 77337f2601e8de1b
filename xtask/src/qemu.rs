//! A machine in QEMU whose console is read and typed on. It never outlives its [`Guest`], and every wait has an end.

use crate::arch::Arch;
use crate::cmd::Background;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::ChildStdin;
use std::process::Stdio;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use std::time::Instant;
use xshell::Shell;

/// How long a guest may take for one thing. Emulation takes seconds; a busy host may take much longer.
const PATIENCE: Duration = Duration::from_mins(4);

/// After this a guest says nothing more that anyone waits for.
const PANIC: &str = "Kernel panic";

/// What a guest boots.
#[derive(Clone, Copy, Debug)]
pub enum Boot<'a> {
    /// Our files, handed over as a boot loader does.
    Installer { kernel: &'a Path, initramfs: &'a Path, words: &'a str },
    /// Whatever the disk holds.
    Disk,
}

/// A machine to start.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    pub arch: Arch,
    pub boot: Boot<'a>,
    /// A raw image file; the guest's `/dev/vda`.
    pub disk: Option<&'a Path>,
}

impl Machine<'_> {
    /// The command line of a QEMU that ends when the guest reboots and has its console on standard input and output.
    pub fn command_line(&self) -> Vec<OsString> {
        let (machine, cpu) = match self.arch {
            Arch::X86_64 => ("pc", "max"),
            Arch::Arm64 => ("virt", "cortex-a57"),
        };
        let fixed = [
            "-machine",
            machine,
            "-cpu",
            cpu,
            "-m",
            "1G",
            "-accel",
            "tcg",
            "-no-reboot",
            "-display",
            "none",
            "-serial",
            "stdio",
        ];
        let mut words: Vec<OsString> = fixed.map(OsString::from).into();
        words.extend(["-monitor", "none", "-nic", "user,model=virtio-net-pci"].map(OsString::from));
        if let Some(disk) = self.disk {
            // A comma ends an option's value unless it is doubled.
            let file = disk.display().to_string().replace(',', ",,");
            words.extend([
                "-drive".into(),
                format!("file={file},format=raw,if=virtio,cache=unsafe").into(),
            ]);
        }
        if let Boot::Installer { kernel, initramfs, words: append } = self.boot {
            let append =
                format!("ip=dhcp console={} panic=-1 {append}", self.arch.serial_console());
            words.extend([
                "-kernel".into(),
                kernel.into(),
                "-initrd".into(),
                initramfs.into(),
                "-append".into(),
                append.into(),
            ]);
        }
        words
    }

    /// The program that emulates this machine.
    pub fn program(&self) -> String {
        format!("qemu-system-{}", self.arch.cpu())
    }
}

/// A running machine and what its console has said.
#[derive(Debug)]
pub struct Guest {
    qemu: Background,
    keyboard: ChildStdin,
    console: Receiver<Vec<u8>>,
    log: File,
    log_path: PathBuf,
    said: String,
    /// How much of `said` earlier expectations have used up.
    seen: usize,
}

impl Guest {
    /// Starts `machine`; its console is also written to `log`.
    pub fn start(machine: &Machine<'_>, log: &Path) -> Result<Self> {
        let shell = Shell::new()?;
        let (program, words) = (machine.program(), machine.command_line());
        let mut qemu = Background::start(xshell::cmd!(shell, "{program} {words...}"), |command| {
            // Errors of QEMU itself belong on the console: that is where a reader of the log looks.
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        })?;
        let keyboard = qemu.child.stdin.take().context("opening the guest's keyboard")?;
        let stdout = qemu.child.stdout.take().context("opening the guest's console")?;
        let log_path = log.to_owned();
        let log = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        Ok(Self {
            qemu,
            keyboard,
            console: read_in_thread(stdout),
            log,
            log_path,
            said: String::new(),
            seen: 0,
        })
    }

    /// Waits until the console says `text` after what was expected before; returns the whole line up to there.
    pub fn expect(&mut self, text: &str) -> Result<String> {
        self.expect_unless(text, PANIC)
    }

    /// The same, but gives up as soon as the console says `alarm` without it.
    pub fn expect_unless(&mut self, text: &str, alarm: &str) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        let console = self.log_path.display().to_string();
        loop {
            let new = self.said.get(self.seen..).unwrap_or_default();
            if let Some(at) = new.find(text) {
                let before = self.said.get(..self.seen + at).unwrap_or_default();
                let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
                self.seen += at + text.len();
                return Ok(self.said.get(line_start..self.seen).unwrap_or_default().to_owned());
            }
            if new.contains(alarm) {
                bail!("the guest said '{alarm}' and not '{text}'; its console is in {console}");
            }
            if !self.listen(deadline).with_context(|| format!("waiting for '{text}'"))? {
                bail!("the guest ended before it said '{text}'; its console is in {console}");
            }
        }
    }

    /// Types a line and presses return.
    pub fn type_line(&mut self, line: &str) -> Result<()> {
        writeln!(self.keyboard, "{line}").with_context(|| format!("typing '{line}'"))?;
        self.keyboard.flush().context("typing")
    }

    /// Waits until the machine ends, as it does by rebooting or powering off, and returns everything it said.
    pub fn wait_end(mut self) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        while self.listen(deadline).context("waiting for the guest's end")? {}
        let status = self.qemu.child.wait().context("waiting for QEMU's end")?;
        if !status.success() {
            bail!(
                "QEMU ended with {status}; the guest's console is in {}",
                self.log_path.display()
            );
        }
        Ok(self.said)
    }

    /// Takes in what the console says next. False when it will say nothing more.
    fn listen(&mut self, deadline: Instant) -> Result<bool> {
        match self.console.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(bytes) => {
                self.log.write_all(&bytes).context("writing the console's log")?;
                self.said.push_str(&String::from_utf8_lossy(&bytes).replace('\r', ""));
                Ok(true)
            }
            Err(RecvTimeoutError::Disconnected) => Ok(false),
            Err(RecvTimeoutError::Timeout) => {
                bail!(
                    "nothing for {} s; the guest's console is in {}",
                    PATIENCE.as_secs(),
                    self.log_path.display()
                )
            }
        }
    }
}

fn read_in_thread(mut console: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = sync_channel(64);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 4096];
        while let Ok(length) = console.read(&mut buffer) {
            let bytes = buffer.get(..length).unwrap_or_default();
            if bytes.is_empty() || sender.send(bytes.to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}
