//! One repository at one host, the image's own registry or a mirror of it: requests with whatever login the host wants.

use crate::auth;
use crate::auth::Access;
use crate::auth::challenge;
use crate::credentials::Credentials;
use crate::credentials::Login;
use crate::credentials::Secret;
use crate::error::HttpError;
use crate::http::Client;
use crate::http::Headers;
use crate::http::Response;
use crate::http::Tls;
use crate::http::origin_of;
pub use crate::http::payload::Payload;
pub use crate::http::payload::Section;
use anyhow::Result;
use oci::reference::Repository;
use std::sync::Arc;
use std::time::Duration;
use ureq::ResponseExt as _;

/// The time for what would only be good to know.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// Where a repository is reached, and what we have to show there.
#[derive(Clone, Debug)]
pub struct Endpoint {
    client: Client,
    repository: Repository,
    credentials: Arc<Credentials>,
    access: Access,
    /// The one that was shown, once the host has asked.
    login: Option<Login>,
    authorization: Option<Secret>,
    /// Until it turns out that the host gets ranges wrong.
    pub knows_ranges: bool,
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
            knows_ranges: true,
        }
    }

    /// The host as references name it.
    pub fn host(&self) -> &str {
        &self.repository.registry
    }

    /// Gets a path below the repository, whatever status comes back but 401: that is answered by a login, once, also where an earlier token has
    /// expired meanwhile.
    pub fn get(&mut self, path: &str, headers: &Headers<'_>) -> Result<Response> {
        let url = self.url(path);
        self.logged_in(headers, |client, headers| client.get(&url, headers))
    }

    /// Asks for the headers of a path below the repository alone.
    pub fn head(&mut self, path: &str, headers: &Headers<'_>) -> Result<Response> {
        let url = self.url(path);
        self.logged_in(headers, |client, headers| client.head(&url, headers))
    }

    /// Sends a request to a whole URL, which may lead to another host: without the login then. Redirects are not followed.
    pub fn send(
        &mut self,
        method: &ureq::http::Method,
        url: &str,
        headers: &Headers<'_>,
        payload: &Payload<'_>,
    ) -> Result<Response> {
        if is_same_origin(origin_of(url), &self.origin()) {
            self.logged_in(headers, |client, headers| client.carry(method, url, headers, payload))
        } else {
            Ok(self.client.carry(method, url, headers, payload)?)
        }
    }

    /// The value of the header that this host was shown last.
    pub fn authorization(&self) -> Option<&str> {
        self.authorization.as_ref().map(Secret::expose)
    }

    /// The URL that a `Location` of this host means.
    pub fn resolve(&self, location: &str) -> String {
        crate::http::resolve(&self.url(""), location)
    }

    /// Sends a request, which may be sent twice: as [`Self::get`] does.
    fn logged_in(
        &mut self,
        headers: &Headers<'_>,
        send: impl Fn(&Client, &Headers<'_>) -> Result<Response, HttpError>,
    ) -> Result<Response> {
        let response = send(&self.client, &self.with_login(headers))?;
        if response.status() != 401 {
            return Ok(response);
        }
        let challenge = challenge::from_headers(response.headers())?;
        self.login = self.credentials.login_for(&self.repository)?;
        let login = self.login.as_ref();
        let secret =
            auth::authorize(&self.client, &challenge, &self.repository, self.access, login)?;
        self.authorization = Some(secret);
        let response = send(&self.client, &self.with_login(headers))?;
        if response.status() == 401 {
            return Err(self.refused(response).into());
        }
        Ok(response)
    }

    fn with_login<'a>(&'a self, headers: &Headers<'a>) -> Vec<(&'a str, &'a str)> {
        let login = self.authorization.as_ref().map(|value| ("authorization", value.expose()));
        headers.iter().copied().chain(login).collect()
    }

    /// Gets a path below the repository with the login that was good before, soon or not at all.
    pub fn probe(&self, path: &str, headers: &Headers<'_>) -> Option<Response> {
        self.client.within(PROBE_LIMIT).get(&self.url(path), &self.with_login(headers)).ok()
    }

    /// The error for an answer that is not the one that was hoped for.
    pub fn refused(&self, response: Response) -> HttpError {
        let who = format!("registry {}", self.host());
        // A blob store that was redirected to has not seen the login.
        let is_direct = origin_of(&response.get_uri().to_string()) == self.origin();
        let is_about_login = is_direct && matches!(response.status().as_u16(), 401 | 403);
        let error = HttpError::refused(response, &who);
        match self.login.as_ref().filter(|_| is_about_login) {
            Some(login) => error.after(&format!("showing {login}")),
            None => error,
        }
    }

    pub fn origin(&self) -> String {
        let scheme = if self.client.tls() == Tls::Plain { "http" } else { "https" };
        format!("{scheme}://{}", host_of(self.host()))
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}/v2/{}/{path}", self.origin(), self.repository.name)
    }
}

/// Whether both are the same host, whoever of them names the port that goes without saying.
fn is_same_origin(one: &str, other: &str) -> bool {
    let bare = |origin: &str| {
        let origin = origin.to_ascii_lowercase();
        let port = if origin.starts_with("https:") { ":443" } else { ":80" };
        origin.strip_suffix(port).unwrap_or(&origin).to_owned()
    };
    bare(one) == bare(other)
}

/// Docker Hub's registry does not live at the name that its references bear.
fn host_of(registry: &str) -> &str {
    if matches!(registry, "docker.io" | "index.docker.io") {
        "registry-1.docker.io"
    } else {
        registry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_goes_without_saying_makes_no_other_host() {
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
