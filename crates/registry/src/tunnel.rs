//! What a client sends to a proxy: CONNECT for HTTPS, absolute URLs for plain HTTP.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    mem::take,
};

use ureq::{
    Error,
    unversioned::transport::{
        Buffers, ConnectionDetails, NextTimeout, Transport, TransportAdapter,
    },
};

use crate::{
    credentials::Secret,
    proxy::{Proxy, target_of},
    url::USER_AGENT,
};

const MAX_HEAD_BYTES: usize = 16 << 10;

/// Opens a tunnel to the target (RFC 9110, 9.3.6). Another status is [`Error::StatusCode`].
pub(crate) fn open_tunnel(
    proxy: &Proxy,
    details: &ConnectionDetails<'_>,
    mut stream: TransportAdapter,
) -> Result<Box<dyn Transport>, Error> {
    let (host, port) = target_of(details.uri);
    let login = proxy.authorization.as_ref().map(Secret::expose);
    let login = login.map(|login| format!("Proxy-Authorization: {login}\r\n"));
    let request = format!(
        "CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\
         User-Agent: {USER_AGENT}\r\n{}\r\n",
        login.unwrap_or_default()
    );
    stream.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    // Single bytes, because the bytes after the head belong to the tunnel.
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if head.len() == MAX_HEAD_BYTES || stream.read(&mut byte)? == 0 {
            let problem = "the proxy sent no complete answer to CONNECT";
            return Err(Error::ConnectProxyFailed(problem.to_owned()));
        }
        head.extend(byte);
    }
    let status = head.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5));
    match status.and_then(|status| str::from_utf8(status).ok()?.parse().ok()) {
        Some(200..300) => Ok(stream.into_inner()),
        Some(status) => Err(Error::StatusCode(status)),
        None => Err(Error::ConnectProxyFailed("the proxy does not speak HTTP".to_owned())),
    }
}

/// Adds the origin to the target of each request (absolute form, RFC 9112, 3.2.2).
#[derive(Debug)]
pub(crate) struct AbsoluteForm {
    pub(crate) transport: Box<dyn Transport>,
    /// Scheme and authority.
    pub(crate) origin: String,
    /// Whether the next bytes are the start of a request.
    pub(crate) is_start: bool,
}

impl Transport for AbsoluteForm {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, mut amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if take(&mut self.is_start) {
            let (length, output) = (self.origin.len(), self.transport.buffers().output());
            let start = output.iter().position(|byte| *byte == b' ').map_or(0, |at| at + 1);
            if amount + length > output.len() {
                return Err(Error::Io(ErrorKind::FileTooLarge.into()));
            }
            output.copy_within(start..amount, start + length);
            if let Some(origin) = output.get_mut(start..start + length) {
                origin.copy_from_slice(self.origin.as_bytes());
            }
            amount += length;
        }
        self.transport.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        // A request is complete before its answer is read.
        self.is_start = true;
        self.transport.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.transport.is_open()
    }
}
