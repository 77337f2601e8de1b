//! Fetches one URL into a file, with progress. Distinguishes unreachable hosts, which another
//! source may replace, from all other errors.

use std::{
    io::{ErrorKind, Read as _, Write},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use registry::{
    error::Error,
    http,
    http::{CertificateCheck, Network, Tls},
    session::{Session, Settings},
};
use ureq::http::Method;

use crate::host::{report, report::hinted};

/// Time limit for connecting, for an answer, and for each wait for more of it. Hosts that a
/// firewall hides cost this once per run.
const TIMEOUT: Duration = Duration::from_secs(30);
/// kernel.org's list of all files of a major version has less than a MiB.
const MAX_TEXT_BYTES: u64 = 8 << 20;

#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// Host name, connection, proxy, TLS handshake or silence. Another source may help.
    #[error("'{host}' cannot be reached: {reason}")]
    Unreachable { host: String, reason: String },
    /// Anything else. No other source may replace the host before a person has looked.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl DownloadError {
    /// The error itself, so that context can be added to it without hiding its hint.
    pub fn into_anyhow(self) -> anyhow::Error {
        match self {
            Self::Other(error) => error,
            unreachable @ Self::Unreachable { .. } => unreachable.into(),
        }
    }
}

/// Fetches URLs through the proxies of the environment (`https_proxy`, `no_proxy`, …). Trusts the
/// certificates in `SSL_CERT_FILE` (default: those of the distribution).
#[derive(Clone, Debug)]
pub struct Client {
    pub timeout: Duration,
}

impl Default for Client {
    fn default() -> Self {
        Self { timeout: TIMEOUT }
    }
}

impl Client {
    /// Fetches at most `max_bytes` if no other source may replace the host. Returns their number.
    pub fn fetch(
        &self,
        url: &str,
        what: &str,
        file: &mut impl Write,
        max_bytes: u64,
    ) -> Result<u64> {
        let fetched = self.try_fetch(url, what, file, max_bytes);
        fetched.map_err(DownloadError::into_anyhow).with_context(|| format!("fetching {url}"))
    }

    /// Fetches a text into memory.
    pub fn fetch_text(&self, url: &str, what: &str) -> Result<String> {
        let mut text = Vec::new();
        self.fetch(url, what, &mut text, MAX_TEXT_BYTES)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Fetches `url` into `file` and returns the number of bytes. The progress line names `what`.
    pub fn try_fetch(
        &self,
        url: &str,
        what: &str,
        file: &mut impl Write,
        max_bytes: u64,
    ) -> Result<u64, DownloadError> {
        let proxy = choose_proxy(url, |name| std::env::var(name).ok());
        let network = Network {
            tls: Tls::Plain,
            certificates: CertificateCheck::Verify,
            timeout: self.timeout,
            http_proxy: proxy.clone(),
            https_proxy: proxy.clone(),
            no_proxy: None,
        };
        let session = Session::new(Settings::default(), Box::new(report::Console));
        let client =
            http::Client::new(&network, &session.certificates()).map_err(anyhow::Error::new)?;
        let response = client
            .follow(&Method::GET, url, &[])
            .map_err(|error| classify(url, proxy.as_deref(), &error))?;
        if !response.status().is_success() {
            return Err(anyhow!("the server answered {}", response.status().as_u16()).into());
        }
        let length = response.headers().get("content-length");
        let expected = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let bar = report::progress_bar(what, expected);
        let body = response.into_body().into_reader().take(max_bytes.saturating_add(1));
        let outcome = std::io::copy(&mut bar.0.wrap_read(body), file).and_then(|_| file.flush());
        let found = bar.0.position();
        if found > max_bytes {
            return Err(anyhow!("the text is larger than {max_bytes} bytes").into());
        }
        match (outcome, expected) {
            (Err(error), _) if is_timeout(&error) => Err(DownloadError::Unreachable {
                host: host(url).to_owned(),
                reason: format!("silent after {found} bytes"),
            }),
            (Err(error), expected)
                if expected.is_none() || error.kind() != ErrorKind::UnexpectedEof =>
            {
                let is_full =
                    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
                let what = if is_full { "writing the file" } else { "the transfer" };
                let error =
                    Err(error).with_context(|| format!("{what} broke off after {found} bytes"));
                error.map_err(DownloadError::Other)
            }
            (_, Some(expected)) if expected != found => {
                Err(anyhow!("the transfer ended after {found} of {expected} bytes").into())
            }
            _ => Ok(found),
        }
    }
}

/// What an error before the body of the answer means.
fn classify(url: &str, proxy: Option<&str>, error: &Error) -> DownloadError {
    let (host, reason) = (host(url), error.to_line());
    // A captive portal answers without TLS.
    let is_unreachable = matches!(
        error.root(),
        Error::Connect { .. } | Error::HostNotFound { .. } | Error::NoTls { .. }
    );
    if is_unreachable {
        let proxy = proxy.map(|proxy| format!("through the proxy {}: ", self::host(proxy)));
        let reason = format!("{}{reason}", proxy.unwrap_or_default());
        return DownloadError::Unreachable { host: host.to_owned(), reason };
    }
    if matches!(error.root(), Error::Certificate { .. }) {
        let fact = format!("the TLS certificate of '{host}' is not trusted: {reason}");
        let hint = "check this machine's clock; if a site has its own certificate authority, \
            add it to the file that SSL_CERT_FILE names";
        return hinted(fact, hint).into();
    }
    anyhow!("the request failed: {reason}").into()
}

/// ureq passes its timeouts through `io::Read`.
fn is_timeout(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(ureq::Error::Timeout(_)))
}

/// The host of a URL, with its port and without a login.
pub fn host(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?', '#']).next().unwrap_or(after_scheme);
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// The URL of the proxy for `url`, chosen like curl and cargo do. `variable` returns an environment
/// variable.
fn choose_proxy(url: &str, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let either = |name: &str| {
        let value = variable(name).or_else(|| variable(&name.to_ascii_uppercase()));
        value.filter(|value| !value.is_empty())
    };
    let scheme = url.split_once("://").map_or("http", |(scheme, _)| scheme);
    let proxy = either(&format!("{scheme}_proxy")).or_else(|| either("all_proxy"))?;
    let exceptions = either("no_proxy").unwrap_or_default();
    (!is_exception(host(url), &exceptions)).then_some(proxy)
}

/// Whether a list of hosts and domains, separated by commas, contains the host, whose port is
/// ignored.
fn is_exception(host: &str, list: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or(host),
    };
    let name = name.to_ascii_lowercase();
    list.split([',', ' ']).filter(|entry| !entry.is_empty()).any(|entry| {
        let entry = entry.trim_start_matches('*').trim_start_matches('.').to_ascii_lowercase();
        // A lone star means all hosts.
        entry.is_empty()
            || name.strip_suffix(&entry).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

#[cfg(test)]
pub mod tests;
