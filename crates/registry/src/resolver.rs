//! Looks up the server to connect to.

use std::{
    net::SocketAddr,
    sync::{Arc, mpsc::sync_channel},
    thread,
};

use ureq::{
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{self, ResolvedSocketAddrs},
        transport::NextTimeout,
    },
};

use crate::proxy::{Proxies, target_of};

/// Looks up proxies instead of the hosts that are reached through them.
#[derive(Debug)]
pub(crate) struct Resolver(pub(crate) Arc<Proxies>);

impl resolver::Resolver for Resolver {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let (host, port) = target_of(self.0.peer_of(uri));
        let host = host.trim_matches(['[', ']']).to_owned();
        let (sender, receiver) = sync_channel(1);
        // A lookup cannot be canceled.
        thread::spawn(move || sender.send(dns::look_up(&host)).ok());
        let found = receiver.recv_timeout(*timeout.after);
        let found = found.map_err(|_late| ureq::Error::Timeout(timeout.reason))?;
        let mut addresses = self.empty();
        for address in found {
            // Full after 16.
            addresses.try_push(SocketAddr::new(address, port)).ok();
        }
        if addresses.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(addresses) }
    }
}
