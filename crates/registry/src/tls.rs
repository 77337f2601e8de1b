//! TLS connections: certificate authorities, and ureq's connection to rustls.
//! The connector of ureq itself reports a failed handshake only as text.

use std::{
    fmt, fs, io,
    io::{
        ErrorKind::{BrokenPipe, ConnectionReset, NotFound},
        Read as _, Write as _,
    },
    iter::once,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustls::{
    AlertDescription as Alert, ClientConfig, ClientConnection, RootCertStore, SignatureScheme,
    Stream, StreamOwned,
    client::ResolvesClientCert,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    sign::CertifiedKey,
};
use ureq::{
    http::Uri,
    unversioned::transport::{
        Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, TcpConnector, Transport,
        TransportAdapter,
        time::{Duration, Instant},
    },
};

use crate::{
    certificate::{CertificateCheck, Verifier},
    error::{During as _, Error, Result},
    proxy::{Proxies, is_https},
    tunnel::{AbsoluteForm, open_tunnel},
    url::origin_of,
};

/// Where certificate authorities are read from. Either may be missing.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// One PEM file with many certificates.
    pub bundle: PathBuf,
    /// A directory of PEM files.
    pub folder: PathBuf,
}

impl CertificateFiles {
    pub(crate) fn read(&self) -> Result<Vec<CertificateDer<'static>>> {
        let mut roots = Vec::new();
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for path in once(self.bundle.clone()).chain(entries.map(|entry| entry.path())) {
            let doing = || format!("reading certificates from {}", path.display());
            let pem = match fs::read(&path) {
                Err(error) if error.kind() == NotFound && path == self.bundle => continue,
                pem => pem.map_err(|error| Error::Authorities(error.to_string())).during(doing)?,
            };
            let pem = pem.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&pem);
            let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
            let found =
                found.map_err(|error| Error::Authorities(error.to_string())).during(doing)?;
            let (usable, _) =
                RootCertStore::empty().add_parsable_certificates(found.iter().cloned());
            if path != self.bundle && usable == 0 {
                let text = "it contains no usable certificate, expected BEGIN CERTIFICATE";
                return Err(Error::Authorities(text.to_owned())).during(doing);
            }
            roots.extend(found);
        }
        Ok(roots)
    }
}

/// Adds TLS to a connection for `https`, and what a proxy requires.
#[derive(Debug)]
pub(crate) struct TlsConnector {
    config: Arc<ClientConfig>,
    proxies: Arc<Proxies>,
}

impl TlsConnector {
    pub(crate) fn new(
        trusted: Vec<CertificateDer<'static>>,
        check: CertificateCheck,
        proxies: Arc<Proxies>,
    ) -> Result<Self> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Authorities(error.to_string()))?;
        let verifier = Arc::new(Verifier::new(trusted, check));
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        Ok(Self { config: Arc::new(builder.with_no_client_auth()), proxies })
    }

    /// Opens connections too.
    pub(crate) fn over_tcp(self) -> impl Connector {
        ().chain(TcpConnector::default()).chain(self)
    }

    #[inline(never)]
    fn handshake(
        &self,
        server: &Uri,
        details: &ConnectionDetails<'_>,
        mut sock: TransportAdapter,
    ) -> Result<Box<dyn Transport>, ureq::Error> {
        // IPv6 addresses have brackets in URLs only.
        let host = server.host().unwrap_or_default().trim_matches(['[', ']']);
        let Ok(name) = ServerName::try_from(host.to_owned()) else {
            return Err(ureq::Error::Tls("certificates cannot contain this host name"));
        };
        let mut config = ClientConfig::clone(&self.config);
        let client_certificate = Arc::new(NoClientCertificate::default());
        config.client_auth_cert_resolver = Arc::<NoClientCertificate>::clone(&client_certificate);
        let mut conn =
            ClientConnection::new(Arc::new(config), name).map_err(ureq::Error::Rustls)?;
        conn.complete_io(&mut sock).map_err(|error| {
            match failure(&mut conn, &mut sock, error) {
                ureq::Error::Rustls(rustls::Error::AlertReceived(_))
                    if client_certificate.is_requested.load(Ordering::Relaxed) =>
                {
                    ureq::Error::Rustls(rustls::Error::AlertReceived(Alert::CertificateRequired))
                }
                error => error,
            }
        })?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(TlsTransport { buffers, stream: StreamOwned::new(conn, sock) }.boxed())
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(mut transport) = chained.map(Transport::boxed) else { return Ok(None) };
        let mut timeout = details.timeout;
        if let (Instant::Exact(now), Instant::Exact(start), Duration::Exact(limit)) =
            ((details.current_time)(), details.now, timeout.after)
        {
            // The connection has used up a part.
            timeout.after = Duration::Exact(limit.saturating_sub(now.duration_since(start)));
        }
        let limited = |transport| {
            let mut sock = TransportAdapter::new(transport, Arc::clone(&details.current_time));
            sock.set_timeout(timeout);
            sock
        };
        if let Some(proxy) = self.proxies.for_uri(details.uri) {
            if is_https(&proxy.uri) {
                let secured = self.handshake(&proxy.uri, details, limited(transport));
                transport = secured.map_err(|error| match error {
                    // A plain HTTP answer. The registry's would be the error itself.
                    ureq::Error::Rustls(rustls::Error::InvalidMessage(_)) => {
                        ureq::Error::TlsRequired
                    }
                    error => error,
                })?;
            }
            if !details.needs_tls() {
                let origin = origin_of(&details.uri.to_string());
                return Ok(Some(AbsoluteForm { transport, origin, is_start: true }.boxed()));
            }
            transport = open_tunnel(proxy, details, limited(transport))?;
        }
        if details.needs_tls() {
            transport = self.handshake(details.uri, details, limited(transport))?;
        }
        Ok(Some(transport))
    }
}

pub(crate) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

/// The error of TLS that `error` contains as text, or that the server reported before it closed the
/// connection. Since TLS 1.3, that a client certificate is missing is reported after the handshake.
#[inline(never)]
fn failure(
    conn: &mut ClientConnection,
    sock: &mut TransportAdapter,
    error: io::Error,
) -> ureq::Error {
    if matches!(error.kind(), BrokenPipe | ConnectionReset) {
        conn.read_tls(sock).ok();
    }
    conn.process_new_packets().map_or_else(ureq::Error::Rustls, |_| error.into())
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        let StreamOwned { conn, sock } = &mut self.stream;
        Stream::new(conn, sock).write_all(output).map_err(|error| failure(conn, sock, error))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let StreamOwned { conn, sock } = &mut self.stream;
        let read = Stream::new(conn, sock).read(self.buffers.input_append_buf());
        let amount = read.map_err(|error| failure(conn, sock, error))?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsTransport({:?})", self.stream.sock.inner())
    }
}

/// Has no client certificate, and remembers whether the server asked for one: up to TLS 1.2,
/// servers give no reason when they miss it.
#[derive(Debug, Default)]
struct NoClientCertificate {
    is_requested: AtomicBool,
}

impl ResolvesClientCert for NoClientCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.is_requested.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
