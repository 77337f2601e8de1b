//! `WWW-Authenticate` headers, taken apart (RFC 9110, 11.6.1; distribution's "Token Authentication Specification"). Pure.

use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use ureq::http::HeaderMap;

/// What a registry wants to be shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Challenge {
    /// A token, with a login or without.
    Bearer {
        /// The token server's URL.
        realm: String,
        service: Option<String>,
    },
    /// User and password with every request. Its realm is a name for people, and tells a program nothing.
    Basic,
}

/// The best of the ways an answer offers: a token rather than a password, which it would see again and again. An error names what else is offered.
pub fn from_headers(headers: &HeaderMap) -> Result<Challenge> {
    let values = headers.get_all("www-authenticate");
    let texts: Vec<&str> = values.iter().filter_map(|value| value.to_str().ok()).collect();
    parse(&texts)
}

/// Parses the values of `WWW-Authenticate` headers.
pub fn parse(texts: &[&str]) -> Result<Challenge> {
    let mut offered = Vec::new();
    for text in texts {
        let challenges = http_auth::parse_challenges(text).map_err(|_garbled| {
            anyhow!("the registry asks for a login as '{text}', which is garbled")
        })?;
        for challenge in challenges {
            if challenge.scheme.eq_ignore_ascii_case("bearer") {
                let param = |name: &str| {
                    challenge
                        .params
                        .iter()
                        .find(|(key, _)| key.eq_ignore_ascii_case(name))
                        .map(|(_, value)| value.to_unescaped())
                };
                let realm = param("realm").ok_or_else(|| {
                    anyhow!("the registry asks for a token and does not say where from: '{text}'")
                })?;
                return Ok(Challenge::Bearer { realm, service: param("service") });
            }
            offered.push(challenge.scheme.to_owned());
        }
    }
    if offered.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic")) {
        return Ok(Challenge::Basic);
    }
    if offered.is_empty() {
        bail!("the registry answered 401 Unauthorized without saying how to log in");
    }
    bail!("the registry wants a login by {}; ocidd knows Bearer and Basic", offered.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_preferred_to_a_password() {
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
            assert_eq!(parse(&texts).unwrap(), challenge, "{texts:?}");
        }
    }

    #[test]
    fn tells_why_there_is_no_way_in() {
        for (texts, fault) in [
            (vec![], "without saying how"),
            (
                vec![r#"Digest realm="x", nonce="y""#, "Negotiate"],
                "wants a login by Digest or Negotiate; ocidd knows Bearer and Basic",
            ),
            (vec![r#"Bearer service="x""#], "does not say where from"),
            (vec![r#"Bearer realm="x"#], "garbled"),
        ] {
            let error = parse(&texts).unwrap_err().to_string();
            assert!(error.contains(fault), "{error}");
        }
    }
}
