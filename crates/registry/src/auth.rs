//! What a registry wants to be shown in the `Authorization` header: a token, fetched with or without a login (distribution's "Token Authentication
//! Specification" and "Oauth2 Token Authentication"), or the login itself. No error holds a secret, whatever the other side says.

pub mod challenge;

use crate::auth::challenge::Challenge;
use crate::credentials::AUTH_FILE;
use crate::credentials::Login;
use crate::credentials::Proof;
use crate::credentials::Secret;
use crate::credentials::without_content;
use crate::error::HttpError;
use crate::http::Client;
use crate::http::Response;
use crate::http::SMALL_BODY_BYTES;
use crate::http::Tls;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use base64::Engine as _;
use oci::BASE64;
use oci::reference::Repository;
use serde::Deserialize;
use ureq::http::Uri;

/// What somebody wants to do with a repository.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    Pull,
    Push,
    Delete,
}

impl Access {
    /// The actions of a token's scope (distribution's "Token Scope Documentation").
    fn actions(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
            Self::Delete => "pull,delete",
        }
    }
}

/// A token server may call it either way.
#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

/// A token server as a challenge names it, and what the token is to allow.
#[derive(Clone, Copy)]
struct TokenServer<'a> {
    realm: &'a str,
    service: Option<&'a str>,
    access: Access,
}

/// The value of an `Authorization` header that answers `challenge` and allows `access` to `repository`. Without a login everybody's rights are
/// asked for. Secrets travel over HTTPS, or as openly as the operator allows for everything else.
pub fn authorize(
    client: &Client,
    challenge: &Challenge,
    repository: &Repository,
    access: Access,
    login: Option<&Login>,
) -> Result<Secret> {
    let registry = &repository.registry;
    match (challenge, login, login.map(|login| &login.proof)) {
        (Challenge::Bearer { .. }, _, Some(Proof::RegistryToken(token))) => {
            Ok(Secret::new(format!("Bearer {}", token.expose())))
        }
        (Challenge::Bearer { realm, service }, _, _) => {
            let server = TokenServer { realm, service: service.as_deref(), access };
            fetch_token(client, server, repository, login)
                .with_context(|| format!("fetching a token from {realm}"))
        }
        (Challenge::Basic, _, Some(Proof::Password { user, password })) => {
            Ok(basic(user, password))
        }
        (Challenge::Basic, Some(login), _) => Err(HttpError::login(format!(
            "registry {registry} wants a user and a password, {login} is neither"
        ))
        .into()),
        (Challenge::Basic, None, _) => Err(HttpError::login(format!(
            "registry {registry} wants a login; hint: put user and password into {AUTH_FILE}, which has the format of docker's config.json"
        ))
        .into()),
    }
}

fn fetch_token(
    client: &Client,
    server: TokenServer<'_>,
    repository: &Repository,
    login: Option<&Login>,
) -> Result<Secret> {
    check_realm(server.realm, client.tls())?;
    let query = parameters(server, repository);
    let url = with_query(server.realm, &query);
    let response = match login.map(|login| &login.proof) {
        Some(Proof::IdentityToken(token)) => {
            let token = escape(token.expose());
            let form =
                format!("grant_type=refresh_token&{query}&client_id=ocidd&refresh_token={token}");
            client.post(server.realm, "application/x-www-form-urlencoded", &form)?
        }
        Some(Proof::Password { user, password }) => {
            client.get(&url, &[("authorization", basic(user, password).expose())])?
        }
        // A registry's token is never shown to a token server.
        Some(Proof::RegistryToken(_)) | None => client.get(&url, &[])?,
    };
    if response.status() != 200 {
        return Err(refused(response, repository, login).into());
    }
    let bytes = response.into_body().into_with_config().limit(SMALL_BODY_BYTES).read_to_vec()?;
    let answer: Answer = serde_json::from_slice(&bytes).map_err(|error| without_content(&error))?;
    match answer.token.or(answer.access_token) {
        Some(token) => Ok(Secret::new(format!("Bearer {token}"))),
        None => bail!("the answer holds no token"),
    }
}

/// Who has shown a secret is told the status alone: the server's own words might repeat it.
fn refused(response: Response, repository: &Repository, login: Option<&Login>) -> HttpError {
    let status = response.status();
    match login {
        None => HttpError::refused(response, &format!("registry {}", repository.registry)),
        // 400 is OAuth's answer to a refresh token that is not good (RFC 6749, 5.2).
        Some(login)
            if matches!(status.as_u16(), 401 | 403)
                || (status == 400 && matches!(login.proof, Proof::IdentityToken(_))) =>
        {
            HttpError::login(format!("the token server refused {login} ({status})"))
        }
        Some(login) => {
            HttpError::status(status, format!("the token server answered {status} to {login}"))
        }
    }
}

fn check_realm(realm: &str, tls: Tls) -> Result<()> {
    let realm: Uri = realm.parse().context("reading the token server's URL")?;
    match realm.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if tls == Tls::Plain => Ok(()),
        _ => {
            bail!("the token server is not reached over HTTPS, which only oci.allow_no_tls allows")
        }
    }
}

/// What a token is for, as a query or as part of a form.
fn parameters(server: TokenServer<'_>, repository: &Repository) -> String {
    let scope = escape(&format!("repository:{}:{}", repository.name, server.access.actions()));
    match server.service {
        Some(service) => format!("service={}&scope={scope}", escape(service)),
        None => format!("scope={scope}"),
    }
}

fn with_query(realm: &str, query: &str) -> String {
    let joint = if realm.contains('?') { '&' } else { '?' };
    format!("{realm}{joint}{query}")
}

/// RFC 7617, 2.
fn basic(user: &str, password: &Secret) -> Secret {
    let pair = format!("{user}:{}", password.expose());
    Secret::new(format!("Basic {}", BASE64.encode(pair)))
}

/// Percent-encodes what a query or a form does not hold as it is (RFC 3986, 2.3).
fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> Repository {
        Repository { registry: "r.example".to_owned(), name: "a/b".to_owned() }
    }

    #[test]
    fn asks_for_pulling_this_repository() {
        for (service, wanted) in [
            (Some("r s&x"), "service=r%20s%26x&scope=repository%3Aa%2Fb%3Apull"),
            (None, "scope=repository%3Aa%2Fb%3Apull"),
        ] {
            let server =
                TokenServer { realm: "https://t.example/token", service, access: Access::Pull };
            assert_eq!(parameters(server, &repository()), wanted);
        }
        for (realm, url) in [
            ("https://t.example/token", "https://t.example/token?scope=x"),
            ("https://t.example/?x=1", "https://t.example/?x=1&scope=x"),
        ] {
            assert_eq!(with_query(realm, "scope=x"), url);
        }
    }

    #[test]
    fn a_token_is_not_fetched_over_plain_http_unless_allowed() {
        for (realm, required, plain) in [
            ("https://t.example/token", true, true),
            ("http://t.example/token", false, true),
            ("/token", false, false),
            ("ftp://t.example", false, false),
            ("", false, false),
        ] {
            assert_eq!(check_realm(realm, Tls::Required).is_ok(), required, "{realm}");
            assert_eq!(check_realm(realm, Tls::Plain).is_ok(), plain, "{realm}");
        }
    }

    #[test]
    fn a_login_becomes_a_header_as_rfc_7617_has_it() {
        for (user, password, header) in [
            ("Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ("test", "123\u{a3}", "Basic dGVzdDoxMjPCow=="),
        ] {
            assert_eq!(basic(user, &Secret::new(password.to_owned())).expose(), header);
        }
    }
}
