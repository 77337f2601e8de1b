//! One repository on one host, its own registry or a mirror: requests with the login that the host
//! requires.

use std::{sync::Arc, time::Duration};

use oci::reference::Repository;
use ureq::{ResponseExt as _, http::Method};

use crate::{
    credentials::{Credentials, Login, Secret, canonical_host},
    error::{Error, Result, StatusError},
    http::{Client, Headers, Payload, Response, Tls, origin_of},
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
        let url = self.url(path);
        self.logged_in(headers, &|client, headers| client.follow(&Method::GET, &url, headers))
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
        if is_same_origin(origin_of(url), &self.origin()) {
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
        crate::http::resolve(&self.url(""), location)
    }

    /// Sends a request, and again with a login after 401.
    fn logged_in(
        &mut self,
        headers: &Headers<'_>,
        send: &dyn Fn(&Client, &Headers<'_>) -> Result<Response>,
    ) -> Result<Response> {
        let response = send(&self.client, &self.with_login(headers))?;
        if response.status() != 401 || !self.is_from_host(&response) {
            return Ok(response);
        }
        self.authorization = Some(self.authorize(response.headers())?);
        let response = send(&self.client, &self.with_login(headers))?;
        if response.status() == 401 { Err(self.rejected(response)) } else { Ok(response) }
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

    /// Returns an answer with this status; any other is an error.
    pub fn expect(&self, status: u16, response: Response) -> Result<Response> {
        if response.status() == status { Ok(response) } else { Err(self.rejected(response)) }
    }

    /// The error for an answer with an unexpected status.
    pub fn rejected(&self, response: Response) -> Error {
        // A blob store after a redirect has not received the login.
        let is_direct = self.is_from_host(&response);
        let is_about_login = is_direct && matches!(response.status().as_u16(), 401 | 403);
        let mut server = format!("registry {}", self.host());
        if let Some(login) = self.login.as_ref().filter(|_| is_about_login) {
            server = format!("showing {login}: {server}");
        } else if !is_direct {
            let target = response.get_uri().to_string();
            server = format!("{server} redirects to {}, which", origin_of(&target));
        }
        StatusError::new(server, response).into()
    }

    /// Whether this host sent an answer, not a redirect target. Only then its challenge counts: the
    /// login is for this host alone.
    fn is_from_host(&self, response: &Response) -> bool {
        is_same_origin(origin_of(&response.get_uri().to_string()), &self.origin())
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
    use super::*;

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
