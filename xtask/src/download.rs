//! Fetches one URL into a file, with progress, and tells a host that cannot be reached from everything else that goes wrong.
//! It never decides what to do about it, and never looks at a cache.

use crate::report;
use std::io::Read;
use std::io::Write;
use std::time::Duration;
use std::time::Instant;
use ureq::tls::PemItem;
use ureq::tls::RootCerts;
use ureq::tls::TlsConfig;

/// A host that answers at all answers within this time; one that doesn't is a firewall's black hole.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest silence of a server that once answered.
const STALL: Duration = Duration::from_secs(30);

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

/// Fetches `url` into `file` and gives the number of bytes. `what` names it in the progress line.
///
/// Proxies are taken from the environment (`https_proxy`, `no_proxy`, …), and so is a certificate bundle (`SSL_CERT_FILE`).
pub fn fetch(url: &str, what: &str, file: &mut impl Write) -> Result<u64, DownloadError> {
    fetch_with(&agent(CONNECT, STALL), url, what, file)
}

/// Whether whoever answers for `url` has something there, without fetching it. Waits a few seconds at most.
pub fn probe(url: &str) -> Result<(), DownloadError> {
    let answer = agent(CONNECT, CONNECT).head(url).call();
    answer.map(drop).map_err(|error| classify(url, error))
}

fn fetch_with(
    agent: &ureq::Agent,
    url: &str,
    what: &str,
    file: &mut impl Write,
) -> Result<u64, DownloadError> {
    let mut response = agent.get(url).call().map_err(|error| classify(url, error))?;
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

fn agent(connect: Duration, stall: Duration) -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_resolve(Some(connect))
        .timeout_connect(Some(connect))
        .timeout_recv_response(Some(stall))
        .timeout_per_read(Some(stall))
        .tls_config(TlsConfig::builder().root_certs(root_certificates()).build())
        .build()
        .into()
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

/// What an error before the first byte of the answer means.
fn classify(url: &str, error: ureq::Error) -> DownloadError {
    let reason = match error {
        ureq::Error::StatusCode(status) => return DownloadError::Status(status),
        ureq::Error::HostNotFound => "its name is unknown".to_owned(),
        ureq::Error::Timeout(_) => format!("no answer within {} s", CONNECT.as_secs()),
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
    DownloadError::Unreachable { host: host(url).to_owned(), reason }
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

/// A line on the terminal: how much of something has come, and how fast.
#[derive(Debug)]
pub struct Progress<'a> {
    what: &'a str,
    wanted: Option<u64>,
    started: Instant,
    shown: Option<Instant>,
}

impl<'a> Progress<'a> {
    pub fn new(what: &'a str, wanted: Option<u64>) -> Self {
        Self { what, wanted, started: Instant::now(), shown: None }
    }

    /// Shows the state, a few times a second at most.
    pub fn at(&mut self, found: u64) {
        if self.shown.is_some_and(|shown| shown.elapsed() < Duration::from_millis(200)) {
            return;
        }
        self.shown = Some(Instant::now());
        report::live(progress_line(self.what, found, self.wanted, self.started.elapsed()));
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        report::live_end();
    }
}

fn progress_line(what: &str, found: u64, wanted: Option<u64>, elapsed: Duration) -> String {
    let tenths = |bytes: u64| format!("{}.{}", bytes / 1_000_000, bytes % 1_000_000 / 100_000);
    let rate =
        u64::try_from(u128::from(found) * 1000 / elapsed.as_millis().max(1)).unwrap_or(u64::MAX);
    let share = match wanted {
        Some(wanted) if wanted > 0 => {
            format!(" of {} MB, {} %", tenths(wanted), found.saturating_mul(100) / wanted)
        }
        _ => " MB".to_owned(),
    };
    format!("fetching {what}: {}{share}, {} MB/s", tenths(found), tenths(rate))
}

#[cfg(test)]
pub mod tests;
