//! Why a request brought nothing of use, sorted by what a caller does about it: try again, give up, or tell the operator what to mend.

use crate::http::Response;
use serde::Deserialize;
use std::fmt;
use std::time::Duration;
use std::time::SystemTime;
use ureq::http::StatusCode;

/// What kind of trouble it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// No answer, or none that is HTTP.
    Unreachable,
    /// Whoever answered could not prove who it is.
    Untrusted,
    /// An answer that says no.
    Status(StatusCode),
    /// An answer that leads nowhere: a redirect in circles, plain HTTP where TLS is needed, another thing than what was asked for.
    Useless,
}

/// A failed request. Prints as one line with a hint.
#[derive(Debug)]
pub struct HttpError {
    pub trouble: Trouble,
    /// How long the server asks to wait before the next try (RFC 9110, 10.2.3).
    pub retry_after: Option<Duration>,
    text: String,
}

impl std::error::Error for HttpError {}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl HttpError {
    /// An answer of the wrong kind.
    pub fn useless(text: impl Into<String>) -> Self {
        Self { trouble: Trouble::Useless, retry_after: None, text: text.into() }
    }

    /// Something that broke off midway.
    pub fn broken(text: impl Into<String>) -> Self {
        Self { trouble: Trouble::Unreachable, retry_after: None, text: text.into() }
    }

    /// An answer that says no, told in words of our own.
    pub fn status(status: StatusCode, text: impl Into<String>) -> Self {
        Self { trouble: Trouble::Status(status), retry_after: None, text: text.into() }
    }

    /// A login that is missing or not good.
    pub fn login(text: impl Into<String>) -> Self {
        Self::status(StatusCode::UNAUTHORIZED, text)
    }

    /// A request to `host` that got no answer.
    pub fn unanswered(host: &str, error: &ureq::Error) -> Self {
        let (trouble, hint) = sort(error);
        let hint = if hint.is_empty() { hint } else { format!("; hint: {hint}") };
        Self { trouble, retry_after: None, text: format!("connecting to {host}: {error}{hint}") }
    }

    /// An answer of `who` that is not the one that was hoped for, with its own words where it has some.
    pub fn refused(response: Response, who: &str) -> Self {
        let status = response.status();
        let retry_after = response
            .headers()
            .get("retry-after")
            .and_then(|value| parse_retry_after(value.to_str().ok()?));
        let hint = match status.as_u16() {
            401 | 403 => {
                "; hint: the repository may be private (a login goes into /etc/ocidd/auth.json), or the name wrong"
            }
            404 => "; hint: check repository and tag",
            _ => "",
        };
        let said = read_said(response);
        Self {
            trouble: Trouble::Status(status),
            retry_after,
            text: format!("{who} answered {status}{said}{hint}"),
        }
    }

    /// The same error, and what led to it.
    #[must_use]
    pub fn after(self, doing: &str) -> Self {
        Self { text: format!("{doing}: {}", self.text), ..self }
    }

    /// Whether the same request may well succeed later. Of the answers that say no, only those that are about the moment (RFC 9110, 15.5.9 and
    /// 15.6; RFC 6585, 4).
    pub fn is_passing(&self) -> bool {
        match self.trouble {
            Trouble::Unreachable => true,
            Trouble::Untrusted | Trouble::Useless => false,
            Trouble::Status(status) => {
                status.is_server_error() || matches!(status.as_u16(), 408 | 429)
            }
        }
    }
}

/// The trouble, and what to do about it where an operator can do something.
fn sort(error: &ureq::Error) -> (Trouble, String) {
    if let Some(error) = tls_error(error) {
        return sort_tls(error);
    }
    let hint = match error {
        ureq::Error::HostNotFound => {
            "is the name right, and does /etc/resolv.conf name a server that knows it?"
        }
        _ => "",
    };
    (Trouble::Unreachable, hint.to_owned())
}

fn tls_error(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

fn sort_tls(error: &rustls::Error) -> (Trouble, String) {
    use rustls::CertificateError as Bad;
    match error {
        // What a plain HTTP answer looks like to TLS.
        rustls::Error::InvalidMessage(_) => (
            Trouble::Useless,
            "the registry does not speak TLS; oci.allow_no_tls allows plain HTTP".to_owned(),
        ),
        // An authority that was made anew under its old name shows as a bad signature.
        rustls::Error::InvalidCertificate(Bad::UnknownIssuer | Bad::BadSignature) => (
            Trouble::Untrusted,
            "put the PEM file of the site's certificate authority into /etc/ocidd/ca.d".to_owned(),
        ),
        rustls::Error::InvalidCertificate(
            Bad::Expired
            | Bad::ExpiredContext { .. }
            | Bad::NotValidYet
            | Bad::NotValidYetContext { .. },
        ) => (Trouble::Untrusted, clock_hint()),
        rustls::Error::InvalidCertificate(_) => (Trouble::Untrusted, String::new()),
        _ => (Trouble::Unreachable, String::new()),
    }
}

/// The status of the answer that an error is about, if it is about one.
pub fn status_of(error: &anyhow::Error) -> Option<u16> {
    match error.downcast_ref::<HttpError>()?.trouble {
        Trouble::Status(status) => Some(status.as_u16()),
        _ => None,
    }
}

/// A machine whose clock is wrong cannot tell a certificate that has expired from one that has not.
fn clock_hint() -> String {
    #[expect(clippy::disallowed_methods, reason = "it is the clock itself that is in doubt")]
    let now = SystemTime::now();
    format!(
        "this machine's clock says {}; if that is wrong, mend the clock or name a time server by ocidd.ntp",
        httpdate::fmt_http_date(now)
    )
}

/// Seconds, or a date that is meaningless where the clock is wrong: then no more than it takes to wait as long as we ever do.
fn parse_retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    #[expect(clippy::disallowed_methods, reason = "the header is about this moment")]
    let now = SystemTime::now();
    httpdate::parse_http_date(text.trim()).ok()?.duration_since(now).ok()
}

/// ` (CODE: message)` from an answer as the distribution spec writes it ("Error Codes"), or nothing.
fn read_said(response: Response) -> String {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<Error>,
    }
    #[derive(Deserialize)]
    struct Error {
        code: String,
        #[serde(default)]
        message: String,
    }
    let body =
        response.into_body().into_with_config().limit(64 << 10).read_to_vec().unwrap_or_default();
    let said = serde_json::from_slice::<Errors>(&body).ok();
    said.and_then(|all| all.errors.into_iter().next())
        .map(|error| format!(" ({}: {})", error.code, error.message))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_may_ask_to_wait_by_seconds_or_by_a_date() {
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
    fn only_what_passes_by_itself_is_worth_another_try() {
        let of = |trouble| HttpError { trouble, retry_after: None, text: String::new() };
        let status = |code| of(Trouble::Status(StatusCode::from_u16(code).unwrap()));
        for code in [408, 429, 500, 502, 503, 504] {
            assert!(status(code).is_passing(), "{code}");
        }
        for code in [301, 400, 401, 403, 404, 410, 416, 418] {
            assert!(!status(code).is_passing(), "{code}");
        }
        assert!(of(Trouble::Unreachable).is_passing());
        assert!(!of(Trouble::Untrusted).is_passing() && !of(Trouble::Useless).is_passing());
    }
}
