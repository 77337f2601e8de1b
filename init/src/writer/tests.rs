//! Consoles that work, block and fail, as files and pipes.

use super::*;
use rustix::fs::OFlags;
use std::fs;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::Path;

const LONG: Duration = Duration::from_secs(20);

fn open(path: &Path) -> anyhow::Result<File> {
    Ok(File::options().append(true).create(true).open(path)?)
}

fn soon(limit: Duration) -> Instant {
    Instant::now() + limit
}

/// A console that takes nothing until someone reads from the other end.
fn blocking_console() -> (ConsoleWriter, io::PipeReader) {
    let (reader, writer) = io::pipe().unwrap();
    let mut file = File::from(OwnedFd::from(writer));
    rustix::fs::fcntl_setfl(&file, OFlags::NONBLOCK).unwrap();
    while file.write_all(&[b'x'; 4096]).is_ok() {}
    rustix::fs::fcntl_setfl(&file, OFlags::empty()).unwrap();
    let mut writer = Some(file);
    let console = ConsoleWriter::start(move || writer.take().context("hung up")).unwrap();
    (console, reader)
}

#[test]
fn everything_comes_out_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("console");
    let file = path.clone();
    let console = ConsoleWriter::start(move || open(&file)).unwrap();
    let pieces: Vec<String> = (0..500).map(|number| format!("line {number}\n")).collect();
    for piece in &pieces {
        console.push(piece.clone().into_bytes());
    }
    console.drain(soon(LONG));
    assert_eq!(fs::read_to_string(path).unwrap(), pieces.concat());
}

#[test]
fn a_console_that_blocks_holds_nobody_up() {
    let (console, mut reader) = blocking_console();
    let start = Instant::now();
    for number in 0..10_000 {
        console.push(format!("line {number:>50}\n").into_bytes());
    }
    console.drain(soon(Duration::from_millis(10)));
    assert!(start.elapsed() < LONG);
    assert!(console.is_stuck());
    assert!(console.queue.lock().waiting_bytes <= MOST_WAITING);

    // Somebody has plugged in.
    let reading = std::thread::spawn(move || {
        let mut text = Vec::new();
        let mut part = [0; 4096];
        while !text.ends_with(b"line                                               9999\n") {
            let length = reader.read(&mut part).unwrap();
            text.extend(&part[..length]);
        }
        String::from_utf8(text).unwrap()
    });
    console.drain(soon(LONG));
    assert!(!console.is_stuck());
    let text = reading.join().unwrap();
    assert!(text.contains("\ninit: this console is slow, "), "the gap is told");
}

#[test]
fn the_newest_line_is_kept_even_when_it_is_too_long() {
    let (console, _reader) = blocking_console();
    for _ in 0..4 {
        console.push(vec![b'x'; MOST_WAITING * 2]);
    }
    assert_eq!(console.queue.lock().waiting.len(), 1);
}

#[test]
fn a_console_that_was_hung_up_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("console");
    let file = path.clone();
    let mut opened = 0;
    let console = ConsoleWriter::start(move || {
        opened += 1;
        // Every write to /dev/full fails.
        open(if opened == 1 { Path::new("/dev/full") } else { &file })
    })
    .unwrap();
    console.push(b"one\n".to_vec());
    console.push(b"two\n".to_vec());
    console.drain(soon(LONG));
    assert_eq!(fs::read_to_string(path).unwrap(), "one\ntwo\n");
}

#[test]
fn a_console_that_always_fails_holds_nobody_up() {
    let console = ConsoleWriter::start(|| open(Path::new("/dev/full"))).unwrap();
    for _ in 0..100 {
        console.push(b"line\n".to_vec());
    }
    console.drain(soon(LONG));
    assert!(!console.is_stuck());
}

#[test]
fn a_console_that_cannot_be_opened_is_a_fault() {
    let fault = ConsoleWriter::start(|| anyhow::bail!("no such device")).unwrap_err();
    assert_eq!(format!("{fault:#}"), "no such device");
}
