//! Fetches one URL into a file, with progress, and tells a host that cannot be reached from everything else that goes wrong.
//! It never decides what to do about it, and never looks at a cache.

#[cfg(test)]
pub mod fake;
mod progress;
mod proxy;

pub use progress::Progress;

use std::io::Read as _;
use std::io::Write;
use std::time::Duration;
use ureq::tls::PemItem;
use ureq::tls::RootCerts;
use ureq::tls::TlsConfig;

/// A host that answers at all answers within this time; one that doesn't is a firewall's black hole.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest silence of a server that once answered.
const STALL: Duration = Duration::from_secs(30);
/// kernel.org's list of all files of a major version has less than a MiB.
const LONGEST_TEXT: usize = 8 << 20;

#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// There is no way to the host: its name, the connection, a proxy, a handshake that breaks off, or silence. Another source may help.
    #[error("'{host}' cannot be reached: {reason}")]
    Unreachable { host: String, reason: String },
    /// Somebody answers who is not the host, or cannot show it. No other source may stand in before a person has looked.
    #[error(
        "whoever answers as '{host}' does not prove it: {reason}  hint: is this machine's clock right? A company's own certificate authority goes into the file that SSL_CERT_FILE names"
    )]
    Unproven { host: String, reason: rustls::CertificateError },
    #[error("the server answered {0}")]
    Status(u16),
    #[error("the transfer ended after {found} of {wanted} bytes")]
    Cut { found: u64, wanted: u64 },
    #[error("the request went wrong")]
    Request(#[source] ureq::Error),
    #[error("the transfer broke off after {found} bytes")]
    Transfer { found: u64, source: std::io::Error },
    #[error("writing the file")]
    Write(#[source] std::io::Error),
}

/// What fetches.
///
/// Proxies are taken from the environment (`https_proxy`, `no_proxy`, …), and so is a certificate bundle (`SSL_CERT_FILE`).
#[derive(Clone, Debug)]
pub struct Client {
    agent: ureq::Agent,
    patience: Patience,
}

/// How long a host may be silent.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until it answers at all.
    pub connect: Duration,
    /// Once it has answered.
    pub stall: Duration,
}

impl Default for Client {
    fn default() -> Self {
        Self::with(Patience { connect: CONNECT, stall: STALL })
    }
}

impl Client {
    pub fn with(patience: Patience) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_resolve(Some(patience.connect))
            .timeout_connect(Some(patience.connect))
            .timeout_recv_response(Some(patience.stall))
            .timeout_per_read(Some(patience.stall))
            .tls_config(TlsConfig::builder().root_certs(root_certificates()).build())
            .build()
            .into();
        Self { agent, patience }
    }

    /// Fetches `url` into `file` and gives the number of bytes. `what` names it in the progress line.
    pub fn fetch(
        &self,
        url: &str,
        what: &str,
        file: &mut impl Write,
    ) -> Result<u64, DownloadError> {
        // The library takes one proxy for both schemes, so each request is given its own.
        let proxy = proxy::of_environment(url);
        let request = self.agent.get(url).config().proxy(proxy.clone()).build();
        let mut response =
            request.call().map_err(|error| self.classify(url, proxy.as_ref(), error))?;
        let wanted = response
            .headers()
            .get("content-length")
            .and_then(|value| value.to_str().ok()?.parse().ok());
        let mut progress = Progress::new(what, wanted);
        let mut body = response.body_mut().as_reader();
        let mut buffer = vec![0; 128 * 1024];
        let mut found = 0;
        loop {
            let count = match body.read(&mut buffer) {
                Ok(count) => count,
                Err(error) => return Err(broken_off(url, found, wanted, error)),
            };
            let filled = buffer.get(..count).unwrap_or_default();
            if filled.is_empty() {
                break;
            }
            file.write_all(filled).map_err(DownloadError::Write)?;
            found += count as u64;
            progress.at(found);
        }
        file.flush().map_err(DownloadError::Write)?;
        if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
            return Err(DownloadError::Cut { found, wanted });
        }
        Ok(found)
    }

    /// Fetches a text, into memory.
    pub fn fetch_text(&self, url: &str, what: &str) -> Result<String, DownloadError> {
        let mut text = Text::default();
        self.fetch(url, what, &mut text)?;
        Ok(String::from_utf8_lossy(&text.0).into_owned())
    }

    /// What an error before the first byte of the answer means.
    fn classify(
        &self,
        url: &str,
        proxy: Option<&ureq::Proxy>,
        error: ureq::Error,
    ) -> DownloadError {
        let reason = match error {
            ureq::Error::StatusCode(status) => return DownloadError::Status(status),
            ureq::Error::HostNotFound => "its name is unknown".to_owned(),
            ureq::Error::Timeout(ureq::Timeout::RecvResponse) => {
                format!("no answer within {:?}", self.patience.stall)
            }
            ureq::Error::Timeout(_) => format!("no answer within {:?}", self.patience.connect),
            ureq::Error::Io(error) => match certificate_error(&error) {
                Some(reason) => {
                    return DownloadError::Unproven { host: host(url).to_owned(), reason };
                }
                None => error.to_string(),
            },
            error @ (ureq::Error::ConnectionFailed
            | ureq::Error::ConnectProxyFailed(_)
            | ureq::Error::Tls(_)) => error.to_string(),
            other => return DownloadError::Request(other),
        };
        let through = proxy
            .map(|proxy| format!("through the proxy {}:{}: ", proxy.host(), proxy.port()))
            .unwrap_or_default();
        DownloadError::Unreachable {
            host: host(url).to_owned(),
            reason: format!("{through}{reason}"),
        }
    }
}

/// A text that is fetched. It has an end, whatever a server sends.
#[derive(Default)]
struct Text(Vec<u8>);

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > LONGEST_TEXT {
            return Err(std::io::Error::other(format!("a text of more than {LONGEST_TEXT} bytes")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The certificates of `SSL_CERT_FILE`, where a company's own authority may be added, else Mozilla's as they come with the program.
fn root_certificates() -> RootCerts {
    let bundle = std::env::var_os("SSL_CERT_FILE")
        .and_then(|path| std::fs::read(path).ok())
        .unwrap_or_default();
    let certificates: Vec<_> = ureq::tls::parse_pem(&bundle)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() { RootCerts::WebPki } else { RootCerts::from(certificates) }
}

/// What is wrong with the host's certificate. The TLS library reports it as an I/O error of the handshake.
fn certificate_error(error: &std::io::Error) -> Option<rustls::CertificateError> {
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::InvalidCertificate(reason) => Some(reason.clone()),
        _ => None,
    }
}

/// What an error amid the answer's body means.
fn broken_off(url: &str, found: u64, wanted: Option<u64>, error: std::io::Error) -> DownloadError {
    let silent = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref())
        .is_some_and(|inner| matches!(inner, ureq::Error::Timeout(_)));
    match (error.kind(), wanted) {
        _ if silent => DownloadError::Unreachable {
            host: host(url).to_owned(),
            reason: format!("silent after {found} bytes"),
        },
        (std::io::ErrorKind::UnexpectedEof, Some(wanted)) => DownloadError::Cut { found, wanted },
        _ => DownloadError::Transfer { found, source: error },
    }
}

/// The host of a URL, with its port and without a login.
pub fn host(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?', '#']).next().unwrap_or(after_scheme);
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

#[cfg(test)]
pub mod tests;
