//! Proxies, and the hosts that are reached without them: `http_proxy`, `https_proxy` and `no_proxy`
//! as curl reads them. Pure.

use std::net::IpAddr;

use base64::Engine as _;
use oci::BASE64;
use percent_encoding::percent_decode_str;
use ureq::http::Uri;

use crate::credentials::Secret;

/// An HTTP proxy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proxy {
    /// With a port. The scheme `https` means that the proxy itself is reached over TLS.
    pub(crate) uri: Uri,
    /// Value of `Proxy-Authorization`.
    pub(crate) authorization: Option<Secret>,
}

impl Proxy {
    /// Parses `[http[s]://][user[:password]@]host[:port]` with a percent-encoded login.
    fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let default_port = match scheme.to_ascii_lowercase().as_str() {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (host, port) = split_port(host)?;
        if !is_name(host) && address_of(host).is_none() {
            return None;
        }
        let uri = format!("{scheme}://{host}:{}", port.unwrap_or(default_port)).parse().ok()?;
        let authorization = (!login.is_empty()).then(|| {
            let colon = if login.contains(':') { "" } else { ":" };
            let login: Vec<u8> = percent_decode_str(login).chain(colon.bytes()).collect();
            Secret::new(format!("Basic {}", BASE64.encode(login)))
        });
        Some(Self { uri, authorization })
    }
}

/// Hosts to reach without a proxy.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Hosts {
    /// A domain and everything below it.
    Domain(String),
    /// Hosts that start with this, such as `192.0.2.`.
    Prefix(String),
    /// An address and the length of its network.
    Network(IpAddr, u32),
}

impl Hosts {
    /// Parses an entry of a list and its port.
    fn parse(entry: &str) -> Option<(Self, Option<u16>)> {
        if let Some((network, length)) = entry.split_once('/') {
            let (address, length) = (address_of(network)?, length.parse().ok()?);
            return (length <= bits_of(address).0)
                .then_some((Self::Network(address, length), None));
        }
        let (host, port) = split_port(entry)?;
        if let Some(address) = address_of(host) {
            return Some((Self::Network(address, bits_of(address).0), port));
        }
        let name = host.strip_prefix("*.").or_else(|| host.strip_prefix('.')).unwrap_or(host);
        let name = name.to_ascii_lowercase();
        let hosts = match name.strip_suffix('*') {
            Some(start) if host == "*" || is_name(start) => Self::Prefix(start.to_owned()),
            None if is_name(&name) => Self::Domain(name.trim_end_matches('.').to_owned()),
            _ => return None,
        };
        Some((hosts, port))
    }

    fn contains(&self, host: &str) -> bool {
        match self {
            Self::Domain(name) => {
                let rest = host.strip_suffix(name.as_str()).filter(|_| address_of(host).is_none());
                rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            Self::Prefix(start) => host.starts_with(start),
            Self::Network(network, length) => address_of(host).is_some_and(|address| {
                let ((size, own), (other, bits)) = (bits_of(*network), bits_of(address));
                size == other && (own ^ bits).checked_shr(size - length).unwrap_or(0) == 0
            }),
        }
    }
}

/// The proxies of a client.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    exceptions: Vec<(Hosts, Option<u16>)>,
}

impl Proxies {
    /// Sets `http_proxy`, `https_proxy` or `no_proxy`, a list separated by commas or blanks. Other
    /// names are ignored. An error is the invalid entry of a list, or empty because a URL may
    /// contain a password, and what is expected.
    pub fn set<'a>(&mut self, key: &str, value: &'a str) -> Result<(), (&'a str, &'static str)> {
        const URL: &str = "a URL such as http://host:port; supported schemes are http and https";
        const HOSTS: &str = "hosts (host, host:port, .domain), networks (192.0.2.0/24) or *";
        let proxy = || Proxy::parse(value).ok_or(("", URL));
        match key {
            "http_proxy" => self.http = Some(proxy()?),
            "https_proxy" => self.https = Some(proxy()?),
            "no_proxy" => {
                let entries = value.split(|c: char| c == ',' || c.is_whitespace());
                let entries = entries.filter(|entry| !entry.is_empty());
                let parse = |entry| Hosts::parse(entry).ok_or((entry, HOSTS));
                self.exceptions = entries.map(parse).collect::<Result<_, _>>()?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The proxy for a request. Names are not looked up in networks.
    pub(crate) fn for_uri(&self, uri: &Uri) -> Option<&Proxy> {
        let proxy = if is_https(uri) { &self.https } else { &self.http };
        let (host, port) = target_of(uri);
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let mut exceptions = self.exceptions.iter();
        proxy.as_ref().filter(|_| {
            !exceptions.any(|(hosts, only)| only.is_none_or(|p| p == port) && hosts.contains(&host))
        })
    }

    /// The URL of the server to connect to for a request.
    pub(crate) fn peer_of<'a>(&'a self, uri: &'a Uri) -> &'a Uri {
        self.for_uri(uri).map_or(uri, |proxy| &proxy.uri)
    }
}

pub(crate) fn is_https(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}

/// Host and port of a URL.
pub(crate) fn target_of(uri: &Uri) -> (&str, u16) {
    let default_port = if is_https(uri) { 443 } else { 80 };
    (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(default_port))
}

/// An IP address. IPv6 addresses have brackets in URLs.
pub(crate) fn address_of(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

/// The number of bits of an address, and the bits.
fn bits_of(address: IpAddr) -> (u32, u128) {
    match address {
        IpAddr::V4(address) => (32, u32::from(address).into()),
        IpAddr::V6(address) => (128, address.into()),
    }
}

fn is_name(host: &str) -> bool {
    let is_name_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    !host.is_empty() && !host.starts_with('.') && host.bytes().all(is_name_byte)
}

/// Splits `host:port`. The colons of an IPv6 address do not count.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    match text.rsplit_once(':') {
        Some((host, port)) if address_of(text).is_none() => {
            Some((host, Some(port.parse().ok().filter(|port| *port != 0)?)))
        }
        _ => Some((text, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(url: &str) -> Uri {
        url.parse().unwrap()
    }

    #[test]
    fn exceptions_cover_hosts_and_ports() {
        for (list, covered, others) in [
            ("r.example", "r.example R.EXAMPLE r.example. a.r.example:5000", "xr.example r.exampl"),
            (".example", "r.example a.r.example:1", "examples xexample"),
            (
                "*.lan,127.0.0.1,R.example",
                "a.lan 127.0.0.1:5000 r.example",
                "lan.example 127.0.0.2",
            ),
            ("localhost,127.0.0.1", "localhost:5000 127.0.0.1:5000", "127.0.0.10 [::1]"),
            ("127.0.0.0/8", "127.1.2.3 127.0.0.1:5000", "128.0.0.1 localhost [::1]"),
            ("10.0.0.0/0", "1.2.3.4", "[::1] r.example"),
            ("192.0.2.128/25", "192.0.2.200", "192.0.2.127"),
            ("fd00::/8", "[fd12::1]:5000", "[fe80::1] 10.0.0.1"),
            ("[fd00::]/8 ::/0", "[fe80::1]", "10.0.0.1"),
            ("::1", "[::1] [::1]:5000", "[::2]"),
            ("[::1]:5000", "[::1]:5000", "[::1] [::2]:5000"),
            ("127.0.0.1:5000", "127.0.0.1:5000", "127.0.0.1 127.0.0.1:5001 127.0.0.2:5000"),
            ("r.example:80", "r.example", "r.example:5000"),
            (".example:443, b", "b:1 a.b", "r.example"),
            (" 127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("127.0.0.1 ,\t10.0.0.1 ,", "127.0.0.1 10.0.0.1", "127.0.0.2"),
            ("*", "r.example 127.0.0.1 [::1]:5000", ""),
            ("*:5000", "r.example:5000", "r.example"),
            ("192.0.2.*", "192.0.2.7", "192.0.20.1"),
            ("1", "a.1x.1", "127.0.0.1"),
            ("", "", "r.example"),
            (" , ", "", "r.example"),
        ] {
            let mut proxies = Proxies::default();
            proxies.set("http_proxy", "http://p:3128").unwrap();
            proxies.set("no_proxy", list).unwrap();
            for (hosts, is_covered) in [(covered, true), (others, false)] {
                for host in hosts.split_whitespace() {
                    let proxy = proxies.for_uri(&uri(&format!("http://{host}/v2/")));
                    assert_eq!(proxy.is_none(), is_covered, "{host} in '{list}'");
                }
            }
        }
    }

    #[test]
    fn names_the_invalid_entry_of_a_list() {
        for entry in [
            "10.0.0.0/33",
            "10.0.0.0/x",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "fd00::/129",
            "r.example/24",
            "http://r.example",
            "r.example:port",
            "r.example:0",
            "r.example:65536",
            "r.example:",
            "*r.example",
            "r.*.example",
            "*.*",
            "**",
            ".",
            "*.",
            "..a",
            "r@example",
            "<local>",
            ":5000",
            "größe",
            "[::1",
            "[r.example]",
        ] {
            let list = format!("localhost, {entry},.lan");
            let outcome = Proxies::default().set("no_proxy", &list);
            let (found, expected) = outcome.expect_err(entry);
            assert_eq!(found, entry);
            assert!(expected.contains("networks"));
        }
    }

    #[test]
    fn parses_proxies_of_supported_schemes() {
        let basic = |login: &str| Some(format!("Basic {}", BASE64.encode(login)));
        for (url, expected, login) in [
            ("http://p.example:3128", "http://p.example:3128/", None),
            ("HTTP://p.example", "http://p.example:80/", None),
            ("https://p.example/", "https://p.example:443/", None),
            ("p.example:3128", "http://p.example:3128/", None),
            ("p_1", "http://p_1:80/", None),
            ("http://[fd00::1]:3128/x", "http://[fd00::1]:3128/", None),
            ("http://10.0.0.1:1?x", "http://10.0.0.1:1/", None),
            ("http://user@p", "http://p:80/", basic("user:")),
            ("http://user:p%40ss%20@p:1", "http://p:1/", basic("user:p@ss ")),
            ("u:p@p:1", "http://p:1/", basic("u:p")),
        ] {
            let proxy = Proxy::parse(url).unwrap_or_else(|| panic!("{url}"));
            assert_eq!(proxy.uri.to_string(), expected);
            assert_eq!(proxy.authorization.map(|login| login.expose().to_owned()), login, "{url}");
        }
        for url in [
            "socks5://p:1080",
            "socks4a://p",
            "socks://p",
            "ftp://p",
            "p://",
            "://p",
            "http://",
            "http://:3128",
            "http://p:99999",
            "http://p:0",
            "http://p:x",
            "http://p:",
            "http://a b",
            "http://u:p/w@p:1",
            "http://[::1:3128",
            "http://[p]",
            "http:/p",
            "größe",
            "",
        ] {
            assert_eq!(Proxy::parse(url), None, "{url}");
            assert_eq!(Proxies::default().set("https_proxy", url).unwrap_err().0, "");
        }
    }

    #[test]
    fn each_scheme_has_its_own_proxy() {
        let mut proxies = Proxies::default();
        proxies.set("http_proxy", "a").unwrap();
        assert_eq!(proxies.peer_of(&uri("http://r/x")).to_string(), "http://a:80/");
        assert_eq!(proxies.peer_of(&uri("https://r/x")).to_string(), "https://r/x");
        proxies.set("https_proxy", "https://b").unwrap();
        assert_eq!(proxies.peer_of(&uri("https://r/x")).to_string(), "https://b:443/");
    }
}
