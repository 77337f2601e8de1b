//! Logs with files in the place of consoles and of the kernel's log. What a kernel shows by itself is in its log only.

use super::*;
use crate::kmsg::tests::fake_root;
use crate::kmsg::tests::records;
use std::fs;
use std::fs::File;
use std::time::Instant;
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(20);

/// Two consoles, of which the second is the active one.
struct Fake {
    log: Log,
    root: TempDir,
}

impl Fake {
    fn new(first_hidden: u8) -> Self {
        let root = fake_root(first_hidden);
        let consoles = ["other", "active"].map(|name| {
            let path = root.path().join(name);
            ConsoleWriter::start(move || {
                Ok(File::options().append(true).create(true).open(&path)?)
            })
            .unwrap()
        });
        let kernel = KernelLog::open(root.path()).unwrap();
        Self { log: Log::new(consoles.into(), Some(kernel)), root }
    }

    /// What stands on the other console, on the active one, and in the kernel's log.
    fn seen(&self) -> [String; 3] {
        self.log.drain(LONG);
        let read = |name| fs::read_to_string(self.root.path().join(name)).unwrap();
        [read("other"), read("active"), records(&self.root)]
    }
}

fn line(level: u8, text: &str) -> Line {
    Line { level: Level::new(level).unwrap(), text: text.into() }
}

#[test]
fn a_line_is_shown_by_the_kernel_or_by_us_and_never_by_both() {
    for (first_hidden, level, shown) in [
        (7, 6, ""),
        (7, 7, "text\n"),
        (4, 3, ""),
        (4, 4, "text\n"),
        (4, 6, "text\n"),
        (0, 0, "text\n"),
        (15, 7, ""),
    ] {
        let mut fake = Fake::new(first_hidden);
        fake.log.line(Speaker::Program, &line(level, "text"));
        let record = format!("<{level}>text\n");
        assert_eq!(fake.seen(), [shown, shown, &record], "{first_hidden} {level}");
    }
}

#[test]
fn a_line_is_shown_by_us_where_the_kernels_log_takes_none() {
    let mut fake = Fake::new(7);
    fake.log.kernel = None;
    fake.log.line(Speaker::Init, &line(6, "a"));
    assert_eq!(fake.seen(), ["a\n", "a\n", ""]);

    let mut fake = Fake::new(7);
    let kmsg = fake.root.path().join("dev/kmsg");
    fs::remove_file(&kmsg).unwrap();
    std::os::unix::fs::symlink("/dev/full", &kmsg).unwrap();
    fake.log.kernel = Some(KernelLog::open(fake.root.path()).unwrap());
    fake.log.line(Speaker::Init, &line(6, "a"));
    fs::remove_file(&kmsg).unwrap();
    fs::write(&kmsg, "").unwrap();
    assert_eq!(fake.seen(), ["a\n", "a\n", ""]);
}

#[test]
fn an_empty_line_is_shown_by_us_since_the_kernel_shows_none() {
    let mut fake = Fake::new(7);
    fake.log.line(Speaker::Program, &line(6, ""));
    assert_eq!(fake.seen(), ["\n", "\n", ""]);
}

#[test]
fn the_beginning_of_a_line_is_shown_at_once_and_noted_where_the_kernel_does_not_repeat_it() {
    for (first_hidden, record) in [(4, "<6>go on: \n"), (7, "<7>go on: \n"), (8, "")] {
        let mut fake = Fake::new(first_hidden);
        fake.log.unfinished(&line(6, "go on: "));
        assert_eq!(fake.seen(), ["go on: ", "go on: ", record], "{first_hidden}");
    }
}

#[test]
fn what_follows_an_answer_begins_a_line_on_every_console() {
    let mut fake = Fake::new(4);
    fake.log.unfinished(&line(6, "go on: "));
    // The terminal of the active console has shown "yes" and a line's end.
    fake.log.line(Speaker::Program, &line(6, "installing"));
    fake.log.line(Speaker::Program, &line(6, "done"));
    let [other, active, records] = fake.seen();
    assert_eq!(other, "go on: \ninstalling\ndone\n");
    assert_eq!(active, "go on: installing\ndone\n");
    assert_eq!(records, "<6>go on: \n<6>installing\n<6>done\n");
}

#[test]
fn what_init_says_begins_a_line_even_when_nobody_has_answered() {
    let mut fake = Fake::new(4);
    fake.log.unfinished(&line(6, "go on: "));
    fake.log.line(Speaker::Init, &line(3, "init: ocidd was killed"));
    let [other, active, records] = fake.seen();
    assert_eq!((other.as_str(), active.as_str()), ("go on: \n", "go on: \n"));
    assert_eq!(records, "<6>go on: \n<3>init: ocidd was killed\n");
}

#[test]
fn a_lines_end_that_comes_late_ends_the_line_and_adds_none() {
    let mut fake = Fake::new(4);
    fake.log.unfinished(&line(6, "formatting "));
    fake.log.line(Speaker::Program, &line(6, ""));
    fake.log.line(Speaker::Program, &line(6, "done"));
    let [other, active, _] = fake.seen();
    assert_eq!((other, active), ("formatting \ndone\n".into(), "formatting \ndone\n".into()));
}

#[test]
fn a_console_that_blocks_delays_the_kernels_lines_once() {
    let mut fake = Fake::new(7);
    let (_reader, writer) = io::pipe().unwrap();
    let mut writer = Some(File::from(std::os::fd::OwnedFd::from(writer)));
    let stuck = ConsoleWriter::start(move || writer.take().ok_or(anyhow::anyhow!("hung up")));
    fake.log.consoles.insert(0, stuck.unwrap());
    for _ in 0..3000 {
        fake.log.line(Speaker::Program, &line(7, &"x".repeat(100)));
    }
    let start = Instant::now();
    for _ in 0..500 {
        fake.log.line(Speaker::Program, &line(6, "shown by the kernel"));
    }
    // Were the blocked console waited for each time, it would be 100 s.
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
    assert!(fake.log.consoles[0].is_stuck());
    assert_eq!(records(&fake.root).lines().count(), 3500);
}
