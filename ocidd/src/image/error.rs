//! The error of the subcommands.

use crate::diagnostic::Diagnostic;
use crate::diagnostic::Terms;

pub(super) type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the registry client, for which there may be a hint, or another one.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Registry(#[from] registry::Error),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// The names in hints of `ocidd image`.
const TERMS: Terms = Terms {
    plain_http: "--plain-http",
    add_authority: "name the PEM file of the site's certificate authority by --ca-file",
    fix_clock: "fix the clock",
    auth_file: "the file that --authfile names",
};

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        match error {
            Error::Registry(error) => Self { message: error.to_line(), hint: TERMS.hint(&error) },
            Error::Other(error) => {
                let message = format!("{error:#}").replace("oci.platform=", "--platform ");
                Self { message, hint: None }
            }
        }
    }
}
