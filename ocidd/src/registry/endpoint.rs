//! One repository at one host, the image's own registry or a mirror of it: requests with whatever login the host wants.

use crate::http::Client;
use crate::http::Headers;
use crate::http::HttpError;
use crate::http::Response;
use crate::http::origin_of;
use crate::plan::Tls;
use crate::reference::Repository;
use crate::registry::auth;
use crate::registry::challenge;
use crate::registry::credentials::Credentials;
use crate::registry::credentials::Login;
use crate::registry::credentials::Secret;
use anyhow::Result;
use std::sync::Arc;
use std::time::Duration;
use ureq::ResponseExt as _;

/// The time for what would only be good to know.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// Where a repository is reached, and what we have to show there.
#[derive(Debug)]
pub(super) struct Endpoint {
    client: Client,
    repository: Repository,
    credentials: Arc<Credentials>,
    /// The one that was shown, once the host has asked.
    login: Option<Login>,
    authorization: Option<Secret>,
    /// Until it turns out that the host gets ranges wrong.
    pub(super) knows_ranges: bool,
}

impl Endpoint {
    pub(super) fn new(
        client: Client,
        repository: Repository,
        credentials: Arc<Credentials>,
    ) -> Self {
        Self {
            client,
            repository,
            credentials,
            login: None,
            authorization: None,
            knows_ranges: true,
        }
    }

    /// The host as references name it.
    pub(super) fn host(&self) -> &str {
        &self.repository.registry
    }

    /// Gets a path below the repository, whatever status comes back but 401: that is answered by a login, once, also where an earlier token has
    /// expired meanwhile.
    pub(super) fn get(&mut self, path: &str, headers: &Headers<'_>) -> Result<Response> {
        let url = self.url(path);
        let response = self.send(&self.client, &url, headers)?;
        if response.status() != 401 {
            return Ok(response);
        }
        let challenge = challenge::from_headers(response.headers())?;
        self.login = self.credentials.login_for(&self.repository)?;
        let login = self.login.as_ref();
        self.authorization =
            Some(auth::authorize(&self.client, &challenge, &self.repository, login)?);
        let response = self.send(&self.client, &url, headers)?;
        if response.status() == 401 {
            return Err(self.refused(response).into());
        }
        Ok(response)
    }

    /// Gets a path below the repository with the login that was good before, soon or not at all.
    pub(super) fn probe(&self, path: &str, headers: &Headers<'_>) -> Option<Response> {
        self.send(&self.client.within(PROBE_LIMIT), &self.url(path), headers).ok()
    }

    /// The error for an answer that is not the one that was hoped for.
    pub(super) fn refused(&self, response: Response) -> HttpError {
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

    fn origin(&self) -> String {
        let scheme = if self.client.tls() == Tls::Plain { "http" } else { "https" };
        format!("{scheme}://{}", host_of(self.host()))
    }

    fn url(&self, path: &str) -> String {
        format!("{}/v2/{}/{path}", self.origin(), self.repository.name)
    }

    fn send(
        &self,
        client: &Client,
        url: &str,
        headers: &Headers<'_>,
    ) -> Result<Response, HttpError> {
        let login = self.authorization.as_ref().map(|value| ("authorization", value.expose()));
        let headers: Vec<(&str, &str)> = headers.iter().copied().chain(login).collect();
        client.get(url, &headers)
    }
}

/// Docker Hub's registry does not live at the name that its references bear.
fn host_of(registry: &str) -> &str {
    if matches!(registry, "docker.io" | "index.docker.io") {
        "registry-1.docker.io"
    } else {
        registry
    }
}
