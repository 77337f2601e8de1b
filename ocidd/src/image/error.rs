//! The error of the subcommands.

use crate::report::diagnostic::{Diagnostic, Terms};

pub(super) type Result<T, E = Error> = std::result::Result<T, E>;

/// The libraries' errors have hints, which depend on their variants.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Registry(#[from] registry::Error),
    #[error("{0}")]
    Diagnostic(Diagnostic),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl Error {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Diagnostic(Diagnostic::new(message, hint))
    }

    pub(super) fn into_diagnostic(self) -> Diagnostic {
        match self {
            Self::Registry(error) => {
                Diagnostic { message: error.to_line(), hint: TERMS.hint(&error) }
            }
            Self::Diagnostic(diagnostic) => diagnostic,
            Self::Other(error) => Diagnostic { message: format!("{error:#}"), hint: None },
        }
    }
}

impl From<oci::Error> for Error {
    fn from(error: oci::Error) -> Self {
        Self::Registry(error.into())
    }
}

/// The names in hints of `ocidd image`.
const TERMS: Terms = Terms {
    plain_http: "--plain-http",
    platform: "--platform OS/ARCHITECTURE",
    add_authority: "pass the PEM file of the site's certificate authority with --ca-file",
    fix_clock: "fix the clock",
    auth_file: "the file passed with --authfile",
};
