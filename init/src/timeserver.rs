//! Asks time servers, all at once and for a few seconds at most. Goes in: their names. Comes out: the first good answer. Sets no clock.

use crate::sntp;
use anyhow::Context as _;
use anyhow::bail;
use rustix::rand::GetRandomFlags;
use rustix::rand::getrandom;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::net::ToSocketAddrs as _;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread::Builder;
use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

/// The kernel's file of what DHCP has named, one address a line.
pub(crate) const DHCP_SERVERS: &str = "/proc/net/ipconfig/ntp_servers";

const PORT: u16 = 123;

/// How long one request waits for its answer, and a failed one for the next.
const PATIENCE: Duration = Duration::from_millis(900);

/// A time server, as a word or DHCP names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Server {
    /// A name or an address.
    host: String,
    port: u16,
}

impl Server {
    /// `HOST`, `HOST:PORT`, `[IPV6]:PORT`, and an IPv6 address without brackets.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self { host: address.to_string(), port: PORT });
        }
        if let Some(inside) = text.strip_prefix('[') {
            let (address, port) = inside.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            let port = if port.is_empty() { PORT } else { port.strip_prefix(':')?.parse().ok()? };
            return Some(Self { host: address.to_string(), port });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (text, PORT),
        };
        let is_name = !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        is_name.then(|| Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            PORT => f.write_str(&self.host),
            port if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            port => write!(f, "{}:{port}", self.host),
        }
    }
}

/// The servers that DHCP has named. A kernel without the file knows of none.
pub(crate) fn read_dhcp_servers(file: &Path) -> anyhow::Result<Vec<Server>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(parse_dhcp_servers(&text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("reading {}", file.display())),
    }
}

/// 0.0.0.0 stands for a server that is not known.
fn parse_dhcp_servers(text: &str) -> Vec<Server> {
    text.split_whitespace()
        .filter_map(|word| word.parse::<IpAddr>().ok())
        .filter(|address| !address.is_unspecified())
        .map(|address| Server { host: address.to_string(), port: PORT })
        .collect()
}

/// A server's time.
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

/// The first good answer. An error tells of each server why it gave none.
///
/// A thread that looks up a name cannot be called back; when the time is up it is left alone, and what it finds is dropped.
pub(crate) fn ask(servers: &[Server], floor: Duration, limit: Duration) -> anyhow::Result<Answer> {
    let deadline = Instant::now() + limit;
    let (sender, answers) = channel();
    for (number, server) in servers.iter().enumerate() {
        let (server, sender) = (server.clone(), sender.clone());
        Builder::new()
            .name("time".to_owned())
            .spawn(move || {
                // Nobody listens any more when another was faster.
                let tell = |answer| sender.send((number, answer)).unwrap_or_default();
                ask_one(&server, floor, deadline, tell);
            })
            .context("starting a thread for a time server")?;
    }
    drop(sender);
    let mut faults: Vec<_> =
        servers.iter().map(|server| format!("{server}: no answer in time")).collect();
    // Ends with the time limit, or when all have given up before.
    while let Ok((number, answer)) =
        answers.recv_timeout(deadline.saturating_duration_since(Instant::now()))
    {
        match answer {
            Ok(answer) => return Ok(answer),
            Err(error) => {
                if let (Some(fault), Some(server)) = (faults.get_mut(number), servers.get(number)) {
                    *fault = format!("{server}: {error:#}");
                }
            }
        }
    }
    bail!("{}", faults.join("; "))
}

/// Asks until there is a reply or the time is up, for a request may be lost on the way. Tells every fault as it comes.
fn ask_one(
    server: &Server,
    floor: Duration,
    deadline: Instant,
    tell: impl Fn(anyhow::Result<Answer>),
) {
    let found = (server.host.as_str(), server.port).to_socket_addrs();
    let addresses: Vec<SocketAddr> = match found.context("looking up its address") {
        Ok(found) => found.collect(),
        Err(fault) => return tell(Err(fault)),
    };
    for address in addresses.iter().cycle().take_while(|_| Instant::now() < deadline) {
        let next = (Instant::now() + PATIENCE).min(deadline);
        match exchange(*address, next) {
            Ok(Some(reply)) => {
                // A server that replies will not say another thing a second later.
                let time = sntp::parse_reply(&reply.packet, floor);
                let (server, at) = (server.to_string(), reply.at);
                return tell(time.map(|time| Answer { server, time, at }));
            }
            Ok(None) => {}
            Err(fault) => {
                tell(Err(fault));
                // What went wrong at once would go wrong at once again.
                sleep(next.saturating_duration_since(Instant::now()));
            }
        }
    }
}

/// A server's reply, and the moment it was sent as far as can be known.
struct Reply {
    packet: Vec<u8>,
    at: Instant,
}

/// One request and its reply; None where there was none in time.
fn exchange(server: SocketAddr, deadline: Instant) -> anyhow::Result<Option<Reply>> {
    let local: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((local, 0)).context("opening a socket")?;
    // A connected socket takes packets of this address only, and learns at once that a port is closed.
    socket.connect(server).context("connecting")?;
    let (nonce, sent) = (make_nonce(), Instant::now());
    socket.send(&sntp::make_request(nonce)).context("asking")?;
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
        // Others are passed over; the right one may still come.
        if sntp::is_reply(&packet, nonce) {
            return Ok(Some(Reply { packet, at: sent + sent.elapsed() / 2 }));
        }
    }
}

fn is_no_answer_yet(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// What a reply must return. It only has to be hard to guess for one who does not see the request, so early randomness is good enough;
/// the flag lets the kernel give it without waiting for better.
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
