//! Anonymous bearer tokens (distribution's "Token Authentication Specification").

use crate::plan::Tls;
use crate::reference::Repository;
use crate::registry::challenge::Challenge;
use crate::registry::transport::Transport;
use crate::registry::transport::refusal;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use serde::Deserialize;
use ureq::http::Uri;

/// A token server may call it either way.
#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

/// Fetches a token that allows to pull from `repository`; returns the value of an `Authorization` header.
pub(crate) fn fetch_token(
    transport: &Transport,
    challenge: &Challenge,
    repository: &Repository,
) -> Result<String> {
    let doing = || format!("fetching a token from {}", challenge.realm);
    let url = token_url(challenge, repository, transport.tls()).with_context(doing)?;
    let response = transport.get(&url, None, None).with_context(doing)?;
    if response.status() != 200 {
        bail!("{}: {}", doing(), refusal(response, &repository.registry));
    }
    let bytes =
        response.into_body().into_with_config().limit(1 << 20).read_to_vec().with_context(doing)?;
    let answer: Answer = serde_json::from_slice(&bytes).with_context(doing)?;
    match answer.token.or(answer.access_token) {
        Some(token) => Ok(format!("Bearer {token}")),
        None => bail!("{}: the answer holds no token", doing()),
    }
}

fn token_url(challenge: &Challenge, repository: &Repository, tls: Tls) -> Result<String> {
    let realm: Uri = challenge.realm.parse().context("reading the token server's URL")?;
    match realm.scheme_str() {
        Some("https") => {}
        Some("http") if tls == Tls::Plain => {}
        _ => {
            bail!("the token server is not reached over HTTPS, which only oci.allow_no_tls allows")
        }
    }
    let joint = if realm.query().is_some() { '&' } else { '?' };
    let service = challenge
        .service
        .as_ref()
        .map(|service| format!("service={}&", escape(service)))
        .unwrap_or_default();
    let scope = escape(&format!("repository:{}:pull", repository.name));
    Ok(format!("{}{joint}{service}scope={scope}", challenge.realm))
}

/// Percent-encodes what a query does not hold as it is (RFC 3986, 2.3).
fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_for_pulling_this_repository() {
        let repository = Repository { registry: "r.example".to_owned(), name: "a/b".to_owned() };
        for (realm, service, tls, url) in [
            (
                "https://t.example/token",
                Some("r s"),
                Tls::Required,
                "https://t.example/token?service=r%20s&scope=repository%3Aa%2Fb%3Apull",
            ),
            (
                "https://t.example/?x=1",
                None,
                Tls::Required,
                "https://t.example/?x=1&scope=repository%3Aa%2Fb%3Apull",
            ),
            (
                "http://t.example/token",
                None,
                Tls::Plain,
                "http://t.example/token?scope=repository%3Aa%2Fb%3Apull",
            ),
        ] {
            let challenge =
                Challenge { realm: realm.to_owned(), service: service.map(str::to_owned) };
            assert_eq!(token_url(&challenge, &repository, tls).unwrap(), url);
        }
    }

    #[test]
    fn a_token_is_not_fetched_over_plain_http_unless_allowed() {
        let repository = Repository { registry: "r.example".to_owned(), name: "a".to_owned() };
        for realm in ["http://t.example/token", "/token", "ftp://t.example"] {
            let challenge = Challenge { realm: realm.to_owned(), service: None };
            assert!(token_url(&challenge, &repository, Tls::Required).is_err(), "{realm}");
        }
    }
}
