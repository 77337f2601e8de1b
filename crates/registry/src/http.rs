//! HTTP(S) requests: one client with its timeouts, proxies and rules for redirects. It does not
//! depend on OCI.

use std::{fs::File, io, io::Read, os::unix::fs::FileExt as _, sync::Arc, time::Duration};

use oci::size::length_of;
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use ureq::{Agent, SendBody, http, http::Method};

pub use crate::{
    certificate::CertificateCheck,
    error::{Response, header},
    tls::CertificateFiles,
};
use crate::{
    error::{Error, Result},
    proxy::{Proxies, Proxy, target_of},
    resolver::Resolver,
    tls::TlsConnector,
    url::{USER_AGENT, is_https, origin_of, resolve, scheme_of},
};

/// Headers of a request: name and value.
pub type Headers<'a> = [(&'a str, &'a str)];

const MAX_REDIRECTS: usize = 5;

/// Maximum size of an answer of a few lines.
pub const SMALL_BODY_BYTES: u64 = 1 << 20;

/// Default for [`Network::timeout`].
pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);

/// A document that takes longer than this many time limits is broken off.
const DOCUMENT_TIMEOUTS: u32 = 4;

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
    agent: Agent,
    proxies: Arc<Proxies>,
    tls: Tls,
    /// [`Network::timeout`].
    timeout: Duration,
    /// Time limit of a whole request.
    pub(crate) limit: Option<Duration>,
    /// Time limit of an answer's body.
    body_limit: Option<Duration>,
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
            return Err(Error::Authorities(format!(
                "no certificate authorities in {}; without them no registry can be trusted",
                paths.join(" and ")
            )));
        }
        let mut proxies = Proxies::default();
        for (name, value) in [
            ("http_proxy", &network.http_proxy),
            ("https_proxy", &network.https_proxy),
            ("no_proxy", &network.no_proxy),
        ] {
            let set = value.as_ref().map_or(Ok(()), |value| proxies.set(name, value));
            set.map_err(|(entry, expected)| {
                let found = if entry.is_empty() { "" } else { &format!(", found '{entry}'") };
                Error::BadProxy(format!("{name}: expected {expected}{found}"))
            })?;
        }
        let proxies = Arc::new(proxies);
        let tls = TlsConnector::new(roots, network.certificates, Arc::clone(&proxies))?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .user_agent(USER_AGENT)
            // `follow` does it: errors name the host of each hop, and another host does not receive
            // the login.
            .max_redirects(0)
            // `TlsConnector` uses it. ureq cannot send requests without CONNECT.
            .proxy(None)
            .timeout_resolve(Some(network.timeout))
            .timeout_connect(Some(network.timeout))
            .timeout_recv_response(Some(network.timeout))
            .timeout_per_read(Some(network.timeout))
            .timeout_per_write(Some(network.timeout))
            .build();
        let agent = Agent::with_parts(config, tls.over_tcp(), Resolver(Arc::clone(&proxies)));
        Ok(Self {
            agent,
            proxies,
            tls: network.tls,
            timeout: network.timeout,
            limit: None,
            body_limit: Some(network.timeout.saturating_mul(DOCUMENT_TIMEOUTS)),
        })
    }

    /// The same client with a time limit for each whole request, including the body.
    #[must_use]
    pub fn within(&self, limit: Duration) -> Self {
        Self { limit: Some(limit), ..self.clone() }
    }

    /// The same client for bodies of any size, which are read without a time limit for the whole.
    #[must_use]
    pub fn streaming(&self) -> Self {
        Self { body_limit: None, ..self.clone() }
    }

    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    pub fn tls(&self) -> Tls {
        self.tls
    }

    /// Sends a GET or HEAD request and returns the answer with any status. Follows redirects; other
    /// hosts do not receive `authorization`.
    pub fn follow(&self, method: &Method, url: &str, headers: &Headers<'_>) -> Result<Response> {
        let mut url = url.to_owned();
        let first = origin_of(&url);
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
        if !is_https(url) && self.tls == Tls::Required {
            return Err(Error::PlainHttp { origin: origin_of(url) });
        }
        let failed = |error| {
            let peer = url.parse().map(|uri| target_of(self.proxies.peer_of(&uri)).0.to_owned());
            Error::connect(self.route_to(url), peer.unwrap_or_default(), &error)
        };
        let mut request = http::Request::builder().method(method).uri(url);
        for (name, value) in headers.iter().chain([&("accept-encoding", "identity")]) {
            request = request.header(*name, *value);
        }
        // Not through a tunnel, where the registry would receive the login.
        let proxy = self.proxy_for(url).filter(|_| !is_https(url));
        if let Some(login) = proxy.and_then(|proxy| proxy.authorization.as_ref()) {
            request = request.header("proxy-authorization", login.expose());
        }
        let request = request.body(body).map_err(|error| failed(error.into()))?;
        let request = self.agent.configure_request(request).timeout_global(self.limit);
        let request = request.timeout_recv_body(self.body_limit).build();
        let response = self.agent.run(request).map_err(failed)?;
        let status = response.status().as_u16();
        // A registry explains a 403 in JSON.
        let is_own = || header(&response, "content-type").is_some_and(|kind| kind.contains("json"));
        if proxy.is_some() && (status == 407 || status == 403 && !is_own()) {
            return Err(Error::Proxy { origin: self.route_to(url), status });
        }
        Ok(response)
    }

    fn proxy_for(&self, url: &str) -> Option<&Proxy> {
        self.proxies.for_uri(&url.parse().ok()?)
    }

    /// The origin of a URL and the proxy on the way to it, for errors.
    pub(crate) fn route_to(&self, url: &str) -> String {
        let origin = origin_of(url);
        let proxy = self.proxy_for(url).and_then(|proxy| proxy.uri.authority());
        match proxy {
            Some(proxy) => format!("{origin} through the proxy {proxy}"),
            None => origin,
        }
    }
}

/// The `Location` of an answer. Bytes that URLs cannot contain are percent-encoded.
pub(crate) fn location_of(response: &Response) -> Option<String> {
    const INVALID: AsciiSet = CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\');
    const ALL: AsciiSet = INVALID.add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');
    let location = response.headers().get("location")?.as_bytes();
    (!location.is_empty()).then(|| percent_encode(location, &ALL).to_string())
}

fn next_url(from: &str, response: &Response) -> Result<String> {
    let origin = origin_of(from);
    let Some(location) = location_of(response) else {
        let problem = format!("a redirect ({}) without a location", response.status());
        return Err(Error::Protocol(format!("connecting to {origin}: {problem}")));
    };
    let next = resolve(from, &location);
    if is_https(from) && scheme_of(&next).eq_ignore_ascii_case("http") {
        let (origin, target) = (origin, origin_of(&next));
        return Err(Error::PlainRedirect { origin, target });
    }
    Ok(next)
}

/// Reads a body of at most `limit_bytes`.
pub fn read_body(response: Response, limit_bytes: u64, what: &'static str) -> Result<Vec<u8>> {
    let body = response.into_body().into_with_config().limit(limit_bytes).read_to_vec();
    body.map_err(|error| match error {
        ureq::Error::BodyExceedsLimit(_) => Error::TooLarge { what, limit_bytes },
        error => Error::Interrupted(format!("reading {what}: {error}")),
    })
}
