//! How an answer goes onto the wire: head, framing, and where it is cut, stands still or crawls.

use std::{
    io,
    io::Write,
    sync::{Condvar, Mutex},
    time::Duration,
};

use crate::fake::answer::{Answer, Framing};

/// Whether the test has ended. Whoever stands still waits for it.
#[derive(Debug, Default)]
pub(super) struct Ended {
    ended: Mutex<bool>,
    changed: Condvar,
}

impl Ended {
    pub(super) fn end(&self) {
        *self.ended.lock().unwrap() = true;
        self.changed.notify_all();
    }

    pub(super) fn has_ended(&self) -> bool {
        *self.ended.lock().unwrap()
    }

    fn wait(&self) {
        drop(self.changed.wait_while(self.ended.lock().unwrap(), |ended| !*ended).unwrap());
    }

    fn wait_at_most(&self, time: Duration) {
        let ended = self.ended.lock().unwrap();
        drop(self.changed.wait_timeout_while(ended, time, |ended| !*ended).unwrap());
    }
}

impl Answer {
    /// Whether another request may follow on the same connection.
    pub(super) fn keeps_connection(&self) -> bool {
        matches!(self.framing, Framing::Length | Framing::Chunked)
            && self.cut_after.is_none()
            && self.stall_after.is_none()
    }

    /// Sends what has to be sent. A `HEAD` gets the head alone.
    pub(super) fn send(&self, method: &str, to: &mut impl Write, ended: &Ended) -> io::Result<()> {
        let body = first(&self.body, self.end_after);
        if self.framing != Framing::Bare {
            to.write_all(self.head(body.len()).as_bytes())?;
        }
        if method == "HEAD" {
            return to.flush();
        }
        let sent = first(first(body, self.cut_after), self.stall_after);
        let (piece, rest) = self.trickle.unwrap_or((100_000, Duration::ZERO));
        for piece in sent.chunks(piece) {
            self.send_piece(piece, to)?;
            if !rest.is_zero() {
                to.flush()?;
                ended.wait_at_most(rest);
            }
        }
        if self.stall_after.is_some() {
            to.flush()?;
            ended.wait();
        } else if self.framing == Framing::Chunked && self.cut_after.is_none() {
            to.write_all(b"0\r\n\r\n")?;
        }
        to.flush()
    }

    fn send_piece(&self, piece: &[u8], to: &mut impl Write) -> io::Result<()> {
        if self.framing != Framing::Chunked {
            return to.write_all(piece);
        }
        write!(to, "{:x}\r\n", piece.len())?;
        to.write_all(piece)?;
        to.write_all(b"\r\n")
    }

    fn head(&self, length: usize) -> String {
        let framing = match self.framing {
            Framing::Length => format!("Content-Length: {length}\r\n"),
            Framing::Chunked => "Transfer-Encoding: chunked\r\n".to_owned(),
            Framing::Close | Framing::Bare => "Connection: close\r\n".to_owned(),
        };
        let headers = self.headers.iter().map(|(name, value)| [name, ": ", value, "\r\n"].concat());
        let headers: String = headers.collect();
        format!("HTTP/1.1 {} \r\n{headers}{framing}\r\n", self.status)
    }
}

fn first(bytes: &[u8], count: Option<usize>) -> &[u8] {
    &bytes[..count.unwrap_or(usize::MAX).min(bytes.len())]
}
