//! Looks up the server to connect to.

use std::sync::Arc;

use ureq::{
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{self, DefaultResolver, ResolvedSocketAddrs},
        transport::NextTimeout,
    },
};

use crate::proxy::Proxies;

/// Looks up proxies instead of the hosts that are reached through them.
#[derive(Debug)]
pub(crate) struct Resolver(pub(crate) Arc<Proxies>);

impl resolver::Resolver for Resolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        DefaultResolver::default().resolve(self.0.peer_of(uri), config, timeout)
    }
}
