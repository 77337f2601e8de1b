//! Values of all parameters. References and disks stay text that `ocidd` parses.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    num::ParseIntError,
    str::FromStr,
    time::Duration,
};

/// Values of all parameters.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a parameter that is set or not")]
pub struct Options {
    pub tag: Option<String>,
    pub blob: Option<String>,
    pub platform: Option<String>,
    pub mirrors: Vec<String>,
    pub verify_key: Option<String>,
    pub retries: Option<Retries>,
    pub timeout: Option<Duration>,
    pub allow_no_tls: bool,
    pub insecure_skip_verify: bool,
    pub http_proxy: Option<String>,
    pub https_proxy: Option<String>,
    pub no_proxy: Option<String>,
    pub disk: Option<String>,
    pub disk_timeout: Option<Duration>,
    /// Bytes.
    pub transfer_size: Option<u64>,
    pub keep_gpt: bool,
    pub read_back: bool,
    pub wait: bool,
    pub dry_run: bool,
    pub skip_if_installed: bool,
    pub report: Option<String>,
    pub after: After,
    pub on_error: OnError,
    pub time_servers: TimeServers,
}

/// Maximum number of consecutive retries after transient errors, or `None` without a limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retries(pub Option<u32>);

impl FromStr for Retries {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let limit = if text == "infinite" { None } else { Some(text.parse()?) };
        Ok(Self(limit))
    }
}

/// How the machine stops. `Halt` leaves it powered on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    Reboot,
    PowerOff,
    Halt,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reboot => "rebooting",
            Self::PowerOff => "powering off",
            Self::Halt => "halting",
        })
    }
}

/// Action after success.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum After {
    End(Ending),
    Shell,
}

impl Default for After {
    fn default() -> Self {
        Self::End(Ending::Reboot)
    }
}

/// Action after failure.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnError {
    #[default]
    Shell,
    /// After this many seconds, in which a person can ask for the shell.
    End(Ending, u32),
}

/// Where the time comes from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum TimeServers {
    #[default]
    Dhcp,
    Servers(Vec<Server>),
    Off,
}

/// A time server: a host name or address, and a port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Server {
    pub host: String,
    pub port: u16,
}

impl Server {
    /// The default port of NTP.
    pub const PORT: u16 = 123;

    /// Parses `HOST`, `HOST:PORT`, `[IPV6]:PORT`, and an IPv6 address without brackets.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self { host: address.to_string(), port: Self::PORT });
        }
        let is_name_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let (host, port) = if let Some((address, port)) = bracketed {
            (address.parse::<Ipv6Addr>().ok()?.to_string(), port)
        } else {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            let is_name = !host.is_empty() && host.bytes().all(is_name_byte);
            is_name.then(|| (host.to_owned(), port))?
        };
        let port =
            if port.is_empty() { Self::PORT } else { port.strip_prefix(':')?.parse().ok()? };
        Some(Self { host, port })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Self::PORT => f.write_str(&self.host),
            port if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            port => write!(f, "{}:{port}", self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_displays_servers() {
        for (text, expected) in [
            ("ntp.example", Some(("ntp.example", 123))),
            ("ntp.example:1123", Some(("ntp.example", 1123))),
            ("10.0.2.2", Some(("10.0.2.2", 123))),
            ("10.0.2.2:1", Some(("10.0.2.2", 1))),
            ("fd00::1", Some(("fd00::1", 123))),
            ("[fd00::1]", Some(("fd00::1", 123))),
            ("[fd00::1]:99", Some(("fd00::1", 99))),
            ("", None),
            (":123", None),
            ("a b", None),
            ("a:b", None),
            ("a:", None),
            ("a:1:2", None),
            ("a:65536", None),
            ("[10.0.2.2]", None),
            ("[fd00::1", None),
            ("[fd00::1]99", None),
            ("http://a", None),
        ] {
            let expected = expected.map(|(host, port)| Server { host: host.to_owned(), port });
            assert_eq!(Server::parse(text), expected, "{text:?}");
            if let Some(server) = expected {
                assert_eq!(Server::parse(&server.to_string()), Some(server));
            }
        }
    }
}
