//! Asks several time servers at once and returns the first valid answer.

use std::{
    fs,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket},
    path::Path,
    sync::mpsc::channel,
    thread::{Builder, sleep},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
pub(crate) use params::Server;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::time::sntp;

/// The servers that the kernel knows from DHCP, one address per line.
pub(crate) const DHCP_SERVERS: &str = "/proc/net/ipconfig/ntp_servers";

/// Time for one request and its answer.
const REQUEST_LIMIT: Duration = Duration::from_millis(900);

/// Servers from DHCP; none on a kernel without the file.
pub(crate) fn read_dhcp_servers(file: &Path) -> anyhow::Result<Vec<Server>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(parse_dhcp_servers(&text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("reading {}", file.display())),
    }
}

/// 0.0.0.0 is an unknown server.
fn parse_dhcp_servers(text: &str) -> Vec<Server> {
    text.split_whitespace()
        .filter_map(|address| address.parse::<IpAddr>().ok())
        .filter(|address| !address.is_unspecified())
        .map(|address| Server { host: address.to_string(), port: Server::PORT })
        .collect()
}

/// The time of a server.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) server: String,
    /// Since 1970, at `at`.
    time: Duration,
    at: Instant,
}

impl Answer {
    /// The time since 1970.
    pub(crate) fn now(&self) -> Duration {
        self.time + self.at.elapsed()
    }
}

/// Returns the first valid answer, or an error that lists the problem of each server.
///
/// A name lookup cannot be canceled: a thread that is still busy at the end is abandoned.
pub(crate) fn ask(servers: &[Server], floor: Duration, limit: Duration) -> anyhow::Result<Answer> {
    let deadline = Instant::now() + limit;
    let (sender, answers) = channel();
    for (number, server) in servers.iter().enumerate() {
        let (server, sender) = (server.clone(), sender.clone());
        Builder::new()
            .name("time".to_owned())
            .spawn(move || {
                // The receiver is gone if another server was faster.
                let send = |answer| sender.send((number, answer)).unwrap_or_default();
                ask_one(&server, floor, deadline, send);
            })
            .context("starting a thread for a time server")?;
    }
    drop(sender);
    let mut errors: Vec<_> =
        servers.iter().map(|server| format!("{server}: no answer in time")).collect();
    // Ends at the deadline or when all threads have ended.
    while let Ok((number, answer)) =
        answers.recv_timeout(deadline.saturating_duration_since(Instant::now()))
    {
        match answer {
            Ok(answer) => return Ok(answer),
            Err(error) => {
                if let (Some(entry), Some(server)) = (errors.get_mut(number), servers.get(number)) {
                    *entry = format!("{server}: {error:#}");
                }
            }
        }
    }
    bail!("{}", errors.join("; "))
}

/// Repeats requests until there is a reply, because packets can be lost. Sends every error.
fn ask_one(
    server: &Server,
    floor: Duration,
    deadline: Instant,
    send: impl Fn(anyhow::Result<Answer>),
) {
    let found = (server.host.as_str(), server.port).to_socket_addrs();
    let addresses: Vec<SocketAddr> = match found.context("looking up its address") {
        Ok(found) => found.collect(),
        Err(error) => return send(Err(error)),
    };
    for address in addresses.iter().cycle().take_while(|_| Instant::now() < deadline) {
        let next = (Instant::now() + REQUEST_LIMIT).min(deadline);
        match exchange(*address, next) {
            Ok(Some((packet, at))) => {
                // The server would give the same reply again.
                let (time, server) = (sntp::parse_reply(&packet, floor), server.to_string());
                return send(time.map(|time| Answer { server, time, at }));
            }
            Ok(None) => {}
            Err(error) => {
                send(Err(error));
                // An immediate error would repeat immediately.
                sleep(next.saturating_duration_since(Instant::now()));
            }
        }
    }
}

/// Sends a request and returns its reply, or `None` at the deadline. The estimated time at which the
/// reply was sent comes with it.
fn exchange(server: SocketAddr, deadline: Instant) -> anyhow::Result<Option<(Vec<u8>, Instant)>> {
    let local: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((local, 0)).context("opening a socket")?;
    // A connected socket only receives from this address, and reports a closed port.
    socket.connect(server).context("connecting")?;
    let (nonce, sent) = (make_nonce(), Instant::now());
    socket.send(&sntp::make_request(nonce)).context("sending a request")?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        socket.set_read_timeout(Some(left)).context("waiting for the answer")?;
        let mut packet = vec![0; 512];
        match socket.recv(&mut packet) {
            Ok(length) => packet.truncate(length),
            Err(error) if is_no_answer_yet(error.kind()) => continue,
            Err(error) => return Err(error).context("waiting for the answer"),
        }
        // Other packets are ignored; the reply can follow.
        if sntp::is_reply(&packet, nonce) {
            return Ok(Some((packet, sent + sent.elapsed() / 2)));
        }
    }
}

fn is_no_answer_yet(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// A number that the reply must contain. It must be hard to guess without seeing the request, so
/// the kernel's early randomness is sufficient.
fn make_nonce() -> u64 {
    let mut bytes = [0; 8];
    let is_random = getrandom(&mut bytes, GetRandomFlags::INSECURE).is_ok_and(|n| n == bytes.len());
    if !is_random {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        return now.tv_sec.cast_unsigned() << 32 | now.tv_nsec.cast_unsigned();
    }
    u64::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests;
