//! Parses parameters by the table. Pure.

use text::Foreign;
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
    Unknown { key: Foreign, suggestion: String },
    #[error("{key}: missing value, expected {expected}")]
    Missing { key: &'static str, expected: &'static str },
    #[error("{key}: invalid value '{value}', expected {expected}")]
    Invalid { key: &'static str, value: Foreign, expected: &'static str },
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
        let unknown = || ParameterError::Unknown { key: key.into(), suggestion: suggest(key) };
        is_ours(key).then(unknown)
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
        _ => ParameterError::Invalid { key, value: without_user_info(value).into(), expected },
    })
}

/// A URL or a host without its user info, which can contain a password.
fn without_user_info(value: &str) -> String {
    let Some((user_info, host)) = value.rsplit_once('@') else { return value.to_owned() };
    let scheme = user_info.split_once("://").map_or(String::new(), |(it, _)| format!("{it}://"));
    format!("{scheme}…@{host}")
}

/// Warnings for parameters that are ignored but at most one edit away from a known one.
pub fn find_misspelled(parameters: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
    let warn = |parameter: &str| {
        let key = parameter.split_once('=').map_or(parameter, |(key, _)| key);
        let mut known = PARAMETERS.iter().map(Parameter::key);
        let is_ignored = !is_ours(key) && known.clone().all(|known| known != key);
        let key_folded = key.to_ascii_lowercase();
        let best = known.find(|known| strsim::osa_distance(known, &key_folded) <= 1)?;
        let key = Foreign::from(key);
        is_ignored.then(|| format!("the parameter '{key}' is ignored; it is similar to '{best}'"))
    };
    parameters.into_iter().filter_map(|parameter| warn(parameter.as_ref())).collect()
}

fn is_ours(key: &str) -> bool {
    PREFIXES.iter().any(|prefix| key.starts_with(prefix))
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
