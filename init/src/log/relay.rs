//! Splits the output of a program into lines, and relays an unfinished line after a moment.

use std::{
    io::{ErrorKind, PipeReader, Read as _},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::OFlags,
    io::Errno,
};

use crate::log::kmsg;

/// A line can arrive in several writes. After this time it is treated as a question to a person.
const MOMENT: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Time to read what is left after the program's end; a process it has started can print forever.
const END_LIMIT: Duration = Duration::from_secs(1);

/// A longer line is relayed in pieces of about this many bytes.
const MAX_LINE: usize = 4096;

/// A line without its level and its newline.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Line {
    pub(crate) level: u8,
    pub(crate) text: Vec<u8>,
}

impl Line {
    /// Removes a leading `<0>` to `<7>`, the level (sd-daemon(3)). The default is `INFO`.
    fn parse(line: &[u8]) -> Self {
        let (level, text) = match line {
            [b'<', digit @ b'0'..=b'7', b'>', text @ ..] => (digit - b'0', text),
            _ => (kmsg::INFO, line),
        };
        Self { level, text: text.strip_suffix(b"\r").unwrap_or(text).to_vec() }
    }
}

/// Output of a program that can be shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Piece {
    Line(Line),
    /// The start of a line. The rest arrives as a line.
    Unfinished(Line),
}

/// Relays `output` until the other end of `program`, a second pipe, is closed.
///
/// Output of the program is relayed completely, later output of other processes is not.
pub(crate) fn relay(
    mut output: PipeReader,
    program: &PipeReader,
    mut sink: impl FnMut(Piece),
) -> anyhow::Result<()> {
    // The program's end of the pipe is another open file and keeps its mode.
    rustix::fs::fcntl_setfl(&output, OFlags::NONBLOCK).context("preparing a pipe")?;
    let mut rest = Vec::new();
    loop {
        let mut ends = [PollFd::new(&output, PollFlags::IN), PollFd::new(program, PollFlags::IN)];
        let ready = match poll(&mut ends, (!rest.is_empty()).then_some(&MOMENT)) {
            Err(Errno::INTR) => continue,
            ready => ready.context("waiting for output")?,
        };
        let [_, program] = ends;
        if ready == 0 {
            take_rest(&mut rest).map(Piece::Unfinished).into_iter().for_each(&mut sink);
        } else if !program.revents().is_empty() {
            let deadline = Instant::now() + END_LIMIT;
            while read_some(&mut output, &mut rest, &mut sink)? && Instant::now() < deadline {}
            break;
        } else if !read_some(&mut output, &mut rest, &mut sink)? {
            break;
        }
    }
    take_rest(&mut rest).map(Piece::Line).into_iter().for_each(sink);
    Ok(())
}

/// Returns false if there is nothing to read at this time.
fn read_some(
    output: &mut PipeReader,
    rest: &mut Vec<u8>,
    sink: &mut impl FnMut(Piece),
) -> anyhow::Result<bool> {
    let mut buffer = [0; 4096];
    match output.read(&mut buffer) {
        Ok(0) => Ok(false),
        Ok(length) => {
            let bytes = buffer.get(..length).unwrap_or_default();
            split_lines(rest, bytes, |line| sink(Piece::Line(line)));
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error).context("reading output"),
    }
}

/// Appends `bytes` to an unfinished line, and removes and returns the lines that are finished.
fn split_lines(rest: &mut Vec<u8>, bytes: &[u8], mut sink: impl FnMut(Line)) {
    for part in bytes.split_inclusive(|byte| *byte == b'\n') {
        rest.extend(part);
        if let Some(line) = rest.strip_suffix(b"\n") {
            sink(Line::parse(line));
            rest.clear();
        } else if rest.len() >= MAX_LINE {
            take_rest(rest).into_iter().for_each(&mut sink);
        }
    }
}

fn take_rest(rest: &mut Vec<u8>) -> Option<Line> {
    let line = (!rest.is_empty()).then(|| Line::parse(rest));
    rest.clear();
    line
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Write as _, pipe},
        sync::mpsc::{Receiver, channel},
        thread::{JoinHandle, spawn},
    };

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// A relay whose pieces arrive at a person.
    struct Fake {
        output: std::io::PipeWriter,
        program: std::io::PipeWriter,
        pieces: Receiver<Piece>,
        relay: JoinHandle<anyhow::Result<()>>,
    }

    fn start() -> Fake {
        let (output_reader, output) = pipe().unwrap();
        let (program_reader, program) = pipe().unwrap();
        let (sender, pieces) = channel();
        let relay = spawn(move || {
            relay(output_reader, &program_reader, |piece| sender.send(piece).unwrap())
        });
        Fake { output, program, pieces, relay }
    }

    fn shown(piece: &Piece) -> (&str, String) {
        let (kind, line) = match piece {
            Piece::Line(line) => ("line", line),
            Piece::Unfinished(line) => ("unfinished", line),
        };
        (kind, format!("{} {}", line.level, String::from_utf8_lossy(&line.text)))
    }

    #[test]
    fn relays_a_question_while_the_program_waits_for_the_answer() {
        let mut fake = start();
        fake.output.write_all(b"<4>a\nType 'yes': ").unwrap();
        let pieces = [(); 2].map(|()| fake.pieces.recv_timeout(LONG).unwrap());
        assert_eq!(shown(&pieces[0]), ("line", "4 a".to_owned()));
        assert_eq!(shown(&pieces[1]), ("unfinished", "6 Type 'yes': ".to_owned()));

        fake.output.write_all(b"going on\n").unwrap();
        let piece = fake.pieces.recv_timeout(LONG).unwrap();
        assert_eq!(shown(&piece), ("line", "6 going on".to_owned()));
        drop(fake.program);
        fake.relay.join().unwrap().unwrap();
    }

    #[test]
    fn relays_the_last_line_even_without_a_newline() {
        let mut fake = start();
        let text = "x".repeat(99) + "\n";
        fake.output.write_all(text.repeat(300).as_bytes()).unwrap();
        fake.output.write_all(b"<3>last").unwrap();
        drop(fake.program);
        fake.relay.join().unwrap().unwrap();
        let pieces: Vec<Piece> = fake.pieces.iter().collect();
        assert_eq!(pieces.len(), 301);
        assert_eq!(shown(&pieces[300]), ("line", "3 last".to_owned()));
    }

    #[test]
    fn ends_with_the_program_even_if_its_children_print() {
        let fake = start();
        let mut orphan = fake.output;
        let printing = spawn(move || while orphan.write_all(b"still here\n").is_ok() {});
        fake.pieces.recv_timeout(LONG).unwrap();
        drop(fake.program);
        fake.relay.join().unwrap().unwrap();
        printing.join().unwrap();
    }

    #[test]
    fn ends_when_no_process_can_print() {
        let fake = start();
        drop(fake.output);
        fake.relay.join().unwrap().unwrap();
        drop(fake.program);
    }

    fn line(level: u8, text: impl AsRef<[u8]>) -> Line {
        Line { level, text: text.as_ref().to_vec() }
    }

    fn split(rest: &mut Vec<u8>, bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        split_lines(rest, bytes, |line| lines.push(line));
        lines
    }

    #[test]
    fn parses_and_removes_the_level() {
        for (printed, expected) in [
            ("<0>a\n", line(0, "a")),
            ("<7>a b\n", line(7, "a b")),
            ("<3><4>a\n", line(3, "<4>a")),
            ("<3>\n", line(3, "")),
            ("a\n", line(6, "a")),
            ("\n", line(6, "")),
            ("<8>a\n", line(6, "<8>a")),
            ("<10>a\n", line(6, "<10>a")),
            ("<3 a\n", line(6, "<3 a")),
            (" <3>a\n", line(6, " <3>a")),
            ("<4>a\r\n", line(4, "a")),
        ] {
            assert_eq!(split(&mut vec![], printed.as_bytes()), [expected], "{printed:?}");
        }
    }

    #[test]
    fn lines_do_not_depend_on_the_sizes_of_reads() {
        let printed = "<4>one\ntwo \u{e0}\n\n<3>three\nrest".as_bytes();
        let expected = [line(4, "one"), line(6, "two \u{e0}"), line(6, ""), line(3, "three")];
        for size in 1..=printed.len() {
            let mut rest = vec![];
            let found: Vec<_> =
                printed.chunks(size).flat_map(|part| split(&mut rest, part)).collect();
            assert_eq!(found, expected, "in parts of {size}");
            assert_eq!(take_rest(&mut rest), Some(line(6, "rest")));
            assert_eq!(take_rest(&mut rest), None);
        }
    }

    #[test]
    fn output_after_an_unfinished_line_is_a_separate_line() {
        let mut rest = vec![];
        assert_eq!(split(&mut rest, b"<5>Type 'yes': "), []);
        assert!(!rest.is_empty());
        assert_eq!(take_rest(&mut rest), Some(line(5, "Type 'yes': ")));
        assert!(rest.is_empty());
        assert_eq!(split(&mut rest, b"<4>no\n"), [line(4, "no")]);
    }

    #[test]
    fn splits_a_line_that_never_ends() {
        let mut rest = vec![];
        let found: usize = (0..100).flat_map(|_| split(&mut rest, &[b'x'; 1000])).count();
        assert_eq!(found, 20);
        assert!(rest.len() < MAX_LINE);
    }
}
