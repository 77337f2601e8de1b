//! Logs with files as consoles and as the kernel's log. What the kernel prints is only in its log.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::log::kmsg::tests::{fake_root, records};

/// Two consoles, of which the second is the active one.
struct Fake {
    log: Log,
    root: TempDir,
}

impl Fake {
    fn new(first_hidden: u8) -> Self {
        let root = fake_root(first_hidden);
        let consoles = ["other", "active"].map(|name| {
            let device = root.path().join(name);
            fs::write(&device, "").unwrap();
            Console { device, ..Console::fallback() }
        });
        let kernel = Some(KernelLog::open(root.path()).unwrap());
        Self { log: Log { consoles: consoles.into(), kernel, is_unfinished: false }, root }
    }

    /// Contents of the other console, of the active one, and of the kernel's log.
    fn seen(&self) -> [String; 3] {
        let read = |name| fs::read_to_string(self.root.path().join(name)).unwrap();
        [read("other"), read("active"), records(&self.root)]
    }
}

fn line(level: u8, text: &str) -> Line {
    Line { level, text: text.into() }
}

#[test]
fn the_kernel_prints_a_line_of_any_level() {
    for (first_hidden, level, record) in [
        (7, 6, "<6>text\n"),
        (7, 7, "<6>text\n"),
        (4, 3, "<3>text\n"),
        (4, 4, "<3>text\n"),
        (4, 6, "<3>text\n"),
        (1, 6, "<0>text\n"),
        (15, 7, "<7>text\n"),
    ] {
        let mut fake = Fake::new(first_hidden);
        fake.log.line(Origin::Program, &line(level, "text"));
        assert_eq!(fake.seen(), ["", "", record], "{first_hidden} {level}");
    }
}

#[test]
fn init_shows_a_line_that_the_kernel_does_not_print() {
    let mut fake = Fake::new(7);
    fake.log.kernel = None;
    fake.log.line(Origin::Init, &line(6, "a"));
    assert_eq!(fake.seen(), ["a\n", "a\n", ""]);

    let mut fake = Fake::new(0);
    fake.log.line(Origin::Init, &line(0, "a"));
    assert_eq!(fake.seen(), ["a\n", "a\n", ""]);

    let mut fake = Fake::new(7);
    let kmsg = fake.root.path().join("dev/kmsg");
    fs::remove_file(&kmsg).unwrap();
    std::os::unix::fs::symlink("/dev/full", &kmsg).unwrap();
    fake.log.kernel = Some(KernelLog::open(fake.root.path()).unwrap());
    fake.log.line(Origin::Init, &line(6, "a"));
    fs::remove_file(&kmsg).unwrap();
    fs::write(&kmsg, "").unwrap();
    assert_eq!(fake.seen(), ["a\n", "a\n", ""]);
}

#[test]
fn an_empty_line_is_a_record_that_the_kernel_prints() {
    let mut fake = Fake::new(7);
    fake.log.line(Origin::Program, &line(6, ""));
    assert_eq!(fake.seen(), ["", "", "<6> \n"]);
}

#[test]
fn the_start_of_a_line_is_shown_at_once_and_not_repeated_by_the_kernel() {
    for (first_hidden, record) in [(4, "<6>go on: \n"), (7, "<7>go on: \n"), (8, "")] {
        let mut fake = Fake::new(first_hidden);
        fake.log.unfinished(&line(6, "go on: "));
        assert_eq!(fake.seen(), ["go on: ", "go on: ", record], "{first_hidden}");
    }
}

#[test]
fn output_after_an_answer_starts_a_line_on_every_console() {
    let mut fake = Fake::new(7);
    fake.log.unfinished(&line(6, "go on: "));
    // The terminal of the active console has echoed "yes" and a newline.
    fake.log.line(Origin::Program, &line(6, "installing"));
    fake.log.line(Origin::Program, &line(6, "done"));
    let [other, active, records] = fake.seen();
    assert_eq!((other.as_str(), active.as_str()), ("go on: \n", "go on: "));
    assert_eq!(records, "<7>go on: \n<6>installing\n<6>done\n");
}

#[test]
fn a_line_of_init_starts_a_line_even_without_an_answer() {
    let mut fake = Fake::new(4);
    fake.log.unfinished(&line(6, "go on: "));
    fake.log.line(Origin::Init, &line(3, "init: ocidd was killed"));
    let [other, active, records] = fake.seen();
    assert_eq!((other.as_str(), active.as_str()), ("go on: \n", "go on: \n"));
    assert_eq!(records, "<6>go on: \n<3>init: ocidd was killed\n");
}

#[test]
fn a_late_newline_ends_the_line_and_adds_none() {
    let mut fake = Fake::new(4);
    fake.log.unfinished(&line(6, "formatting "));
    fake.log.line(Origin::Program, &line(6, ""));
    fake.log.line(Origin::Program, &line(6, "done"));
    let [other, active, records] = fake.seen();
    assert_eq!((other.as_str(), active.as_str()), ("formatting \n", "formatting \n"));
    assert_eq!(records, "<6>formatting \n<3>done\n");
}
