//! The error of every operation: one variant per case that callers distinguish.

use std::{
    fmt, io,
    iter::successors,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use oci::digest::Digest;
use serde::Deserialize;
use ureq::http::StatusCode;

/// An answer of a server.
pub type Response = ureq::http::Response<ureq::Body>;

/// A header of an answer, if it is text.
pub fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a registry operation failed. The text states facts; callers add hints for their own options.
#[derive(thiserror::Error)]
pub enum Error {
    /// What was being done when `source` happened.
    #[error("{doing}")]
    During { doing: String, source: Box<Error> },
    #[error("connecting to {origin}: {reason}")]
    Connect { origin: String, reason: String },
    /// An answer that is not HTTP.
    #[error("connecting to {origin}: {reason}")]
    NotHttp { origin: String, reason: String },
    #[error("connecting to {origin}: host not found")]
    HostNotFound { origin: String },
    #[error("connecting to {origin}: {reason}")]
    Certificate { origin: String, fault: CertificateFault, reason: String },
    #[error("connecting to {origin}: {reason}")]
    NoTls { origin: String, reason: String },
    #[error("{0}")]
    Interrupted(String),
    #[error("connecting to {origin}: plain HTTP is not allowed")]
    PlainHttp { origin: String },
    #[error("connecting to {origin}: it redirects to {target}")]
    PlainRedirect { origin: String, target: String },
    #[error("the token server is not reached over HTTPS")]
    PlainTokenServer,
    #[error("connecting to {origin}: more than {limit} redirects")]
    TooManyRedirects { origin: String, limit: usize },
    #[error(transparent)]
    Status(#[from] StatusError),
    /// The registry requires a login and there is none.
    #[error("registry {registry} requires a login")]
    LoginRequired { registry: String },
    /// The login is of the wrong kind, or a token server rejected it.
    #[error("{0}")]
    LoginRejected(String),
    #[error(
        "{} leaves the login for {registry} to the credential helper '{helper}', which is not run",
        .file.display()
    )]
    CredentialHelper { file: PathBuf, registry: String, helper: String },
    /// Certificate authorities, a proxy, an auth file, a challenge or an answer of a token server
    /// that cannot be used.
    #[error("{0}")]
    Unusable(String),
    #[error("the registry answered with a web page ('{media_type}') instead")]
    WebPage { media_type: String },
    #[error("registry {host} rejects a request of this size (413)")]
    RequestTooLarge { host: String },
    #[error("registry {host} does not delete (405)")]
    DeleteUnsupported { host: String },
    #[error("registry {host} deletes no tags (400)")]
    TagDeleteUnsupported { host: String },
    /// An answer that violates the protocol. The same request would get it again.
    #[error("{0}")]
    Protocol(String),
    #[error("manifest digest is {found}, expected {expected}")]
    ManifestDigest { found: Digest, expected: Digest },
    #[error("blob digest is {found}, expected {expected}; the file was removed")]
    BlobDigest { found: Digest, expected: Digest },
    #[error("following the image index to {digest} leads to another image index")]
    NestedIndex { digest: Digest },
    #[error("{digests} is not signed; trusted are {keys}")]
    Unsigned { digests: String, keys: String },
    #[error("no signature of {digests} is good: {reasons}; trusted are {keys}")]
    InvalidSignature { digests: String, keys: String, reasons: String, has_bundle: bool },
    /// The digest of a reference is not that of the manifest to be stored under it.
    #[error("'{location}' names another digest than {found}")]
    OtherDigest { location: String, found: String },
    #[error("'{location}' not found in the registry")]
    NotInRegistry { location: String, repository: String },
    #[error("'{location}' not found")]
    NotInLayout { location: String, directory: PathBuf },
    #[error("{} holds {count} images", .directory.display())]
    SeveralImages { directory: PathBuf, count: usize },
    #[error("'{0}' does not name a directory")]
    NoDirectory(String),
    #[error("the tag '{tag}' of {repository}, where clients list referrers, is not an image index")]
    ReferrersTag { tag: String, repository: String },
    /// A signature would cover images that the key has not signed.
    #[error("'{location}' has entries that this key has not signed: {entries}")]
    ForeignEntries { location: String, entries: String },
    #[error("'{0}' is not an image index")]
    NotAnIndex(String),
    #[error("other programs replace the tag at the same time")]
    Contended,
    #[error("neither HOME nor XDG_DATA_HOME is set")]
    NoStore,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Oci(#[from] oci::Error),
}

/// An answer with a status other than the expected one.
#[derive(Debug, thiserror::Error)]
#[error("{server} answered {status}{reason}")]
pub struct StatusError {
    /// After `showing LOGIN: ` if it received one.
    server: String,
    pub status: StatusCode,
    retry_after: Option<Duration>,
    /// ` (CODE: message)`, or empty.
    reason: String,
}

impl StatusError {
    /// Reads the body of `response` for the reason.
    pub(crate) fn new(server: String, response: Response) -> Self {
        let status = response.status();
        let retry_after = header(&response, "retry-after").and_then(parse_retry_after);
        Self { server, status, retry_after, reason: read_reason(response) }
    }

    /// Whether the server gave this error code (OCI distribution spec, "Error Codes").
    pub fn has_code(&self, code: &str) -> bool {
        self.reason.strip_prefix(" (").is_some_and(|reason| reason.starts_with(code))
    }

    /// For an answer whose body may repeat a secret.
    pub(crate) fn without_body(server: String, status: StatusCode) -> Self {
        Self { server, status, retry_after: None, reason: String::new() }
    }
}

/// Why the certificate of a server is not trusted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CertificateFault {
    UnknownIssuer,
    /// Expired or not valid yet, or this machine's clock is wrong.
    Time,
    Other,
}

impl Error {
    /// A request to `origin` that got no answer.
    pub(crate) fn connect(origin: &str, error: &ureq::Error) -> Self {
        use rustls::CertificateError as Bad;
        let (origin, reason) = (origin.to_owned(), error.to_string());
        let bad = match error {
            ureq::Error::HostNotFound => return Self::HostNotFound { origin },
            ureq::Error::Rustls(rustls::Error::InvalidCertificate(bad)) => bad,
            // A plain HTTP answer is an invalid TLS message.
            ureq::Error::Rustls(rustls::Error::InvalidMessage(_)) => {
                return Self::NoTls { origin, reason };
            }
            ureq::Error::Rustls(_)
            | ureq::Error::Io(_)
            | ureq::Error::Timeout(_)
            | ureq::Error::ConnectionFailed
            | ureq::Error::ConnectProxyFailed(_)
            | ureq::Error::Tls(_) => return Self::Connect { origin, reason },
            _ => return Self::NotHttp { origin, reason },
        };
        let fault = match bad {
            // A bad signature means that another authority has the same name.
            Bad::UnknownIssuer | Bad::BadSignature => CertificateFault::UnknownIssuer,
            Bad::Expired
            | Bad::ExpiredContext { .. }
            | Bad::NotValidYet
            | Bad::NotValidYetContext { .. } => CertificateFault::Time,
            _ => CertificateFault::Other,
        };
        Self::Certificate { origin, fault, reason }
    }

    /// The error itself, without what was being done.
    pub fn root(&self) -> &Self {
        match self {
            Self::During { source, .. } => source.root(),
            other => other,
        }
    }

    /// Whether the same request can succeed later (RFC 9110, 15.5.9 and 15.6; RFC 6585, 4).
    pub fn is_transient(&self) -> bool {
        match self.root() {
            Self::Connect { .. }
            | Self::NotHttp { .. }
            | Self::HostNotFound { .. }
            | Self::Interrupted(_) => true,
            Self::Status(error) => {
                error.status.is_server_error() || matches!(error.status.as_u16(), 408 | 429)
            }
            _ => false,
        }
    }

    /// How long the server asks to wait before the next request (RFC 9110, 10.2.3).
    pub fn retry_after(&self) -> Option<Duration> {
        match self.root() {
            Self::Status(error) => error.retry_after,
            _ => None,
        }
    }

    /// The text of the error and of its sources, separated by colons.
    pub fn to_line(&self) -> String {
        let sources = successors(Some(self as &dyn std::error::Error), |error| error.source());
        sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }
}

/// Not derived: that code is 13 kB, and is inlined three times into the installer.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_line())
    }
}

/// Adds what was being done to an error.
pub trait During<T> {
    /// `doing` is a gerund with its object, such as "fetching X".
    fn during<D: Into<String>>(self, doing: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<Error>> During<T> for Result<T, E> {
    fn during<D: Into<String>>(self, doing: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| Error::During {
            doing: doing().into(),
            source: Box::new(error.into()),
        })
    }
}

/// Seconds, or a date. A date is useless if the clock is wrong; callers limit the result.
fn parse_retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    #[expect(clippy::disallowed_methods, reason = "the header is about this moment")]
    let now = SystemTime::now();
    httpdate::parse_http_date(text.trim()).ok()?.duration_since(now).ok()
}

/// ` (CODE: message)` from an error body (OCI distribution spec, "Error Codes"), or nothing.
fn read_reason(response: Response) -> String {
    #[derive(Deserialize)]
    struct Body {
        errors: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        code: String,
        #[serde(default)]
        message: String,
    }
    let body =
        response.into_body().into_with_config().limit(64 << 10).read_to_vec().unwrap_or_default();
    let body = serde_json::from_slice::<Body>(&body).ok();
    body.and_then(|body| body.errors.into_iter().next())
        .map(|entry| format!(" ({}: {})", entry.code, entry.message))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_retry_after_as_seconds_or_date() {
        assert_eq!(parse_retry_after("121"), Some(Duration::from_secs(121)));
        assert_eq!(parse_retry_after(" 0 "), Some(Duration::ZERO));
        assert!(
            parse_retry_after("Fri, 31 Dec 2399 23:59:59 GMT").unwrap() > Duration::from_hours(24)
        );
        for text in ["", "soon", "-1", "Sun, 06 Nov 1994 08:49:37 GMT"] {
            assert_eq!(parse_retry_after(text), None, "{text}");
        }
    }

    #[test]
    fn retries_only_transient_errors() {
        let text = String::new;
        let status = |code| {
            let status = StatusCode::from_u16(code).unwrap();
            let error = StatusError::without_body(text(), status);
            Err::<(), _>(Error::from(error)).during(|| "asking").unwrap_err()
        };
        for code in [408, 429, 500, 502, 503, 504] {
            assert!(status(code).is_transient(), "{code}");
        }
        for code in [301, 400, 401, 403, 404, 410, 416, 418] {
            assert!(!status(code).is_transient(), "{code}");
        }
        assert!(Error::Connect { origin: text(), reason: text() }.is_transient());
        assert!(Error::HostNotFound { origin: text() }.is_transient());
        let fault = CertificateFault::UnknownIssuer;
        assert!(!Error::Certificate { origin: text(), fault, reason: text() }.is_transient());
        assert!(!Error::Protocol(text()).is_transient());
    }
}
