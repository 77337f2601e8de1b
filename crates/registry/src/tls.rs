//! TLS connections: certificate authorities, certificate checks, and ureq's connection to rustls.
//! The connector of ureq itself reports a failed handshake only as text.

use std::{
    fmt, fs,
    io::{ErrorKind::NotFound, Read as _, Write as _},
    iter::once,
    path::PathBuf,
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore,
    SignatureScheme as Scheme, StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout,
    TcpConnector, Transport, TransportAdapter,
    time::{Duration, Instant},
};

use crate::error::{During as _, Error, Result};

/// Whether certificates are verified.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CertificateCheck {
    #[default]
    Verify,
    /// Allows man-in-the-middle attacks.
    Skip,
}

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
                pem => pem.during(doing)?,
            };
            for root in CertificateDer::pem_slice_iter(&pem) {
                let root = root.map_err(|error| Error::Unusable(error.to_string()));
                roots.push(root.during(doing)?);
            }
        }
        Ok(roots)
    }
}

/// Adds TLS to a connection for `https`.
#[derive(Clone, Debug)]
pub(crate) struct TlsConnector(Arc<ClientConfig>);

impl TlsConnector {
    /// Authorities that rustls cannot parse are ignored.
    pub(crate) fn new(roots: Vec<CertificateDer<'_>>, check: CertificateCheck) -> Result<Self> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Unusable(error.to_string()))?;
        let builder = match check {
            CertificateCheck::Verify => {
                let mut store = RootCertStore::empty();
                store.add_parsable_certificates(roots);
                builder.with_root_certificates(store)
            }
            CertificateCheck::Skip => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(SkipVerifier))
            }
        };
        Ok(Self(Arc::new(builder.with_no_client_auth())))
    }

    /// Opens connections too, through a proxy if one is configured.
    pub(crate) fn over_tcp(self) -> impl Connector {
        ().chain(ConnectProxyConnector::default()).chain(TcpConnector::default()).chain(self)
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        // IPv6 addresses have brackets in URLs only.
        let host = details.uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let Ok(name) = ServerName::try_from(host.to_owned()) else {
            return Err(ureq::Error::Tls("certificates cannot contain this host name"));
        };
        let mut conn =
            ClientConnection::new(Arc::clone(&self.0), name).map_err(ureq::Error::Rustls)?;
        let mut sock = TransportAdapter::new(transport.boxed(), Arc::clone(&details.current_time));
        let mut timeout = details.timeout;
        if let (Instant::Exact(now), Instant::Exact(start), Duration::Exact(limit)) =
            ((details.current_time)(), details.now, timeout.after)
        {
            // The connection has used up a part.
            timeout.after = Duration::Exact(limit.saturating_sub(now.duration_since(start)));
        }
        sock.set_timeout(timeout);
        let done = conn.complete_io(&mut sock);
        // Returns the error of TLS again, which `done` contains as text.
        conn.process_new_packets().map_err(ureq::Error::Rustls)?;
        done?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Either::B(TlsTransport { buffers, stream: StreamOwned::new(conn, sock) })))
    }
}

pub(crate) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        Ok(self.stream.write_all(output)?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
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

/// Accepts every certificate and every signature.
#[derive(Debug)]
struct SkipVerifier;

impl ServerCertVerifier for SkipVerifier {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<Scheme> {
        // Also those that ring does not have.
        let others = [Scheme::ECDSA_NISTP521_SHA512, Scheme::ED448, Scheme::RSA_PKCS1_SHA1];
        let verified = ring::default_provider().signature_verification_algorithms;
        [verified.supported_schemes(), others.to_vec()].concat()
    }
}
