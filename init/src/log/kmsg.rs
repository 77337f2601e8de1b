//! Writes lines to the kernel's log, which the kernel prints on its consoles.

use std::{
    fs,
    fs::File,
    io,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// Levels of the kernel's log: 0 is the most urgent, 7 for debugging.
pub(crate) const ERROR: u8 = 3;
pub(crate) const WARNING: u8 = 4;
pub(crate) const INFO: u8 = 6;
const DEBUG: u8 = 7;

/// A record has at most 1024 bytes, in older kernels 992; the rest is for the level.
const MAX_TEXT: usize = 900;

/// The kernel's log, open for writing.
///
/// The kernel prints each record on all of its consoles before the write returns, at any baud rate,
/// so it replaces a thread and a queue for each console (tried with a screen and a serial port at
/// 960 bytes/s: no line was lost or split).
/// With `quiet` the kernel prints only errors. Raising `console_loglevel` would bring back its own
/// messages, so a record gets a more urgent level where its own would not be printed.
#[derive(Debug)]
pub(crate) struct KernelLog {
    kmsg: File,
    /// The first number is `console_loglevel`.
    levels: PathBuf,
    /// A kernel parameter that root can change at run time.
    ignore_loglevel: PathBuf,
}

impl KernelLog {
    /// Opens the log of the system at `root`, which is `/` except in tests.
    ///
    /// Fails if records can be lost: the kernel command line can disable writing or limit it to ten
    /// lines in five seconds, and cannot be overridden.
    pub(crate) fn open(root: &Path) -> anyhow::Result<Self> {
        let (device, policy) = (root.join("dev/kmsg"), root.join("proc/sys/kernel/printk_devkmsg"));
        // The kernel requires the newline.
        let written = fs::write(&policy, "on\n");
        let found = fs::read_to_string(&policy)
            .and_then(|found| written.and(Ok(found)))
            .with_context(|| format!("enabling writes to {}", device.display()))?;
        if found.trim() != "on" {
            anyhow::bail!("{} is '{}', not 'on'", policy.display(), found.trim());
        }
        let kmsg = File::options()
            .append(true)
            .open(&device)
            .with_context(|| format!("opening {}", device.display()))?;
        let module = root.join("sys/module/printk/parameters");
        let log = Self {
            kmsg,
            levels: root.join("proc/sys/kernel/printk"),
            ignore_loglevel: module.join("ignore_loglevel"),
        };
        if log.first_hidden() <= INFO {
            // With `quiet`, the console is for people. dmesg shows the times nevertheless.
            fs::write(module.join("time"), "N").ok();
        }
        Ok(log)
    }

    /// The first level that the kernel does not print. A person can change it at any time.
    fn first_hidden(&self) -> u8 {
        let is_ignored = fs::read(&self.ignore_loglevel).is_ok_and(|text| text.starts_with(b"Y"));
        if is_ignored {
            return u8::MAX;
        }
        fs::read_to_string(&self.levels).ok().as_deref().and_then(parse_first).unwrap_or(0)
    }

    /// Writes a line that the kernel prints; long ones in several records.
    pub(crate) fn print(&mut self, level: u8, text: &[u8]) -> io::Result<()> {
        let printed = self.first_hidden().checked_sub(1).ok_or(io::ErrorKind::Unsupported)?;
        // The kernel prints no empty record.
        self.write(level.min(printed), if text.is_empty() { b" " } else { text })
    }

    /// Writes a line that the kernel does not print, or nothing if it prints every level.
    pub(crate) fn write_hidden(&mut self, level: u8, text: &[u8]) -> io::Result<()> {
        let level = self.first_hidden().max(level);
        if level <= DEBUG { self.write(level, text) } else { Ok(()) }
    }

    fn write(&mut self, level: u8, text: &[u8]) -> io::Result<()> {
        for part in split_text(text, MAX_TEXT) {
            // One write is one record. Without the newline the kernel would wait for more.
            self.kmsg.write_all(&[format!("<{level}>").as_bytes(), part, b"\n"].concat())?;
        }
        Ok(())
    }
}

fn parse_first(levels: &str) -> Option<u8> {
    let number: u32 = levels.split_whitespace().next()?.parse().ok()?;
    Some(u8::try_from(number).unwrap_or(u8::MAX))
}

/// Splits text into parts of at most `max` bytes that do not start inside a UTF-8 character.
fn split_text(text: &[u8], max: usize) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (part, following) = rest.split_at(char_boundary(rest, max));
        rest = following;
        (!part.is_empty()).then_some(part)
    })
}

/// The last character boundary up to `max`; `max` itself if the bytes are not UTF-8.
fn char_boundary(text: &[u8], max: usize) -> usize {
    let is_boundary = |at: &usize| text.get(*at).is_none_or(|byte| byte & 0xC0 != 0x80);
    let max = max.min(text.len());
    let nearest = max.saturating_sub(3);
    (nearest..=max).rev().find(is_boundary).unwrap_or(max)
}

#[cfg(test)]
pub(crate) mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A system whose kernel prints levels below `first_hidden`.
    pub(crate) fn fake_root(first_hidden: u8) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("dev/kmsg", String::new()),
            ("proc/sys/kernel/printk_devkmsg", "ratelimit\n".to_owned()),
            ("proc/sys/kernel/printk", format!("{first_hidden}\t4\t1\t7\n")),
            ("sys/module/printk/parameters/ignore_loglevel", "N\n".to_owned()),
            ("sys/module/printk/parameters/time", "Y\n".to_owned()),
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
    fn removes_the_rate_limit_before_the_first_line() {
        let root = fake_root(7);
        KernelLog::open(root.path()).unwrap();
        let policy = root.path().join("proc/sys/kernel/printk_devkmsg");
        assert_eq!(fs::read_to_string(policy).unwrap(), "on\n");
    }

    #[test]
    fn does_not_use_a_log_that_can_lose_lines() {
        let root = fake_root(7);
        let policy = root.path().join("proc/sys/kernel/printk_devkmsg");
        // Ignores writes, like the kernel's file if its command line sets the policy.
        fs::remove_file(&policy).unwrap();
        std::os::unix::fs::symlink("/dev/null", &policy).unwrap();
        let error = format!("{:#}", KernelLog::open(root.path()).unwrap_err());
        assert!(error.ends_with("printk_devkmsg is '', not 'on'"), "{error}");

        let root = fake_root(7);
        fs::remove_file(root.path().join("dev/kmsg")).unwrap();
        let error = format!("{:#}", KernelLog::open(root.path()).unwrap_err());
        assert!(error.contains("dev/kmsg: No such file"), "{error}");
    }

    #[test]
    fn reads_which_levels_the_kernel_prints() {
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
    fn removes_times_from_quiet_consoles_only() {
        for (first_hidden, time) in [(7, "Y\n"), (6, "N"), (4, "N"), (15, "Y\n")] {
            let root = fake_root(first_hidden);
            KernelLog::open(root.path()).unwrap();
            let found = fs::read_to_string(root.path().join("sys/module/printk/parameters/time"));
            assert_eq!(found.unwrap(), time, "{first_hidden}");
        }
    }

    #[test]
    fn a_long_line_becomes_several_records_of_its_level() {
        let root = fake_root(7);
        let mut log = KernelLog::open(root.path()).unwrap();
        log.write(WARNING, b"short").unwrap();
        log.write(ERROR, "\u{20ac}".repeat(700).as_bytes()).unwrap();
        let euros = |count| "\u{20ac}".repeat(count);
        let expected =
            format!("<4>short\n<3>{}\n<3>{}\n<3>{}\n", euros(300), euros(300), euros(100));
        assert_eq!(records(&root), expected);
    }

    #[test]
    fn splits_text_between_characters() {
        for (text, longest, parts) in [
            ("", 3, vec![]),
            ("abc", 3, vec!["abc"]),
            ("abcd", 3, vec!["abc", "d"]),
            ("ab\u{e0}d", 3, vec!["ab", "\u{e0}d"]),
            ("\u{20ac}\u{20ac}", 5, vec!["\u{20ac}", "\u{20ac}"]),
            ("a\u{1f980}b", 4, vec!["a", "\u{1f980}", "b"]),
        ] {
            let found: Vec<_> = split_text(text.as_bytes(), longest).collect();
            let expected: Vec<_> = parts.iter().map(|part| part.as_bytes()).collect();
            assert_eq!(found, expected, "{text} {longest}");
        }
    }

    #[test]
    fn splits_bytes_that_are_not_utf8() {
        let bytes = [0x80; 1000];
        let parts: Vec<_> = split_text(&bytes, 300).collect();
        assert!(parts.iter().all(|part| part.len() <= 300));
        assert_eq!(parts.concat(), bytes);
    }
}
