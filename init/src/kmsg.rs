//! The kernel's log: writes lines to `/dev/kmsg`, from where dmesg, netconsole and pstore have them, and tells which of them the kernel
//! shows on its consoles by itself. Never writes to a console.

use crate::lines::Level;
use crate::lines::split_text;
use anyhow::Context as _;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

/// A record may have 1024 bytes, in older kernels 992; the rest is for the mark.
const LONGEST: usize = 900;

/// The log as it is open for writing.
#[derive(Debug)]
pub(crate) struct KernelLog {
    kmsg: File,
    /// The first number is `console_loglevel`.
    levels: PathBuf,
    /// A kernel parameter, and a switch while the system runs.
    ignore_loglevel: PathBuf,
}

impl KernelLog {
    /// Opens the log of the system at `root`, which is `/` but in tests.
    ///
    /// An error means that lines written there may be lost: the kernel command line can forbid the log to programs, or hold it to ten
    /// lines in five seconds, and what it says cannot be changed any more.
    pub(crate) fn open(root: &Path) -> anyhow::Result<Self> {
        let (device, policy) = (root.join("dev/kmsg"), root.join("proc/sys/kernel/printk_devkmsg"));
        // The kernel refuses this word without a line's end.
        let written = fs::write(&policy, "on\n");
        let found = fs::read_to_string(&policy)
            .and_then(|found| written.and(Ok(found)))
            .with_context(|| format!("letting programs write to {}", device.display()))?;
        if found.trim() != "on" {
            anyhow::bail!("{} is '{}', not 'on'", policy.display(), found.trim());
        }
        let kmsg = File::options()
            .append(true)
            .open(&device)
            .with_context(|| format!("opening {}", device.display()))?;
        Ok(Self {
            kmsg,
            levels: root.join("proc/sys/kernel/printk"),
            ignore_loglevel: root.join("sys/module/printk/parameters/ignore_loglevel"),
        })
    }

    /// The first level that the kernel does not show on its consoles. Read each time: a person may have changed it.
    pub(crate) fn first_hidden(&self) -> u8 {
        let ignored = fs::read(&self.ignore_loglevel).is_ok_and(|text| text.starts_with(b"Y"));
        if ignored {
            return u8::MAX;
        }
        // A line shown twice is better than one not shown, so an unknown level hides everything.
        fs::read_to_string(&self.levels).ok().as_deref().and_then(parse_first).unwrap_or(0)
    }

    /// Writes a line, in several records where it is too long for one.
    pub(crate) fn write(&mut self, level: Level, text: &[u8]) -> io::Result<()> {
        for part in split_text(text, LONGEST) {
            // One write is one record. Without the line's end the kernel keeps it open for more.
            let mark = format!("<{}>", level.number());
            self.kmsg.write_all(&[mark.as_bytes(), part, b"\n"].concat())?;
        }
        Ok(())
    }
}

fn parse_first(levels: &str) -> Option<u8> {
    let number: u32 = levels.split_whitespace().next()?.parse().ok()?;
    Some(u8::try_from(number).unwrap_or(u8::MAX))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use tempfile::TempDir;

    /// A system whose kernel shows levels below `first_hidden`.
    pub(crate) fn fake_root(first_hidden: u8) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("dev/kmsg", String::new()),
            ("proc/sys/kernel/printk_devkmsg", "ratelimit\n".to_owned()),
            ("proc/sys/kernel/printk", format!("{first_hidden}\t4\t1\t7\n")),
            ("sys/module/printk/parameters/ignore_loglevel", "N\n".to_owned()),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    pub(crate) fn records(root: &TempDir) -> String {
        fs::read_to_string(root.path().join("dev/kmsg")).unwrap()
    }

    #[test]
    fn the_rate_limit_is_taken_off_before_the_first_line() {
        let root = fake_root(7);
        KernelLog::open(root.path()).unwrap();
        let policy = root.path().join("proc/sys/kernel/printk_devkmsg");
        assert_eq!(fs::read_to_string(policy).unwrap(), "on\n");
    }

    #[test]
    fn a_log_that_may_lose_lines_is_not_used() {
        let root = fake_root(7);
        let policy = root.path().join("proc/sys/kernel/printk_devkmsg");
        // Takes what is written and stays as it is, as the kernel's file does where its command line has the say.
        fs::remove_file(&policy).unwrap();
        std::os::unix::fs::symlink("/dev/null", &policy).unwrap();
        let fault = format!("{:#}", KernelLog::open(root.path()).unwrap_err());
        assert!(fault.ends_with("printk_devkmsg is '', not 'on'"), "{fault}");

        let root = fake_root(7);
        fs::remove_file(root.path().join("dev/kmsg")).unwrap();
        let fault = format!("{:#}", KernelLog::open(root.path()).unwrap_err());
        assert!(fault.contains("dev/kmsg: No such file"), "{fault}");
    }

    #[test]
    fn the_kernels_own_level_decides_what_it_shows() {
        for (printk, ignore, first_hidden) in [
            ("7\t4\t1\t7\n", "N\n", 7),
            ("4\t4\t1\t7\n", "N\n", 4),
            ("1 4 1 7\n", "", 1),
            ("15\t4\t1\t7\n", "N\n", 15),
            ("1000\t4\t1\t7\n", "N\n", u8::MAX),
            ("4\t4\t1\t7\n", "Y\n", u8::MAX),
            ("", "N\n", 0),
            ("many\n", "N\n", 0),
        ] {
            let root = fake_root(0);
            let log = KernelLog::open(root.path()).unwrap();
            fs::write(&log.levels, printk).unwrap();
            fs::write(&log.ignore_loglevel, ignore).unwrap();
            assert_eq!(log.first_hidden(), first_hidden, "{printk:?} {ignore:?}");
        }
    }

    #[test]
    fn a_long_line_becomes_several_records_of_its_level() {
        let root = fake_root(7);
        let mut log = KernelLog::open(root.path()).unwrap();
        log.write(Level::WARNING, b"short").unwrap();
        log.write(Level::ERROR, "\u{20ac}".repeat(700).as_bytes()).unwrap();
        let euros = |count| "\u{20ac}".repeat(count);
        let wanted = format!("<4>short\n<3>{}\n<3>{}\n<3>{}\n", euros(300), euros(300), euros(100));
        assert_eq!(records(&root), wanted);
    }
}
