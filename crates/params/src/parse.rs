//! Parses parameters by the table. Pure.

use thiserror::Error;

use crate::{
    options::Options,
    table::{INIT_PARAMETERS, PARAMETERS, Parameter},
};

/// A parameter with one of these prefixes is rejected if it is unknown; others are ignored.
const PREFIXES: [&str; 3] = ["oci.", "dd.", "ocidd."];

/// Why a parameter is rejected.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ParameterError {
    #[error("unknown parameter '{key}', {suggestion}")]
    Unknown { key: String, suggestion: String },
    #[error("{key}: missing value, expected {expected}")]
    Missing { key: &'static str, expected: &'static str },
    #[error("{key}: invalid value '{value}', expected {expected}")]
    Invalid { key: &'static str, value: String, expected: &'static str },
    /// The value can contain a password.
    #[error("{key}: invalid value, expected {expected}")]
    InvalidSecret { key: &'static str, expected: &'static str },
}

/// Parses and checks all parameters (`key=value` or `key`) in order; the last of repeated ones wins.
/// A rejected parameter changes no option.
pub fn parse_parameters(
    parameters: impl IntoIterator<Item = impl AsRef<str>>,
) -> (Options, Vec<ParameterError>) {
    parse(parameters, &PARAMETERS, |key| {
        let is_ours = PREFIXES.iter().any(|prefix| key.starts_with(prefix));
        is_ours.then(|| ParameterError::Unknown { key: key.to_owned(), suggestion: suggest(key) })
    })
}

/// Like [`parse_parameters`], but only parses those of init and ignores all others.
pub fn parse_init_parameters(
    parameters: impl IntoIterator<Item = impl AsRef<str>>,
) -> (Options, Vec<ParameterError>) {
    parse(parameters, &INIT_PARAMETERS, |_| None)
}

fn parse(
    parameters: impl IntoIterator<Item = impl AsRef<str>>,
    table: &[Parameter],
    reject: impl Fn(&str) -> Option<ParameterError>,
) -> (Options, Vec<ParameterError>) {
    let mut options = Options::default();
    let mut errors = Vec::new();
    for parameter in parameters {
        let parameter = parameter.as_ref();
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        errors.extend(match table.iter().find(|known| known.key() == key) {
            Some(known) => apply(known, &mut options, value).err(),
            None => reject(key),
        });
    }
    (options, errors)
}

fn apply(known: &Parameter, options: &mut Options, value: &str) -> Result<(), ParameterError> {
    let key = known.key();
    (known.apply)(options, value).map_err(|expected| match value {
        "" => ParameterError::Missing { key, expected },
        _ => ParameterError::Invalid { key, value: value.to_owned(), expected },
    })
}

fn suggest(key: &str) -> String {
    let known = PARAMETERS.iter().map(Parameter::key);
    match known.clone().max_by(|a, b| strsim::jaro(a, key).total_cmp(&strsim::jaro(b, key))) {
        Some(best) if strsim::jaro(best, key) > 0.8 => format!("similar to '{best}'"),
        _ => format!("expected one of {}", known.collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests;
