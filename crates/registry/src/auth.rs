//! Answers authentication challenges with a token, fetched with or without a login (distribution's
//! "Token Authentication Specification" and "Oauth2 Token Authentication"), or with the login
//! itself. No error contains a secret, whatever the server sends.

use base64::Engine as _;
use oci::{BASE64, reference::Repository};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use ureq::http::{Method, Uri};

pub use crate::endpoint::Access;
use crate::{
    credentials::{Login, Proof, Secret, is_printable, without_content},
    endpoint::Endpoint,
    error::{During as _, Error, Result, StatusError},
    http::{Response, SMALL_BODY_BYTES, Tls, read_body},
    url::{with_query, without_user_info},
};

/// One way to authenticate that a registry offers (RFC 9110, 11.6.1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Challenge {
    pub scheme: String,
    /// Names in lower case, and values.
    params: Vec<(String, String)>,
}

impl Challenge {
    fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Parses the values of `WWW-Authenticate` headers. Values without quotes, more blanks and
/// semicolons are accepted; a header that is still invalid is ignored.
pub fn challenges(headers: &[&str]) -> Vec<Challenge> {
    headers.iter().filter_map(|header| parse_header(header)).flatten().collect()
}

fn parse_header(header: &str) -> Option<Vec<Challenge>> {
    let mut found: Vec<Challenge> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches(SEPARATORS);
        if rest.is_empty() {
            return Some(found);
        }
        let (name, after) = split_before(rest, |c| c == '=' || SEPARATORS.contains(&c));
        if let Some(value) = after.trim_start().strip_prefix('=') {
            let (value, after) = parse_value(value.trim_start())?;
            found.last_mut()?.params.push((name.to_ascii_lowercase(), value));
            rest = after;
        } else {
            found.push(Challenge { scheme: name.to_owned(), params: Vec::new() });
            rest = after;
        }
    }
}

const SEPARATORS: [char; 4] = [' ', '\t', ',', ';'];

/// A value, with or without quotes, and what follows it. `None` if a quote is not closed.
fn parse_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = split_before(text, |c| SEPARATORS.contains(&c));
        return Some((value.to_owned(), rest));
    };
    let (mut value, mut chars) = (String::new(), quoted.chars());
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(chars.next()?),
            other => value.push(other),
        }
    }
}

fn split_before(text: &str, is_end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(is_end).unwrap_or(text.len()))
}

/// The challenge to answer. A token is preferred to a password, which every request would repeat.
/// The error names what is offered.
fn choose<'a>(offered: &'a [Challenge], headers: &[&str]) -> Result<&'a Challenge> {
    let is_bearer = |it: &&Challenge| it.is("bearer") && it.param("realm").is_some();
    let chosen = offered.iter().find(is_bearer);
    if let Some(chosen) = chosen.or_else(|| offered.iter().find(|it| it.is("basic"))) {
        return Ok(chosen);
    }
    let schemes: Vec<&str> = offered.iter().map(|it| it.scheme.as_str()).collect();
    let headers = headers.join("', '");
    Err(Error::Challenge(match schemes.as_slice() {
        [] if headers.is_empty() => {
            "the registry answered 401 Unauthorized without a challenge".to_owned()
        }
        [] => format!("invalid WWW-Authenticate header '{headers}'"),
        _ if offered.iter().any(|it| it.is("bearer")) => {
            format!("the registry requires a token without a realm: '{headers}'")
        }
        schemes => format!(
            "the registry requires authentication by {}; supported are Bearer and Basic",
            schemes.join(" or ")
        ),
    }))
}

/// A token server answers with either name.
#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Endpoint {
    /// The value of an `Authorization` header that answers one of the challenges. Without a
    /// login, an anonymous token is requested. Secrets are sent over HTTPS, or over plain HTTP if
    /// the client allows that.
    pub(crate) fn authorize(&mut self, challenges: &[String]) -> Result<Secret> {
        let texts: Vec<&str> = challenges.iter().map(String::as_str).collect();
        let offered = self::challenges(&texts);
        let challenge = choose(&offered, &texts)?;
        self.login = self.credentials.login_for(&self.repository)?;
        let registry = self.repository.registry.clone();
        let realm = challenge.param("realm").unwrap_or_default();
        match &self.login {
            Some(Login { proof: Proof::RegistryToken(token), .. }) if challenge.is("bearer") => {
                Ok(Secret::new(format!("Bearer {}", token.expose())))
            }
            _ if challenge.is("bearer") => self
                .fetch_token(realm, challenge)
                .during(|| format!("fetching a token from {}", without_user_info(realm))),
            Some(Login { proof: Proof::Password { user, password }, .. }) => {
                Ok(basic(user, password))
            }
            Some(login) => Err(Error::LoginRejected(format!(
                "registry {registry} requires a user and a password, {login} is neither"
            ))),
            None => Err(Error::LoginRequired { registry }),
        }
    }

    fn fetch_token(&self, realm: &str, challenge: &Challenge) -> Result<Secret> {
        check_realm(realm, self.client.tls())?;
        let query = parameters(challenge, self.access, &self.repository, "&scope=");
        let url = with_query(realm, &query);
        let get = |headers: &_| self.client.follow(&Method::GET, &url, headers);
        let response = match self.login.as_ref().map(|login| &login.proof) {
            Some(Proof::IdentityToken(token)) => {
                let token = escape(token.expose());
                let query = parameters(challenge, self.access, &self.repository, "%20");
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
        let body = match read_body(response, SMALL_BODY_BYTES, "the answer") {
            Err(error @ Error::TooLarge { .. }) => Err(Error::TokenAnswer(error.to_string())),
            body => body,
        }?;
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|error| Error::TokenAnswer(without_content(&error)))?;
        match answer.token.or(answer.access_token) {
            Some(token) if is_printable(&token) => Ok(Secret::new(format!("Bearer {token}"))),
            Some(_) => Err(Error::TokenAnswer("its token is not printable".to_owned())),
            None => Err(Error::TokenAnswer("the answer contains no token".to_owned())),
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
        StatusError::without_body(format!("showing {login}: the token server"), status, true).into()
    }
}

fn check_realm(realm: &str, tls: Tls) -> Result<()> {
    let invalid = || {
        let url = without_user_info(realm);
        Error::Challenge(format!("the token server's URL '{url}' is invalid"))
    };
    let url: Uri = realm.parse().map_err(|_reason| invalid())?;
    match url.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if tls == Tls::Plain => Ok(()),
        Some("http") => Err(Error::PlainTokenServer),
        _ => Err(invalid()),
    }
}

/// Service and scopes of a token, for a query or a form (distribution's "Token Scope
/// Documentation"). The registry may know the repository by another name than its reference, so
/// the challenge's scopes come first unless ours includes them.
fn parameters(
    challenge: &Challenge,
    access: Access,
    repository: &Repository,
    separator: &str,
) -> String {
    let actions = match access {
        Access::Pull => "pull",
        Access::Push => "pull,push",
        Access::Delete => "pull,delete",
    };
    let resource = format!("repository:{}:", repository.name);
    let is_ours = |scope: &&str| {
        let mut wanted = scope.strip_prefix(&resource).into_iter().flat_map(|it| it.split(','));
        scope.starts_with(&resource) && wanted.all(|it| actions.split(',').any(|ours| ours == it))
    };
    let theirs = challenge.param("scope").unwrap_or_default().split_ascii_whitespace();
    let ours = format!("{resource}{actions}");
    let scopes = theirs.filter(|scope| !is_ours(scope)).chain([ours.as_str()]).map(escape);
    let scopes = scopes.collect::<Vec<_>>().join(separator);
    match challenge.param("service") {
        Some(service) => format!("service={}&scope={scopes}", escape(service)),
        None => format!("scope={scopes}"),
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
    fn requests_the_scope_of_the_challenge_and_its_own() {
        let ours = "scope=repository%3Aa%2Fb%3Apull";
        for (challenge, access, wanted) in [
            (r#"service="r s&x""#, Access::Pull, format!("service=r%20s%26x&{ours}")),
            ("", Access::Pull, ours.to_owned()),
            (r#"scope="repository:a/b:pull""#, Access::Pull, ours.to_owned()),
            (r#"scope="repository:a/b:pull""#, Access::Push, format!("{ours}%2Cpush")),
            (
                r#"scope="repository:a/b:pull,push""#,
                Access::Pull,
                format!("scope=repository%3Aa%2Fb%3Apull%2Cpush&{ours}"),
            ),
            (
                r#"scope="repository:b:pull""#,
                Access::Pull,
                format!("scope=repository%3Ab%3Apull&{ours}"),
            ),
            (
                r#"scope="repository:b:pull registry:catalog:*""#,
                Access::Pull,
                format!("scope=repository%3Ab%3Apull&scope=registry%3Acatalog%3A%2A&{ours}"),
            ),
        ] {
            let challenge = challenges(&[&format!("Bearer {challenge}")]).remove(0);
            let query = parameters(&challenge, access, &repository(), "&scope=");
            assert_eq!(query, wanted, "{challenge:?}");
        }
    }

    #[test]
    fn adds_a_query_to_the_realm() {
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

    fn chosen(headers: &[&str]) -> Result<Challenge> {
        choose(&challenges(headers), headers).cloned()
    }

    const URL: &str = "https://auth.example/token";

    #[test]
    fn prefers_a_token_to_a_password() {
        for (headers, service) in [
            (
                &[r#"Bearer realm="URL",service="reg",scope="repository:os:pull,push""#][..],
                Some("reg"),
            ),
            (&[r#"bearer REALM="URL""#], None),
            (&[r#"Basic realm="x", Bearer realm="URL",service="a \"b\", c""#], Some(r#"a "b", c"#)),
            (&[r#"Basic realm="x""#, r#"Bearer realm="URL""#], None),
            (&["Negotiate YIIFzQYGKwYBBQUC==", r#"Bearer realm="URL""#], None),
            (&[r#"Negotiate YIIFzQYGKwYBBQUC==, Bearer realm="URL""#], None),
            (&["Bearer realm=URL,service=x"], Some("x")),
            (&["Bearer realm=URL, service=x , scope=repository:os:pull"], Some("x")),
            (&[r#"Bearer   realm="URL""#], None),
            (&["Bearer\trealm=\"URL\""], None),
            (&[r#"Bearer realm = "URL" , service = "x y""#], Some("x y")),
            (&[r#"Bearer realm="URL";service="x""#], Some("x")),
            (&[r#" , ,Bearer realm="URL",,service="x","#], Some("x")),
            (&[r#"Bearer realm="x"#, r#"Bearer realm="URL""#], None),
            (&[r#"Bearer service="y""#, r#"Bearer realm="URL""#], None),
            (&[r#"realm="x""#, r#"Bearer realm="URL""#], None),
        ] {
            let headers: Vec<_> = headers.iter().map(|text| text.replace("URL", URL)).collect();
            let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
            let challenge = chosen(&headers).unwrap();
            assert!(challenge.is("bearer"), "{headers:?}");
            let found = (challenge.param("realm"), challenge.param("service"));
            assert_eq!(found, (Some(URL), service), "{headers:?}");
        }
        for headers in [
            &[r#"Basic realm="x""#][..],
            &["Negotiate", r#"basic realm="x", charset="UTF-8""#],
            &["Basic"],
            &["Bearer", "Basic realm=x"],
        ] {
            assert!(chosen(headers).unwrap().is("basic"), "{headers:?}");
        }
    }

    #[test]
    fn names_unsupported_challenges() {
        for (headers, fault) in [
            (&[][..], "without a challenge"),
            (
                &[r#"Digest realm="x", nonce="y""#, "Negotiate"],
                "requires authentication by Digest or Negotiate; supported are Bearer and Basic",
            ),
            (&[r#"Bearer service="x""#], "requires a token without a realm"),
            (&[r#"Bearer realm="x"#], "invalid WWW-Authenticate header"),
            (&[r#"realm="x""#], "invalid WWW-Authenticate header"),
        ] {
            let error = chosen(headers).unwrap_err().to_string();
            assert!(error.contains(fault), "{error}");
        }
    }
}
