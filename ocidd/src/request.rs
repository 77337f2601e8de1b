//! The command line of ocidd: help, version, or an install with checked parameters. Pure.

use params::{Options, ParameterError, parse_parameters};
use registry::proxy::Proxies;

/// What the command line requests.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    Help,
    Version,
    Install(Box<Options>),
}

/// Parses parameters and flags in order, and returns every error.
pub fn parse_request(
    arguments: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<Request, Vec<ParameterError>> {
    let arguments: Vec<_> = arguments.into_iter().collect();
    for argument in &arguments {
        match argument.as_ref() {
            "--help" | "-h" => return Ok(Request::Help),
            "--version" | "-V" => return Ok(Request::Version),
            _ => {}
        }
    }
    let (options, mut errors) = parse_parameters(&arguments);
    errors.extend(arguments.iter().filter_map(|argument| check_proxy(argument.as_ref())));
    if errors.is_empty() { Ok(Request::Install(Box::new(options))) } else { Err(errors) }
}

/// Checked here because `params` does not know the HTTP client.
fn check_proxy(argument: &str) -> Option<ParameterError> {
    let (key, value) = argument.split_once('=')?;
    let key = ["http_proxy", "https_proxy", "no_proxy"].into_iter().find(|proxy| *proxy == key)?;
    // An empty value overrides the site file.
    let value = Some(value).filter(|value| !value.is_empty())?;
    let (entry, expected) = Proxies::default().set(key, value).err()?;
    Some(match entry {
        "" => ParameterError::InvalidSecret { key, expected },
        _ => ParameterError::Invalid { key, value: entry.into(), expected },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_help_and_version_anywhere() {
        assert_eq!(parse_request(["quiet", "--help", "oci.tga"]), Ok(Request::Help));
        assert_eq!(parse_request(["-V"]), Ok(Request::Version));
    }

    #[test]
    fn rejects_invalid_proxies_without_showing_them() {
        for key in ["http_proxy", "https_proxy"] {
            for url in ["ftp://user:secret@p", "socks5://user:secret@p:1080", "http://:secret@"] {
                let errors = parse_request([&*format!("{key}={url}"), "wait=perhaps"]).unwrap_err();
                let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
                let expected = format!(
                    "{key}: invalid value, expected a URL such as http://host:port; supported \
                     schemes are http and https"
                );
                assert_eq!(errors.len(), 2, "{errors:?}");
                assert_eq!(errors[1], expected);
            }
            assert!(matches!(parse_request([format!("{key}=")]), Ok(Request::Install(_))));
        }
    }

    #[test]
    fn names_invalid_exceptions_of_proxies() {
        let errors = parse_request(["no_proxy=localhost, 10.0.0.0/33,.lan"]).unwrap_err();
        let text = errors[0].to_string();
        assert!(text.starts_with("no_proxy: invalid value '10.0.0.0/33', expected "), "{text}");
        assert!(matches!(parse_request(["no_proxy=10.0.0.0/8, .lan"]), Ok(Request::Install(_))));
    }
}
