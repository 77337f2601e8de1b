//! Looks up host names. Some name servers fail only for IPv6 addresses, and musl's lookup of both
//! families then fails as a whole.

use std::{
    fs,
    net::IpAddr,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use dns_lookup::{AddrFamily, AddrInfoHints, SockType, getaddrinfo};

/// Both, then each alone.
const FAMILIES: [Option<AddrFamily>; 3] = [None, Some(AddrFamily::Inet), Some(AddrFamily::Inet6)];

/// The first to try: the last that worked, because a server without an answer costs a timeout.
static FIRST: AtomicUsize = AtomicUsize::new(0);

/// The addresses of a host, or nothing. Blocks for at most three timeouts of the C library.
#[inline(never)]
pub fn look_up(host: &str) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    if let Ok(address) = host.parse() {
        addresses.push(address);
    }
    let first = FIRST.load(Relaxed);
    for number in first..first + FAMILIES.len() {
        if !addresses.is_empty() {
            break;
        }
        let family = FAMILIES.get(number % FAMILIES.len()).copied().flatten();
        let (socktype, address) = (SockType::Stream.into(), family.map_or(0, Into::into));
        let hints = AddrInfoHints { socktype, address, ..AddrInfoHints::default() };
        for found in getaddrinfo(Some(host), None, Some(hints)).into_iter().flatten().flatten() {
            FIRST.store(number % FAMILIES.len(), Relaxed);
            addresses.push(found.sockaddr.ip());
        }
    }
    addresses
}

/// The name servers of this machine.
pub fn servers() -> Vec<String> {
    let text = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers = text.lines().filter_map(|line| line.strip_prefix("nameserver"));
    servers.map(|server| server.trim().to_owned()).collect()
}
