//! `WWW-Authenticate` headers, taken apart (RFC 9110, 11.6.1; distribution's "Token Authentication Specification"). Pure.

use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use ureq::http::HeaderMap;

/// Where an anonymous token is to be had.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Challenge {
    /// The token server's URL.
    pub(crate) realm: String,
    pub(crate) service: Option<String>,
}

/// The first bearer challenge of an answer, or an error that names the schemes offered instead.
pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Challenge> {
    let values = headers.get_all("www-authenticate");
    let texts: Vec<&str> = values.iter().filter_map(|value| value.to_str().ok()).collect();
    parse(&texts)
}

fn parse(texts: &[&str]) -> Result<Challenge> {
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
                return Ok(Challenge { realm, service: param("service") });
            }
            offered.push(challenge.scheme.to_owned());
        }
    }
    if offered.is_empty() {
        bail!("the registry answered 401 Unauthorized without saying how to log in");
    }
    bail!(
        "the registry wants a login by {}; only anonymous pulls are supported",
        offered.join(" or ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_bearer_challenge() {
        let wanted = |service: Option<&str>| Challenge {
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
        ] {
            assert_eq!(parse(&texts).unwrap(), challenge, "{texts:?}");
        }
    }

    #[test]
    fn tells_why_there_is_no_token_to_be_had() {
        for (texts, fault) in [
            (vec![], "without saying how"),
            (vec![r#"Basic realm="x""#], "wants a login by Basic; only anonymous"),
            (vec![r#"Bearer service="x""#], "does not say where from"),
            (vec![r#"Bearer realm="x"#], "garbled"),
        ] {
            let error = parse(&texts).unwrap_err().to_string();
            assert!(error.contains(fault), "{error}");
        }
    }
}
