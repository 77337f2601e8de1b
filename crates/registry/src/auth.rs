//! Answers authentication challenges with a token, fetched with or without a login (distribution's
//! "Token Authentication Specification" and "Oauth2 Token Authentication"), or with the login
//! itself. No error contains a secret, whatever the server sends.

use base64::Engine as _;
use oci::{BASE64, reference::Repository};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use ureq::http::{HeaderMap, Method, Uri};

pub use crate::endpoint::Access;
use crate::{
    credentials::{Login, Proof, Secret, without_content},
    endpoint::Endpoint,
    error::{During as _, Error, Result, StatusError},
    http::{Response, SMALL_BODY_BYTES, Tls, with_query},
};

/// The authentication that a registry requires.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Challenge {
    /// A token, with a login or without.
    Bearer {
        /// The token server's URL.
        realm: String,
        service: Option<String>,
    },
    /// User and password with every request. Its realm is only a label.
    Basic,
}

/// Parses the values of `WWW-Authenticate` headers (RFC 9110, 11.6.1) and chooses one. A token is
/// preferred to a password, which every request would repeat. Errors name what is offered.
pub fn parse_challenges(texts: &[&str]) -> Result<Challenge> {
    let invalid = |text: String| Err(Error::Unusable(text));
    let mut offered = Vec::new();
    for text in texts {
        let Ok(challenges) = http_auth::parse_challenges(text) else {
            return invalid(format!("invalid WWW-Authenticate header '{text}'"));
        };
        for challenge in challenges {
            if !challenge.scheme.eq_ignore_ascii_case("bearer") {
                offered.push(challenge.scheme.to_owned());
                continue;
            }
            let param = |name: &str| {
                let mut params = challenge.params.iter();
                let found = params.find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.to_unescaped())
            };
            let Some(realm) = param("realm") else {
                return invalid(format!("the registry requires a token without a realm: '{text}'"));
            };
            return Ok(Challenge::Bearer { realm, service: param("service") });
        }
    }
    if offered.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic")) {
        return Ok(Challenge::Basic);
    }
    if offered.is_empty() {
        return invalid("the registry answered 401 Unauthorized without a challenge".to_owned());
    }
    invalid(format!(
        "the registry requires authentication by {}; supported are Bearer and Basic",
        offered.join(" or ")
    ))
}

/// A token server answers with either name.
#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Endpoint {
    /// The value of an `Authorization` header that answers the challenge in `headers`. Without a
    /// login, an anonymous token is requested. Secrets are sent over HTTPS, or over plain HTTP if
    /// the client allows that.
    pub(crate) fn authorize(&mut self, headers: &HeaderMap) -> Result<Secret> {
        let values = headers.get_all("www-authenticate");
        let texts: Vec<&str> = values.iter().filter_map(|value| value.to_str().ok()).collect();
        let challenge = parse_challenges(&texts)?;
        self.login = self.credentials.login_for(&self.repository)?;
        let registry = self.repository.registry.clone();
        match (challenge, &self.login) {
            (Challenge::Bearer { .. }, Some(Login { proof: Proof::RegistryToken(token), .. })) => {
                Ok(Secret::new(format!("Bearer {}", token.expose())))
            }
            (Challenge::Bearer { realm, service }, _) => self
                .fetch_token(&realm, service.as_deref())
                .during(|| format!("fetching a token from {realm}")),
            (Challenge::Basic, Some(Login { proof: Proof::Password { user, password }, .. })) => {
                Ok(basic(user, password))
            }
            (Challenge::Basic, Some(login)) => Err(Error::LoginRejected(format!(
                "registry {registry} requires a user and a password, {login} is neither"
            ))),
            (Challenge::Basic, None) => Err(Error::LoginRequired { registry }),
        }
    }

    fn fetch_token(&self, realm: &str, service: Option<&str>) -> Result<Secret> {
        check_realm(realm, self.client.tls())?;
        let query = parameters(service, self.access, &self.repository);
        let url = with_query(realm, &query);
        let get = |headers: &_| self.client.follow(&Method::GET, &url, headers);
        let response = match self.login.as_ref().map(|login| &login.proof) {
            Some(Proof::IdentityToken(token)) => {
                let token = escape(token.expose());
                let form = format!(
                    "grant_type=refresh_token&{query}&client_id=ocidd&refresh_token={token}"
                );
                self.client.post(realm, "application/x-www-form-urlencoded", &form)?
            }
            Some(Proof::Password { user, password }) => {
                get(&[("authorization", basic(user, password).expose())])?
            }
            // A registry's token is never sent to a token server.
            Some(Proof::RegistryToken(_)) | None => get(&[])?,
        };
        if response.status() != 200 {
            return Err(self.token_rejected(response));
        }
        let body = response.into_body().into_with_config().limit(SMALL_BODY_BYTES).read_to_vec();
        let bytes = body.map_err(|error| Error::Unusable(error.to_string()))?;
        let answer: Answer =
            serde_json::from_slice(&bytes).map_err(|error| without_content(&error))?;
        match answer.token.or(answer.access_token) {
            Some(token) => Ok(Secret::new(format!("Bearer {token}"))),
            None => Err(Error::Unusable("the answer contains no token".to_owned())),
        }
    }

    /// After a login was sent, the error has the status only: the body could repeat a secret.
    fn token_rejected(&self, response: Response) -> Error {
        let status = response.status();
        let Some(login) = &self.login else { return self.rejected(response) };
        // 400 is OAuth's answer to an invalid refresh token (RFC 6749, 5.2).
        if matches!(status.as_u16(), 401 | 403)
            || (status == 400 && matches!(login.proof, Proof::IdentityToken(_)))
        {
            return Error::LoginRejected(format!("the token server rejected {login} ({status})"));
        }
        StatusError::without_body(format!("showing {login}: the token server"), status).into()
    }
}

fn check_realm(realm: &str, tls: Tls) -> Result<()> {
    let realm: Uri = realm.parse().map_err(|error: ureq::http::uri::InvalidUri| {
        Error::Unusable(format!("reading the token server's URL: {error}"))
    })?;
    match realm.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if tls == Tls::Plain => Ok(()),
        _ => Err(Error::PlainTokenServer),
    }
}

/// The scope of a token, for a query or a form (distribution's "Token Scope Documentation").
fn parameters(service: Option<&str>, access: Access, repository: &Repository) -> String {
    let actions = match access {
        Access::Pull => "pull",
        Access::Push => "pull,push",
        Access::Delete => "pull,delete",
    };
    let scope = escape(&format!("repository:{}:{actions}", repository.name));
    match service {
        Some(service) => format!("service={}&scope={scope}", escape(service)),
        None => format!("scope={scope}"),
    }
}

/// RFC 7617, 2.
fn basic(user: &str, password: &Secret) -> Secret {
    let pair = format!("{user}:{}", password.expose());
    Secret::new(format!("Basic {}", BASE64.encode(pair)))
}

/// Percent-encodes everything but unreserved characters (RFC 3986, 2.3).
fn escape(text: &str) -> String {
    const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, &RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> Repository {
        Repository { registry: "r.example".to_owned(), name: "a/b".to_owned() }
    }

    #[test]
    fn requests_a_token_for_this_repository() {
        for (service, wanted) in [
            (Some("r s&x"), "service=r%20s%26x&scope=repository%3Aa%2Fb%3Apull"),
            (None, "scope=repository%3Aa%2Fb%3Apull"),
        ] {
            assert_eq!(parameters(service, Access::Pull, &repository()), wanted);
        }
        for (realm, url) in [
            ("https://t.example/token", "https://t.example/token?scope=x"),
            ("https://t.example/?x=1", "https://t.example/?x=1&scope=x"),
        ] {
            assert_eq!(with_query(realm, "scope=x"), url);
        }
    }

    #[test]
    fn rejects_token_servers_over_plain_http() {
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
    fn encodes_basic_authentication() {
        for (user, password, header) in [
            ("Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ("test", "123\u{a3}", "Basic dGVzdDoxMjPCow=="),
        ] {
            assert_eq!(basic(user, &Secret::new(password.to_owned())).expose(), header);
        }
    }

    #[test]
    fn prefers_a_token_to_a_password() {
        let wanted = |service: Option<&str>| Challenge::Bearer {
            realm: "https://auth.example/token".to_owned(),
            service: service.map(str::to_owned),
        };
        for (texts, challenge) in [
            (
                vec![
                    r#"Bearer realm="https://auth.example/token",service="reg",scope="repository:os:pull""#,
                ],
                wanted(Some("reg")),
            ),
            (vec![r#"bearer REALM="https://auth.example/token""#], wanted(None)),
            (
                vec![
                    r#"Basic realm="x", Bearer realm="https://auth.example/token",service="a \"b\", c""#,
                ],
                wanted(Some(r#"a "b", c"#)),
            ),
            (
                vec![r#"Basic realm="x""#, r#"Bearer realm="https://auth.example/token""#],
                wanted(None),
            ),
            (vec![r#"Basic realm="x""#], Challenge::Basic),
            (vec!["Negotiate", r#"basic realm="x", charset="UTF-8""#], Challenge::Basic),
        ] {
            assert_eq!(parse_challenges(&texts).unwrap(), challenge, "{texts:?}");
        }
    }

    #[test]
    fn names_unsupported_challenges() {
        for (texts, fault) in [
            (vec![], "without a challenge"),
            (
                vec![r#"Digest realm="x", nonce="y""#, "Negotiate"],
                "requires authentication by Digest or Negotiate; supported are Bearer and Basic",
            ),
            (vec![r#"Bearer service="x""#], "requires a token without a realm"),
            (vec![r#"Bearer realm="x"#], "invalid WWW-Authenticate header"),
        ] {
            let error = parse_challenges(&texts).unwrap_err().to_string();
            assert!(error.contains(fault), "{error}");
        }
    }
}
