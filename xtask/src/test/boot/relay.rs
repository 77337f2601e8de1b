//! A TCP relay on loopback between a guest and a registry. It changes no byte, but can limit the
//! bytes of answers and hold the rest.

use std::{
    io,
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use crate::{host::report, testbed::registry};

/// Time limit for a guest to fetch as much as may pass.
const TIMEOUT: Duration = Duration::from_mins(4);

const BUFFER_BYTES: usize = 16 << 10;

/// A running relay. Dropping it cuts every connection.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    wire: Arc<Wire>,
}

/// Shared by the threads of a relay.
#[derive(Debug, Default)]
struct Wire {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes of answers that may still pass; `None` is unlimited.
    allowance: Option<usize>,
    /// An answer waits because nothing may pass.
    held: bool,
    connections: Vec<TcpStream>,
}

impl Relay {
    /// Starts a relay to `port` of the loopback that holds after `allowance` bytes of answers on
    /// all connections together.
    pub fn start(port: u16, allowance: usize) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("opening a relay's port")?;
        let own_port = listener.local_addr().context("finding a relay's port")?.port();
        let state = State { allowance: Some(allowance), ..State::default() };
        let wire = Arc::new(Wire { state: Mutex::new(state), changed: Condvar::new() });
        let shared = Arc::clone(&wire);
        // Ends with the process.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Without a server the client's connection is closed.
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                if let Err(error) = join(&client, &server, &shared) {
                    report::warn(format_args!("connecting a guest to its registry: {error}"));
                }
            }
        });
        Ok(Self { port: own_port, wire })
    }

    /// `host:port` for a guest.
    pub fn guest(&self) -> String {
        registry::guest_address(self.port)
    }

    /// Waits until everything that may pass has passed.
    pub fn wait_held(&self) -> Result<()> {
        let state = self.wire.lock();
        let waited = self.wire.changed.wait_timeout_while(state, TIMEOUT, |state| !state.held);
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            bail!(
                "no answer reached the relay's limit within {} s, {} bytes are left of it",
                TIMEOUT.as_secs(),
                state.allowance.unwrap_or_default()
            );
        }
        Ok(())
    }

    /// Cuts every connection, which loses the bytes in transit, and removes the limit.
    pub fn cut_and_open(&self) {
        let mut state = self.wire.lock();
        state.allowance = None;
        state.held = false;
        for connection in state.connections.drain(..) {
            // Fails if the other end has closed it.
            connection.shutdown(Shutdown::Both).ok();
        }
        self.wire.changed.notify_all();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.cut_and_open();
    }
}

impl Wire {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes at most `most` bytes from the allowance. Waits if it is used up.
    fn take(&self, most: usize) -> usize {
        let mut state = self.lock();
        if state.allowance == Some(0) {
            state.held = true;
            self.changed.notify_all();
        }
        let waited = self.changed.wait_while(state, |state| state.allowance == Some(0));
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        let Some(left) = &mut state.allowance else { return most };
        let taken = most.min(*left);
        *left -= taken;
        taken
    }
}

/// Starts the threads that transfer bytes both ways.
fn join(client: &TcpStream, server: &TcpStream, wire: &Arc<Wire>) -> io::Result<()> {
    let (mut asking, mut asked) = (client.try_clone()?, server.try_clone()?);
    let (answering, answered) = (server.try_clone()?, client.try_clone()?);
    wire.lock().connections.extend([client.try_clone()?, server.try_clone()?]);
    std::thread::spawn(move || {
        io::copy(&mut asking, &mut asked).ok();
        asked.shutdown(Shutdown::Write).ok();
    });
    let wire = Arc::clone(wire);
    std::thread::spawn(move || transfer_answers(answering, answered, &wire));
    Ok(())
}

fn transfer_answers(mut from: TcpStream, mut to: TcpStream, wire: &Wire) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let mut rest = buffer.get(..length).unwrap_or_default();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(wire.take(rest.len()));
            if to.write_all(now).is_err() {
                return;
            }
            rest = later;
        }
    }
    to.shutdown(Shutdown::Write).ok();
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};

    use super::*;

    /// Answers every line with 100 bytes, on every connection.
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
    fn holds_at_limit_then_cuts_and_opens() {
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
    fn closes_connections_without_server() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let relay = Relay::start(port, 1).unwrap();
        let mut stream = ask(&relay);
        assert!(!matches!(stream.read(&mut [0]), Ok(1..)));
    }

    #[test]
    fn drop_closes_held_connection() {
        let relay = Relay::start(hundred_for_a_line(), 0).unwrap();
        let mut held = ask(&relay);
        relay.wait_held().unwrap();
        drop(relay);
        assert!(!matches!(held.read(&mut [0]), Ok(1..)));
    }
}
