//! The command line of ocidd: help, version, or an install with checked parameters. Pure.

use params::{Options, ParameterError, parse_parameters};

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
    let key = ["http_proxy", "https_proxy"].into_iter().find(|proxy| *proxy == key)?;
    // An empty value overrides the site file.
    let is_invalid = !value.is_empty() && registry::http::Proxy::new(value).is_err();
    let expected = "a URL such as http://host:port";
    is_invalid.then_some(ParameterError::InvalidSecret { key, expected })
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
            let proxy = format!("{key}=ftp://user:secret@p");
            let errors = parse_request([proxy.as_str(), "wait=perhaps"]).unwrap_err();
            let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
            let expected = format!("{key}: invalid value, expected a URL such as http://host:port");
            assert_eq!(errors.len(), 2, "{errors:?}");
            assert_eq!(errors[1], expected);
            assert!(matches!(parse_request([format!("{key}=")]), Ok(Request::Install(_))));
        }
    }
}
