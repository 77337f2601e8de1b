//! The error of every operation: one variant per case that callers distinguish.

use std::{
    fmt, io,
    iter::successors,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use oci::{digest::Digest, signature::SignatureError, size::Bytes};
use serde::Deserialize;
use text::Foreign;
use ureq::http::StatusCode;

use crate::certificate;
pub use crate::certificate::TlsFault;

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
    Connect { origin: String, reason: Foreign },
    /// An answer that is not HTTP.
    #[error("connecting to {origin}: {reason}")]
    NotHttp { origin: String, reason: Foreign },
    /// `host` is the proxy if there is one. `servers` are the name servers that were asked.
    #[error("connecting to {origin}: host '{host}' not found")]
    HostNotFound { origin: String, host: String, servers: Vec<String> },
    #[error("connecting to {origin}: {reason}")]
    Tls { origin: String, fault: TlsFault, reason: Foreign },
    #[error("connecting to {origin}: the proxy answered {status}")]
    Proxy { origin: String, status: u16 },
    #[error("connecting to {origin}: the proxy does not support TLS")]
    ProxyNoTls { origin: String },
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
    CredentialHelper { file: PathBuf, registry: String, helper: Foreign },
    /// An auth file or the answer of a credential helper that cannot be used.
    #[error("{0}")]
    Credentials(String),
    /// The registry requires authentication in a way that is invalid or not supported.
    #[error("{0}")]
    Challenge(String),
    /// An answer of a token server that contains no token.
    #[error("{0}")]
    TokenAnswer(String),
    /// Certificate authorities that cannot be used.
    #[error("{0}")]
    Authorities(String),
    #[error("{0}")]
    BadProxy(String),
    #[error("reading {what}: larger than the limit of {}", Bytes(*.limit_bytes))]
    TooLarge { what: &'static str, limit_bytes: u64 },
    #[error("the registry answered with a web page ('{media_type}') instead")]
    WebPage { media_type: Foreign },
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
    #[error("more than {limit} levels of indexes or referrers")]
    Depth { limit: usize },
    #[error("{digest} is another image index; at most 4 are followed")]
    NestedIndex { digest: Digest },
    #[error("{digests} is not signed; trusted are {keys}")]
    Unsigned { digests: String, keys: String },
    #[error("no signature of {digests} is good: {reasons}; trusted are {keys}")]
    InvalidSignature {
        digests: String,
        keys: String,
        reasons: String,
        /// The reason of a signature whose kind is not supported.
        unsupported: Option<SignatureError>,
    },
    /// The digest of a reference is not that of the manifest to be stored under it.
    #[error("'{location}' names another digest than {found}")]
    OtherDigest { location: String, found: Foreign },
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
    /// Whether the server received a login.
    has_login: bool,
}

impl StatusError {
    /// Reads the body of `response` for the reason, which `note` follows.
    pub(crate) fn new(server: String, response: Response, has_login: bool, note: &str) -> Self {
        let status = response.status();
        let retry_after = header(&response, "retry-after").and_then(parse_retry_after);
        let reason = read_reason(response) + note;
        Self { server, status, retry_after, reason, has_login }
    }

    /// Whether other credentials may help. Not if the server accepted a login (RFC 9110, 15.5.4), or
    /// gives a reason that is not about access.
    pub fn is_about_login(&self) -> bool {
        let others = ["quota", "exceed", "limit", "polic", "immutable"];
        let has_other = others.iter().any(|word| self.reason.to_ascii_lowercase().contains(word));
        self.status == 401 || (self.status == 403 && !has_other && !self.has_login)
    }

    /// Whether the server gave this error code (OCI distribution spec, "Error Codes").
    pub fn has_code(&self, code: &str) -> bool {
        self.reason.strip_prefix(" (").is_some_and(|reason| reason.starts_with(code))
    }

    /// For an answer whose body may repeat a secret.
    pub fn without_body(server: String, status: StatusCode, has_login: bool) -> Self {
        Self { server, status, retry_after: None, reason: String::new(), has_login }
    }
}

impl Error {
    /// A request to `origin` that got no answer from `host`. A status and missing TLS are those of
    /// the proxy.
    pub(crate) fn connect(origin: String, host: String, error: &ureq::Error) -> Self {
        let reason = error.to_string().into();
        match error {
            ureq::Error::HostNotFound => {
                Self::HostNotFound { origin, host, servers: dns::servers() }
            }
            ureq::Error::StatusCode(status) => Self::Proxy { origin, status: *status },
            ureq::Error::TlsRequired => Self::ProxyNoTls { origin },
            ureq::Error::Rustls(error) => {
                let (fault, reason) = certificate::explain(error);
                Self::Tls { origin, fault, reason: reason.into() }
            }
            ureq::Error::Io(_)
            | ureq::Error::Timeout(_)
            | ureq::Error::ConnectionFailed
            | ureq::Error::ConnectProxyFailed(_)
            | ureq::Error::Tls(_) => Self::Connect { origin, reason },
            _ => Self::NotHttp { origin, reason },
        }
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
            Self::Connect { .. } | Self::HostNotFound { .. } | Self::Interrupted(_) => true,
            Self::Status(StatusError { status, .. }) => is_transient(status.as_u16()),
            Self::Proxy { status, .. } => is_transient(*status),
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

    /// The text of the error and of its sources, separated by colons: one line without control
    /// characters, because sources quote what they got.
    pub fn to_line(&self) -> String {
        let sources = successors(Some(self as &dyn std::error::Error), |error| error.source());
        text::line(&sources.map(ToString::to_string).collect::<Vec<_>>().join(": "))
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

fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..600)
}

/// Seconds, or a date. A date is useless if the clock is wrong; callers limit the result.
pub fn parse_retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    #[expect(clippy::disallowed_methods, reason = "the header is about this moment")]
    let now = SystemTime::now();
    httpdate::parse_http_date(text.trim()).ok()?.duration_since(now).ok()
}

fn read_reason(response: Response) -> String {
    let body = response.into_body().into_with_config().limit(64 << 10).read_to_vec();
    parse_reason(&body.unwrap_or_default())
}

/// ` (CODE: message)` from an error body (OCI distribution spec, "Error Codes"), or nothing.
pub fn parse_reason(body: &[u8]) -> String {
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
    let body = serde_json::from_slice::<Body>(body).ok();
    body.and_then(|body| body.errors.into_iter().next())
        .map(|entry| format!(" ({}: {})", Foreign(entry.code), Foreign(entry.message)))
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
            let error = StatusError::without_body(text(), status, false);
            Err::<(), _>(Error::from(error)).during(|| "asking").unwrap_err()
        };
        for code in [408, 429, 500, 502, 503, 504] {
            assert!(status(code).is_transient(), "{code}");
        }
        for code in [301, 400, 401, 403, 404, 410, 416, 418] {
            assert!(!status(code).is_transient(), "{code}");
        }
        assert!(Error::Connect { origin: text(), reason: text().into() }.is_transient());
        let (host, servers) = (text(), Vec::new());
        assert!(Error::HostNotFound { origin: text(), host, servers }.is_transient());
        let fault = TlsFault::UnknownIssuer;
        assert!(!Error::Tls { origin: text(), fault, reason: text().into() }.is_transient());
        assert!(!Error::Protocol(text()).is_transient());
    }
}
