//! HTTP(S) requests: one client with its timeouts, proxies and rules for redirects. It does not
//! depend on OCI.

use std::{fs::File, io, io::Read, os::unix::fs::FileExt as _, time::Duration};

use oci::size::length_of;
pub use ureq::Proxy;
use ureq::{
    Agent, ProxyProtocol, SendBody, http, http::Method, unversioned::resolver::DefaultResolver,
};

use crate::{
    error::{Error, Result},
    tls::TlsConnector,
};
pub use crate::{
    error::{Response, header},
    tls::{CertificateCheck, CertificateFiles},
};

/// Headers of a request: name and value.
pub type Headers<'a> = [(&'a str, &'a str)];

const MAX_REDIRECTS: usize = 5;

/// Maximum size of an answer of a few lines.
pub const SMALL_BODY_BYTES: u64 = 1 << 20;

/// Default for [`Network::timeout`].
pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);

/// Whether plain HTTP is allowed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Tls {
    #[default]
    Required,
    /// Registries are reached over plain HTTP.
    Plain,
}

/// How the network is used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Network {
    pub tls: Tls,
    pub certificates: CertificateCheck,
    /// Time limit for connecting, for an answer, and for each wait for more of it.
    pub timeout: Duration,
    pub http_proxy: Option<String>,
    pub https_proxy: Option<String>,
    pub no_proxy: Option<String>,
}

/// A part of a file. Reading it does not move the file's position.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    pub file: &'a File,
    pub at: u64,
    pub length: u64,
}

/// A request body that can be sent again from its start.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    Empty,
    Bytes(&'a [u8]),
    Section(Section<'a>),
}

impl Read for Section<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let max = usize::try_from(self.length).unwrap_or(usize::MAX).min(into.len());
        let length = self.file.read_at(into.get_mut(..max).unwrap_or_default(), self.at)?;
        if length == 0 && max > 0 {
            let text = "the file became shorter while it was sent";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        let read = length_of(into.get(..length).unwrap_or_default());
        (self.at, self.length) = (self.at + read, self.length - read);
        Ok(length)
    }
}

/// Sends requests. A clone shares the connections.
#[derive(Clone, Debug)]
pub struct Client {
    /// One agent per scheme: a proxy may be for one of them only.
    plain: Agent,
    secure: Agent,
    tls: Tls,
    /// Time limit of a whole request.
    limit: Option<Duration>,
}

impl Client {
    pub fn new(network: &Network, certificates: &CertificateFiles) -> Result<Self> {
        // Also for registries over plain HTTP: token servers and blob stores may use HTTPS.
        let roots = certificates.read()?;
        let is_needed =
            network.tls == Tls::Required && network.certificates == CertificateCheck::Verify;
        if roots.is_empty() && is_needed {
            let paths =
                [&certificates.bundle, &certificates.folder].map(|path| path.display().to_string());
            let paths: Vec<_> = paths.into_iter().filter(|path| !path.is_empty()).collect();
            return Err(Error::Unusable(format!(
                "no certificate authorities in {}; without them no registry can be trusted",
                paths.join(" and ")
            )));
        }
        let tls = TlsConnector::new(roots, network.certificates)?;
        let agent = |proxy: Option<&String>| -> Result<Agent> {
            let config = Agent::config_builder()
                .http_status_as_error(false)
                .user_agent(concat!("ocidd/", env!("CARGO_PKG_VERSION")))
                // `follow` does it: errors name the host of each hop, another host does not
                // receive the login, and each scheme has its own proxy.
                .max_redirects(0)
                .proxy(proxy.map(|url| parse_proxy(url, network)).transpose()?)
                .timeout_resolve(Some(network.timeout))
                .timeout_connect(Some(network.timeout))
                .timeout_recv_response(Some(network.timeout))
                .timeout_per_read(Some(network.timeout))
                .timeout_per_write(Some(network.timeout))
                .build();
            Ok(Agent::with_parts(config, tls.clone().over_tcp(), DefaultResolver::default()))
        };
        Ok(Self {
            plain: agent(network.http_proxy.as_ref())?,
            secure: agent(network.https_proxy.as_ref())?,
            tls: network.tls,
            limit: None,
        })
    }

    /// The same client with a time limit for each whole request, including the body.
    #[must_use]
    pub fn within(&self, limit: Duration) -> Self {
        Self { limit: Some(limit), ..self.clone() }
    }

    pub fn tls(&self) -> Tls {
        self.tls
    }

    /// Sends a GET or HEAD request and returns the answer with any status. Follows redirects; other
    /// hosts do not receive `authorization`.
    pub fn follow(&self, method: &Method, url: &str, headers: &Headers<'_>) -> Result<Response> {
        let mut url = url.to_owned();
        let first = origin_of(&url).to_owned();
        for _ in 0..=MAX_REDIRECTS {
            let is_first = origin_of(&url) == first;
            let is_sent = |name: &str| is_first || !name.eq_ignore_ascii_case("authorization");
            let headers: Vec<_> =
                headers.iter().copied().filter(|(name, _)| is_sent(name)).collect();
            let response = self.send_body(method, &url, &headers, SendBody::none())?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            url = next_url(&url, &response)?;
        }
        Err(Error::TooManyRedirects { origin: first, limit: MAX_REDIRECTS })
    }

    /// Sends one request and returns the answer with any status. Does not follow redirects.
    pub fn send(
        &self,
        method: &Method,
        url: &str,
        headers: &Headers<'_>,
        payload: &Payload<'_>,
    ) -> Result<Response> {
        let mut payload = *payload;
        let (length, body): (_, Option<&mut dyn Read>) = match &mut payload {
            Payload::Empty => (0, None),
            Payload::Bytes(bytes) => (length_of(bytes), Some(bytes)),
            Payload::Section(section) => (section.length, Some(section)),
        };
        let length = length.to_string();
        let mut headers = headers.to_vec();
        // Some registries answer 411 if an empty body has no length.
        if !matches!(*method, Method::GET | Method::DELETE) {
            headers.push(("content-length", &length));
        }
        match body {
            None => self.send_body(method, url, &headers, SendBody::none()),
            Some(body) => self.send_body(method, url, &headers, SendBody::from_reader(body)),
        }
    }

    /// Posts `body` and returns the answer with any status. Does not follow redirects.
    pub fn post(&self, url: &str, media_type: &str, body: &str) -> Result<Response> {
        let payload = Payload::Bytes(body.as_bytes());
        self.send(&Method::POST, url, &[("content-type", media_type)], &payload)
    }

    fn send_body(
        &self,
        method: &Method,
        url: &str,
        headers: &Headers<'_>,
        body: SendBody<'_>,
    ) -> Result<Response> {
        let agent = match self.tls {
            _ if is_https(url) => &self.secure,
            Tls::Plain => &self.plain,
            Tls::Required => return Err(Error::PlainHttp { origin: origin_of(url).to_owned() }),
        };
        let mut request = http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let failed = |error: ureq::Error| Error::connect(origin_of(url), &error);
        let request = request.body(body).map_err(|error| failed(error.into()))?;
        let request = agent.configure_request(request).timeout_global(self.limit).build();
        agent.run(request).map_err(failed)
    }
}

fn parse_proxy(url: &str, network: &Network) -> Result<Proxy> {
    // The errors do not quote the URL, which may contain a password.
    let failed = |error| Error::Unusable(format!("reading a proxy's URL: {error}"));
    let proxy = Proxy::new(url).map_err(failed)?;
    if !matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https) {
        let text = format!("the proxy protocol {} is not supported", proxy.protocol());
        return Err(Error::Unusable(text));
    }
    let Some(expression) = &network.no_proxy else { return Ok(proxy) };
    let mut builder =
        Proxy::builder(proxy.protocol()).host(proxy.host()).port(proxy.port()).no_proxy(expression);
    if let Some((user, password)) = proxy.username().zip(proxy.password()) {
        builder = builder.username(user).password(password);
    }
    builder.build().map_err(failed)
}

fn next_url(from: &str, response: &Response) -> Result<String> {
    let origin = origin_of(from);
    let Some(location) = header(response, "location").filter(|location| !location.is_empty())
    else {
        let problem = format!("a redirect ({}) without a location", response.status());
        return Err(Error::Protocol(format!("connecting to {origin}: {problem}")));
    };
    let next = resolve(from, location);
    if is_https(from) && scheme_of(&next).eq_ignore_ascii_case("http") {
        let (origin, target) = (origin.to_owned(), origin_of(&next).to_owned());
        return Err(Error::PlainRedirect { origin, target });
    }
    Ok(next)
}

/// Resolves `location` against `base` (RFC 3986, 5.2; `.` and `..` are left to the server).
pub fn resolve(base: &str, location: &str) -> String {
    // Not just any `://`: the query of a path may contain a whole URL.
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
        let parent = path.rsplit_once('/').map_or(path, |(parent, _)| parent);
        format!("{parent}/{location}")
    }
}

/// Reads a body of at most `limit_bytes`.
pub fn read_body(response: Response, limit_bytes: u64, what: &str) -> Result<Vec<u8>> {
    let body = response.into_body().into_with_config().limit(limit_bytes).read_to_vec();
    body.map_err(|error| Error::Interrupted(format!("reading {what}: {error}")))
}

/// Adds a query, or to the query.
pub fn with_query(url: &str, query: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{query}")
}

fn is_https(url: &str) -> bool {
    scheme_of(url).eq_ignore_ascii_case("https")
}

fn scheme_of(url: &str) -> &str {
    url.split("://").next().unwrap_or_default()
}

/// The scheme and authority of a URL.
pub fn origin_of(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let length = url.bytes().skip(start).position(|byte| b"/?#".contains(&byte));
    length.and_then(|length| url.get(..start + length)).unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_proxies_without_connect() {
        let network = Network {
            tls: Tls::Required,
            certificates: CertificateCheck::Skip,
            timeout: DEFAULT_TIMEOUT,
            http_proxy: None,
            https_proxy: None,
            no_proxy: Some("r.example".to_owned()),
        };
        for (url, is_supported) in [
            ("http://proxy.example:3128", true),
            ("https://user:password@proxy.example", true),
            ("socks5://proxy.example", false),
            ("socks4a://user@proxy.example", false),
        ] {
            assert_eq!(parse_proxy(url, &network).is_ok(), is_supported, "{url}");
        }
    }

    #[test]
    fn resolves_redirects() {
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
