//! One repository on one host, its own registry or a mirror: requests with the login that the host
//! requires.

use std::{sync::Arc, time::Duration};

use oci::reference::Repository;
use ureq::{ResponseExt as _, http::Method};

use crate::{
    credentials::{Credentials, Login, Secret, canonical_host},
    error::{Error, Result, StatusError},
    http::{Client, Headers, Payload, Response, Tls},
    url::origin_of,
};

/// Time limit of [`Endpoint::probe`].
const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// What a repository is opened for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    Pull,
    Push,
    Delete,
}

/// A repository on one host, with the login for it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub(crate) client: Client,
    pub(crate) repository: Repository,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) access: Access,
    /// The login that was sent after the host required one.
    pub(crate) login: Option<Login>,
    authorization: Option<Secret>,
    /// The login that the host requested in no way.
    unused: Option<Login>,
    has_asked: bool,
    /// False after the host answered a range request incorrectly.
    pub supports_ranges: bool,
}

impl Endpoint {
    pub fn new(
        client: Client,
        repository: Repository,
        credentials: Arc<Credentials>,
        access: Access,
    ) -> Self {
        Self {
            client,
            repository,
            credentials,
            access,
            login: None,
            authorization: None,
            unused: None,
            has_asked: false,
            supports_ranges: true,
        }
    }

    /// The host as in references.
    pub fn host(&self) -> &str {
        &self.repository.registry
    }

    /// Gets a path of the repository and returns the answer with any status. A 401 of this
    /// host is answered by logging in once, also if an earlier token has expired.
    pub fn get(&mut self, path: &str, headers: &Headers<'_>) -> Result<Response> {
        self.get_url(&self.url(path), headers)
    }

    /// The same for a URL of this host.
    pub fn get_url(&mut self, url: &str, headers: &Headers<'_>) -> Result<Response> {
        self.logged_in(headers, &|client, headers| client.follow(&Method::GET, url, headers))
    }

    /// Like [`Self::get`], without the body.
    pub fn head(&mut self, path: &str, headers: &Headers<'_>) -> Result<Response> {
        let url = self.url(path);
        self.logged_in(headers, &|client, headers| client.follow(&Method::HEAD, &url, headers))
    }

    /// Sends a request to a complete URL; the login is not sent to another host. Does not follow
    /// redirects.
    pub fn send(
        &mut self,
        method: &Method,
        url: &str,
        headers: &Headers<'_>,
        payload: &Payload<'_>,
    ) -> Result<Response> {
        if is_same_origin(&origin_of(url), &self.origin()) {
            self.logged_in(headers, &|client, headers| client.send(method, url, headers, payload))
        } else {
            self.client.send(method, url, headers, payload)
        }
    }

    /// The `Authorization` header that was sent last.
    pub fn authorization(&self) -> Option<&str> {
        self.authorization.as_ref().map(Secret::expose)
    }

    /// The URL of a `Location` header of this host.
    pub fn resolve(&self, location: &str) -> String {
        crate::url::resolve(&self.url(""), location)
    }

    /// A URL of this host, at its origin. The scheme can differ: a host often does not know that a
    /// proxy adds TLS.
    pub fn within_origin(&self, url: &str) -> Option<String> {
        let (own, other) = (self.origin(), origin_of(url));
        let (_, rest) = url.split_once("://")?;
        let path = rest.find(['/', '?', '#']).and_then(|at| rest.get(at..)).unwrap_or_default();
        let host = |origin: &str| origin.split_once("://").map(|(_, host)| host.to_lowercase());
        let is_own = is_same_origin(&other, &own) || host(&other) == host(&own);
        is_own.then(|| format!("{own}{path}"))
    }

    /// Sends a request, and again with a login after 401.
    fn logged_in(
        &mut self,
        headers: &Headers<'_>,
        send: &dyn Fn(&Client, &Headers<'_>) -> Result<Response>,
    ) -> Result<Response> {
        let response = send(&self.client, &self.with_login(headers))?;
        let Some(challenges) = self.challenges_of(&response) else { return Ok(response) };
        self.authorization = Some(self.authorize(&challenges)?);
        let response = send(&self.client, &self.with_login(headers))?;
        if response.status() == 401 { Err(self.rejected(response)) } else { Ok(response) }
    }

    /// The challenges to answer. Some registries do not tell a missing login from a missing
    /// repository; if there is a login, `/v2/` is asked once for them.
    fn challenges_of(&mut self, response: &Response) -> Option<Vec<String>> {
        let status = response.status().as_u16();
        if !matches!(status, 401 | 403 | 404) || !self.is_from_host(response) {
            return None;
        }
        let mut found = texts_of(response);
        let has_tried = self.authorization.is_some() || self.has_asked;
        if (status != 401 || found.is_empty()) && !has_tried {
            self.has_asked = true;
            if let Some(login) = self.credentials.login_for(&self.repository).ok().flatten() {
                if found.is_empty() {
                    let url = format!("{}/v2/", self.origin());
                    let answer = self.client.follow(&Method::GET, &url, &[]).ok();
                    let answer = answer.filter(|it| it.status() == 401 && self.is_from_host(it));
                    found = answer.as_ref().map(texts_of).unwrap_or_default();
                }
                if !found.is_empty() {
                    return Some(found);
                }
                self.unused = Some(login);
            }
        }
        // `authorize` reports that there is none.
        (status == 401 && self.unused.is_none()).then_some(found)
    }

    fn with_login<'a>(&'a self, headers: &Headers<'a>) -> Vec<(&'a str, &'a str)> {
        let login = self.authorization.as_ref().map(|value| ("authorization", value.expose()));
        headers.iter().copied().chain(login).collect()
    }

    /// Gets a path of the repository with the last login and a short time limit.
    pub fn probe(&self, path: &str, headers: &Headers<'_>) -> Option<Response> {
        let client = self.client.within(PROBE_LIMIT);
        client.follow(&Method::GET, &self.url(path), &self.with_login(headers)).ok()
    }

    /// Returns an answer that accepts a write; any other is an error.
    pub fn accepted(&self, response: Response) -> Result<Response> {
        let is_accepted = is_accepted(response.status().as_u16());
        if is_accepted { Ok(response) } else { Err(self.rejected(response)) }
    }

    /// Returns an answer with this status; any other is an error.
    pub fn expect(&self, status: u16, response: Response) -> Result<Response> {
        if response.status() == status { Ok(response) } else { Err(self.rejected(response)) }
    }

    /// The error for an answer with an unexpected status.
    pub fn rejected(&self, response: Response) -> Error {
        // A blob store after a redirect has not received the login.
        let is_direct = self.is_from_host(&response);
        let is_about_login = is_direct && matches!(response.status().as_u16(), 401 | 403);
        let (origin, host) = (self.origin(), self.host());
        let route = self.client.route_to(&origin);
        let mut server = format!("registry {host}{}", route.trim_start_matches(&origin));
        let login = self.login.as_ref().filter(|_| is_about_login);
        if let Some(login) = login {
            server = format!("showing {login}: {server}");
        } else if !is_direct {
            let target = response.get_uri().to_string();
            server = format!("{server} redirects to {}, which", origin_of(&target));
        }
        let unused = self.unused.as_ref().filter(|_| is_direct);
        let unused = unused.map(|login| format!("; {login} was not used: there is no challenge"));
        StatusError::new(server, response, login.is_some(), &unused.unwrap_or_default()).into()
    }

    /// Whether this host sent an answer, not a redirect target. Only then its challenge counts: the
    /// login is for this host alone.
    fn is_from_host(&self, response: &Response) -> bool {
        is_same_origin(&origin_of(&response.get_uri().to_string()), &self.origin())
    }

    pub fn origin(&self) -> String {
        let scheme = if self.client.tls() == Tls::Plain { "http" } else { "https" };
        // Docker Hub's registry has another host name than its references.
        let is_hub = canonical_host(self.host()) == "docker.io";
        format!("{scheme}://{}", if is_hub { "registry-1.docker.io" } else { self.host() })
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}/v2/{}/{path}", self.origin(), self.repository.name)
    }
}

/// Whether a status accepts a write. The spec names one for each; registries and proxies differ.
pub(crate) fn is_accepted(status: u16) -> bool {
    matches!(status, 200 | 201 | 202 | 204)
}

fn texts_of(response: &Response) -> Vec<String> {
    let values = response.headers().get_all("www-authenticate").iter();
    values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

/// Compares origins; default ports are equal.
fn is_same_origin(one: &str, other: &str) -> bool {
    let bare = |origin: &str| {
        let origin = origin.to_ascii_lowercase();
        let port = if origin.starts_with("https:") { ":443" } else { ":80" };
        origin.strip_suffix(port).unwrap_or(&origin).to_owned()
    };
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::http::{CertificateCheck, CertificateFiles, DEFAULT_TIMEOUT, Network};

    #[test]
    fn urls_of_another_scheme_continue_at_the_own_origin() {
        let network = Network {
            tls: Tls::Required,
            certificates: CertificateCheck::Skip,
            timeout: DEFAULT_TIMEOUT,
            http_proxy: None,
            https_proxy: None,
            no_proxy: None,
        };
        let files = CertificateFiles { bundle: PathBuf::new(), folder: PathBuf::new() };
        let client = Client::new(&network, &files).unwrap();
        let repository = Repository { registry: "r.example".to_owned(), name: "os".to_owned() };
        let endpoint = Endpoint::new(client, repository, Arc::default(), Access::Pull);
        for (url, own) in [
            ("https://r.example/v2/a?b=c", Some("https://r.example/v2/a?b=c")),
            ("https://R.example:443/v2/a", Some("https://r.example/v2/a")),
            ("http://r.example/v2/a", Some("https://r.example/v2/a")),
            ("http://r.example:5000/v2/a", None),
            ("https://s.example/r.example", None),
            ("ftp:r.example", None),
        ] {
            assert_eq!(endpoint.within_origin(url).as_deref(), own, "{url}");
        }
    }

    #[test]
    fn default_ports_are_equal() {
        for (one, other, same) in [
            ("https://r.example", "https://r.example:443", true),
            ("http://R.example:80", "http://r.example", true),
            ("https://r.example:5000", "https://r.example:5000", true),
            ("https://r.example:80", "https://r.example", false),
            ("http://r.example", "https://r.example", false),
            ("https://r.example", "https://s.example", false),
        ] {
            assert_eq!(is_same_origin(one, other), same, "{one} {other}");
            assert_eq!(is_same_origin(other, one), same, "{other} {one}");
        }
    }
}
