//! Reads what a program prints from a pipe and hands it on as lines, and a line without its end after a moment. Ends with the program,
//! whoever still holds the other end of the pipe. Prints nothing by itself.

use crate::lines::Line;
use crate::lines::Lines;
use anyhow::Context as _;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::event::poll;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::io::ErrorKind;
use std::io::PipeReader;
use std::io::Read as _;
use std::time::Duration;
use std::time::Instant;

/// A line may come in several writes. After this long without one it is taken for a question; a person notices no delay.
const MOMENT: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// How long a program's end waits for output that does not end: something it has started may go on printing.
const END_LIMIT: Duration = Duration::from_secs(1);

/// What of a program's output is ready to be shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Piece {
    Line(Line),
    Unfinished(Line),
}

/// Why `wait` has returned.
enum Event {
    Output,
    Pause,
    Ended,
}

/// Hands on everything from `output` until `program`, the reading end of a second pipe, is closed at its other end.
///
/// What the program has printed by then is handed on; what others print into the same pipe later is not.
pub(crate) fn pass_on(
    mut output: PipeReader,
    program: &PipeReader,
    mut sink: impl FnMut(Piece),
) -> anyhow::Result<()> {
    // The program's end of the pipe is another open file and keeps its mode.
    rustix::fs::fcntl_setfl(&output, OFlags::NONBLOCK).context("preparing a pipe")?;
    let mut lines = Lines::default();
    loop {
        match wait(&output, program, lines.has_unfinished().then_some(&MOMENT))? {
            Event::Output => {
                if !read_some(&mut output, &mut lines, &mut sink)? {
                    break;
                }
            }
            Event::Pause => {
                lines.take_unfinished().map(Piece::Unfinished).into_iter().for_each(&mut sink);
            }
            Event::Ended => {
                let deadline = Instant::now() + END_LIMIT;
                while read_some(&mut output, &mut lines, &mut sink)? && Instant::now() < deadline {}
                break;
            }
        }
    }
    lines.take_unfinished().map(Piece::Line).into_iter().for_each(sink);
    Ok(())
}

fn wait(
    output: &PipeReader,
    program: &PipeReader,
    limit: Option<&Timespec>,
) -> anyhow::Result<Event> {
    let mut ends = [PollFd::new(output, PollFlags::IN), PollFd::new(program, PollFlags::IN)];
    loop {
        match poll(&mut ends, limit) {
            Ok(0) => return Ok(Event::Pause),
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("waiting for output"),
        }
    }
    let [_, program] = ends;
    Ok(if program.revents().is_empty() { Event::Output } else { Event::Ended })
}

/// False when there is nothing more to read at this time.
fn read_some(
    output: &mut PipeReader,
    lines: &mut Lines,
    sink: &mut impl FnMut(Piece),
) -> anyhow::Result<bool> {
    let mut buffer = [0; 4096];
    match output.read(&mut buffer) {
        Ok(0) => Ok(false),
        Ok(length) => {
            let bytes = buffer.get(..length).unwrap_or_default();
            lines.push(bytes).into_iter().map(Piece::Line).for_each(sink);
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error).context("reading output"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::io::pipe;
    use std::sync::mpsc::Receiver;
    use std::sync::mpsc::channel;
    use std::thread::JoinHandle;
    use std::thread::spawn;

    const LONG: Duration = Duration::from_secs(20);

    /// A relay with a person at its end, who sees `pieces` as they come.
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
            pass_on(output_reader, &program_reader, |piece| sender.send(piece).unwrap())
        });
        Fake { output, program, pieces, relay }
    }

    fn shown(piece: &Piece) -> (&str, String) {
        let (kind, line) = match piece {
            Piece::Line(line) => ("line", line),
            Piece::Unfinished(line) => ("unfinished", line),
        };
        (kind, format!("{} {}", line.level.number(), String::from_utf8_lossy(&line.text)))
    }

    #[test]
    fn a_question_is_passed_on_while_the_program_waits_for_the_answer() {
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
    fn the_last_words_of_a_program_are_passed_on_even_without_a_lines_end() {
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
    fn the_relay_ends_with_the_program_even_if_others_print_on() {
        let fake = start();
        let mut orphan = fake.output;
        let printing = spawn(move || while orphan.write_all(b"still here\n").is_ok() {});
        fake.pieces.recv_timeout(LONG).unwrap();
        drop(fake.program);
        fake.relay.join().unwrap().unwrap();
        printing.join().unwrap();
    }

    #[test]
    fn the_relay_ends_when_nobody_can_print_any_more() {
        let fake = start();
        drop(fake.output);
        fake.relay.join().unwrap().unwrap();
        drop(fake.program);
    }
}
