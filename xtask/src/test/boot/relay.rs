//! A TCP relay on loopback between a guest and a registry. A test can limit the bytes of its answers
//! and hold it. It parses nothing and changes no byte.

use crate::testbed::registry;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use std::io::Read as _;
use std::io::Write as _;
use std::net::Shutdown;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

/// How long the relay may wait for a guest to fetch as much as it lets through.
const TIMEOUT: Duration = Duration::from_mins(4);

/// Small, so that a hold comes at the very byte asked for.
const BUFFER_BYTES: usize = 16 << 10;

/// A running relay. Dropping it cuts every connection.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    wire: Arc<Wire>,
}

/// What the threads of a relay share.
#[derive(Debug, Default)]
struct Wire {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes of answers that may still pass; `None` lets everything pass.
    allowance: Option<usize>,
    /// Whether an answer waits that may not pass.
    held: bool,
    ended: bool,
    connections: Vec<TcpStream>,
}

impl Relay {
    /// A relay to `port` of the loopback that holds after `allowance` bytes of answers, all connections together.
    pub fn start(port: u16, allowance: usize) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("opening a relay's port")?;
        let own_port = listener.local_addr().context("finding a relay's port")?.port();
        let state = State { allowance: Some(allowance), ..State::default() };
        let wire = Arc::new(Wire { state: Mutex::new(state), changed: Condvar::new() });
        let shared = Arc::clone(&wire);
        std::thread::spawn(move || accept(&listener, port, &shared));
        Ok(Self { port: own_port, wire })
    }

    /// `host:port` as a guest sees the relay.
    pub fn guest(&self) -> String {
        registry::guest_address(self.port)
    }

    /// Waits until an answer is held: all that may pass has passed.
    pub fn wait_held(&self) -> Result<()> {
        let state = self.wire.lock();
        let (state, _) = self
            .wire
            .changed
            .wait_timeout_while(state, TIMEOUT, |state| !state.held)
            .unwrap_or_else(PoisonError::into_inner);
        if !state.held {
            bail!(
                "no answer reached the relay's limit within {} s, {} bytes are left of it",
                TIMEOUT.as_secs(),
                state.allowance.unwrap_or_default()
            );
        }
        Ok(())
    }

    /// Cuts every connection, and what was on its way is lost; later ones are held no more.
    pub fn cut_and_open(&self) {
        let mut state = self.wire.lock();
        state.allowance = None;
        state.held = false;
        state.cut();
        drop(state);
        self.wire.changed.notify_all();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let mut state = self.wire.lock();
        state.ended = true;
        state.cut();
        drop(state);
        self.wire.changed.notify_all();
        // Wakes the thread that accepts, which then sees the end.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

impl State {
    fn cut(&mut self) {
        for connection in self.connections.drain(..) {
            // Fails where the other end was first.
            connection.shutdown(Shutdown::Both).ok();
        }
    }
}

impl Wire {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up to `wanted` bytes from the allowance, and waits where there is none.
    fn take(&self, wanted: usize) -> usize {
        let mut state = self.lock();
        if state.allowance == Some(0) {
            state.held = true;
            self.changed.notify_all();
        }
        let mut state = self
            .changed
            .wait_while(state, |state| state.allowance == Some(0) && !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        match &mut state.allowance {
            None => wanted,
            Some(left) => {
                let taken = wanted.min(*left);
                *left -= taken;
                taken
            }
        }
    }
}

fn accept(listener: &TcpListener, port: u16, wire: &Arc<Wire>) {
    for client in listener.incoming().flatten() {
        if wire.lock().ended {
            break;
        }
        // A registry that is down: the client sees its connection closed.
        let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
        if let Err(error) = join(&client, &server, wire) {
            crate::host::report::warn(format_args!("joining a guest to its registry: {error}"));
        }
    }
}

/// Starts the threads that carry bytes both ways.
fn join(client: &TcpStream, server: &TcpStream, wire: &Arc<Wire>) -> std::io::Result<()> {
    let (mut asking, mut asked) = (client.try_clone()?, server.try_clone()?);
    let (answering, answered) = (server.try_clone()?, client.try_clone()?);
    wire.lock().connections.extend([client.try_clone()?, server.try_clone()?]);
    std::thread::spawn(move || {
        std::io::copy(&mut asking, &mut asked).ok();
        asked.shutdown(Shutdown::Write).ok();
    });
    let wire = Arc::clone(wire);
    std::thread::spawn(move || carry_answers(answering, answered, &wire));
    Ok(())
}

fn carry_answers(mut from: TcpStream, mut to: TcpStream, wire: &Wire) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let mut rest = buffer.get(..length).unwrap_or_default();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(wire.take(rest.len()));
            // Nothing may pass only where the relay has ended.
            if now.is_empty() || to.write_all(now).is_err() {
                return;
            }
            rest = later;
        }
    }
    to.shutdown(Shutdown::Write).ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufRead as _;
    use std::io::BufReader;

    /// Answers every line with 100 bytes, on as many connections as come.
    fn hundred_for_a_line() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                while lines.next().is_some_and(|line| line.is_ok()) {
                    (&stream).write_all(&[b'x'; 100]).unwrap();
                }
            }
        });
        port
    }

    fn ask(relay: &Relay) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", relay.port)).unwrap();
        stream.write_all(b"more\n").unwrap();
        stream
    }

    #[test]
    fn holds_at_the_byte_asked_for_then_cuts_and_opens() {
        let relay = Relay::start(hundred_for_a_line(), 30).unwrap();
        let mut held = ask(&relay);
        relay.wait_held().unwrap();
        let mut passed = [0; 30];
        held.read_exact(&mut passed).unwrap();
        relay.cut_and_open();
        assert!(!matches!(held.read(&mut passed), Ok(1..)), "a byte came after the hold");
        let mut open = ask(&relay);
        let mut whole = [0; 100];
        open.read_exact(&mut whole).unwrap();
        assert_eq!(whole, [b'x'; 100]);
    }

    #[test]
    fn closes_connections_while_nobody_listens_behind_it() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let relay = Relay::start(port, 1).unwrap();
        let mut stream = ask(&relay);
        assert!(!matches!(stream.read(&mut [0]), Ok(1..)));
    }

    #[test]
    fn dropping_it_lets_go_of_a_held_connection() {
        let relay = Relay::start(hundred_for_a_line(), 0).unwrap();
        let mut held = ask(&relay);
        relay.wait_held().unwrap();
        drop(relay);
        assert!(!matches!(held.read(&mut [0]), Ok(1..)));
    }
}
