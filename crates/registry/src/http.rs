//! HTTP(S) requests: one client with its time-outs, certificate authorities, proxies and rules for redirects. Knows no OCI. Nothing outside
//! this folder opens a socket.

pub mod payload;
pub mod roots;

pub use roots::CertificateFiles;
pub use ureq::Proxy;

use crate::error::HttpError;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;
use ureq::Body;
use ureq::SendBody;
use ureq::http;
use ureq::http::Method;
use ureq::tls::RootCerts;
use ureq::tls::TlsConfig;

pub type Response = http::Response<Body>;

/// Headers of a request: name and value.
pub type Headers<'a> = [(&'a str, &'a str)];

const MAX_REDIRECTS: usize = 5;

/// Answers of a few lines are read up to here.
pub const SMALL_BODY_BYTES: u64 = 1 << 20;

/// Whether a registry is spoken to by TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tls {
    Required,
    /// Plain HTTP: `oci.allow_no_tls`.
    Plain,
}

/// Whether a certificate is checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CertificateCheck {
    Verify,
    /// Allows man-in-the-middle attacks.
    Skip,
}

/// How the network is used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Network {
    pub tls: Tls,
    pub certificates: CertificateCheck,
    /// The longest silence.
    pub timeout: Duration,
    pub http_proxy: Option<String>,
    pub https_proxy: Option<String>,
    pub no_proxy: Option<String>,
}

/// Sends requests. A clone shares the connections.
#[derive(Clone, Debug)]
pub struct Client {
    /// For `http:` and for `https:` URLs: a proxy may be for one of them.
    plain: Agent,
    secure: Agent,
    tls: Tls,
    /// For a request as a whole.
    limit: Option<Duration>,
}

impl Client {
    pub fn new(network: &Network, certificates: &CertificateFiles) -> Result<Self> {
        // Also for a registry that is reached over plain HTTP: its token server or its blob store may be reached over HTTPS.
        let roots = roots::read_roots(certificates)?;
        let unchecked = network.certificates == CertificateCheck::Skip;
        if roots.is_empty() && network.tls == Tls::Required && !unchecked {
            let places =
                [&certificates.bundle, &certificates.folder].map(|path| path.display().to_string());
            let places: Vec<_> = places.into_iter().filter(|place| !place.is_empty()).collect();
            bail!(
                "no certificate authorities in {}; without them no registry can prove who it is",
                places.join(" and ")
            );
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls_config = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(provider)
            .root_certs(RootCerts::new_with_certs(&roots))
            .disable_verification(unchecked)
            .build();
        let agent = |proxy: Option<&String>| -> Result<Agent> {
            let config = Agent::config_builder()
                .http_status_as_error(false)
                .tls_config(tls_config.clone())
                .user_agent(concat!("ocidd/", env!("CARGO_PKG_VERSION")))
                // Followed by hand: each hop has its own name in messages, and its own right to see the login.
                .max_redirects(0)
                .proxy(proxy.map(|url| parse_proxy(url, network)).transpose()?)
                .timeout_resolve(Some(network.timeout))
                .timeout_connect(Some(network.timeout))
                .timeout_recv_response(Some(network.timeout))
                .timeout_per_read(Some(network.timeout))
                .timeout_per_write(Some(network.timeout))
                .build();
            Ok(config.new_agent())
        };
        Ok(Self {
            plain: agent(network.http_proxy.as_ref())?,
            secure: agent(network.https_proxy.as_ref())?,
            tls: network.tls,
            limit: None,
        })
    }

    /// For a receiver of events, which holds no secret and may speak plain HTTP on a site's own network.
    pub fn for_events(network: &Network, certificates: &CertificateFiles) -> Result<Self> {
        Self::new(&Network { tls: Tls::Plain, ..network.clone() }, certificates)
    }

    /// The same client for what is worth no more than this time: each request has to end within it, body and all.
    #[must_use]
    pub fn within(&self, limit: Duration) -> Self {
        Self { limit: Some(limit), ..self.clone() }
    }

    pub fn tls(&self) -> Tls {
        self.tls
    }

    /// Gets `url`, whatever status comes back. Redirects are followed; to another host without `authorization`.
    pub fn get(&self, url: &str, headers: &Headers<'_>) -> Result<Response, HttpError> {
        self.follow(&Method::GET, url, headers)
    }

    /// Asks for the headers of `url` alone, as [`Self::get`] does.
    pub fn head(&self, url: &str, headers: &Headers<'_>) -> Result<Response, HttpError> {
        self.follow(&Method::HEAD, url, headers)
    }

    fn follow(
        &self,
        method: &Method,
        url: &str,
        headers: &Headers<'_>,
    ) -> Result<Response, HttpError> {
        let mut url = url.to_owned();
        let first = origin_of(&url).to_owned();
        for _ in 0..=MAX_REDIRECTS {
            let host = origin_of(&url).to_owned();
            // A blob store behind a registry has no business with the registry's token.
            let sent = |name: &str| host == first || !name.eq_ignore_ascii_case("authorization");
            let headers: Vec<_> = headers.iter().copied().filter(|(name, _)| sent(name)).collect();
            let response = self.send(method, &url, &headers, SendBody::none())?;
            if !redirected(&response) {
                return Ok(response);
            }
            url = next_url(&url, &response)?;
        }
        Err(HttpError::useless(format!(
            "connecting to {first}: more than {MAX_REDIRECTS} redirects; hint: the registry sends us round in circles"
        )))
    }

    /// Sends one request, whatever status comes back. Redirects are not followed.
    fn send(
        &self,
        method: &Method,
        url: &str,
        headers: &Headers<'_>,
        body: SendBody<'_>,
    ) -> Result<Response, HttpError> {
        let agent = self.agent(url)?;
        let mut request = http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let unanswered = |error: &ureq::Error| HttpError::unanswered(origin_of(url), error);
        let request = request.body(body).map_err(|error| unanswered(&error.into()))?;
        let request = agent.configure_request(request).timeout_global(self.limit).build();
        agent.run(request).map_err(|error| unanswered(&error))
    }

    /// Posts `body`, whatever status comes back. Redirects are not followed.
    pub fn post(&self, url: &str, media_type: &str, body: &str) -> Result<Response, HttpError> {
        let mut bytes = body.as_bytes();
        let length = bytes.len().to_string();
        let headers = [("content-type", media_type), ("content-length", &length)];
        self.send(&Method::POST, url, &headers, SendBody::from_reader(&mut bytes))
    }

    fn agent(&self, url: &str) -> Result<&Agent, HttpError> {
        if scheme_of(url).eq_ignore_ascii_case("https") {
            return Ok(&self.secure);
        }
        match self.tls {
            Tls::Plain => Ok(&self.plain),
            Tls::Required => Err(HttpError::useless(format!(
                "connecting to {}: that is plain HTTP, which only oci.allow_no_tls allows",
                origin_of(url)
            ))),
        }
    }
}

fn parse_proxy(url: &str, network: &Network) -> Result<Proxy> {
    // Not the URL itself: it may hold a password.
    let proxy = Proxy::new(url).context("reading a proxy's URL")?;
    let Some(expression) = &network.no_proxy else { return Ok(proxy) };
    let mut builder =
        Proxy::builder(proxy.protocol()).host(proxy.host()).port(proxy.port()).no_proxy(expression);
    if let Some((user, password)) = proxy.username().zip(proxy.password()) {
        builder = builder.username(user).password(password);
    }
    builder.build().context("reading no_proxy")
}

fn redirected(response: &Response) -> bool {
    matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn next_url(from: &str, response: &Response) -> Result<String, HttpError> {
    let location = response.headers().get("location").and_then(|value| value.to_str().ok());
    let location = location.filter(|location| !location.is_empty()).ok_or_else(|| {
        HttpError::useless(format!(
            "connecting to {}: a redirect ({}) that does not say where to",
            origin_of(from),
            response.status()
        ))
    })?;
    let next = resolve(from, location);
    if scheme_of(from).eq_ignore_ascii_case("https")
        && scheme_of(&next).eq_ignore_ascii_case("http")
    {
        return Err(HttpError::useless(format!(
            "connecting to {}: it redirects to {}; hint: the registry redirects to plain HTTP, which only oci.allow_no_tls allows",
            origin_of(from),
            origin_of(&next)
        )));
    }
    Ok(next)
}

/// Where `location` leads to, seen from `base` (RFC 3986, 5.2; `.` and `..` are left to the server).
pub fn resolve(base: &str, location: &str) -> String {
    // A scheme alone: a path may carry a whole URL in its query.
    let is_scheme =
        |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    if location.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme)) {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{}:{location}", scheme_of(base))
    } else if location.starts_with('/') {
        format!("{}{location}", origin_of(base))
    } else {
        let path = base.split(['?', '#']).next().unwrap_or_default();
        let folder = path.rsplit_once('/').map_or(path, |(folder, _)| folder);
        format!("{folder}/{location}")
    }
}

fn scheme_of(url: &str) -> &str {
    url.split("://").next().unwrap_or_default()
}

/// The scheme and authority of a URL, which is what a connection error is about.
pub fn origin_of(url: &str) -> &str {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url
        .get(after_scheme..)
        .and_then(|rest| rest.find(['/', '?', '#']))
        .map_or(url.len(), |at| after_scheme + at);
    url.get(..end).unwrap_or(url)
}

/// The time a request may take where nothing is said: connecting, an answer, and each wait for more of it.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_is_resolved_against_where_it_came_from() {
        let base = "https://r.example:5000/v2/os/blobs/x?y=/1";
        for (location, url) in [
            ("https://s.example/b?c=d", "https://s.example/b?c=d"),
            ("//s.example/b", "https://s.example/b"),
            ("/b", "https://r.example:5000/b"),
            ("b", "https://r.example:5000/v2/os/blobs/b"),
            ("/b?c=https://s.example/d", "https://r.example:5000/b?c=https://s.example/d"),
        ] {
            assert_eq!(resolve(base, location), url);
        }
        assert_eq!(origin_of(base), "https://r.example:5000");
        assert_eq!(origin_of("http://r.example?x"), "http://r.example");
    }
}
