//! Messages for people with a suggested action, and the hints for errors of the registry client.

use std::{fmt, time::SystemTime};

use registry::{Error, error::CertificateFault};

/// A fact, and what to do about it. `Display` prints the hint on its own line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    pub message: String,
    pub hint: Option<String>,
}

impl Diagnostic {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()) }
    }
}

/// An error without a hint, with its sources.
impl<E: Into<anyhow::Error>> From<E> for Diagnostic {
    fn from(error: E) -> Self {
        Self { message: format!("{:#}", error.into()), hint: None }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\nhint: {hint}"))
    }
}

/// What hints name: the parameters of the installer or the flags of `ocidd image`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// The option that allows plain HTTP.
    pub plain_http: &'static str,
    /// How to select a platform.
    pub platform: &'static str,
    /// How to trust a certificate authority.
    pub add_authority: &'static str,
    /// How to fix the clock.
    pub fix_clock: &'static str,
    pub auth_file: &'static str,
}

impl Terms {
    /// The suggested action for an error, if there is one.
    pub(crate) fn hint(&self, error: &Error) -> Option<String> {
        let Self { plain_http, add_authority, fix_clock, auth_file, .. } = self;
        Some(match error.root() {
            Error::HostNotFound { .. } => {
                "check the name, and that a server in /etc/resolv.conf knows it".to_owned()
            }
            Error::Certificate { fault: CertificateFault::UnknownIssuer, .. } => {
                (*add_authority).to_owned()
            }
            Error::Certificate { fault: CertificateFault::Time, .. } => {
                #[expect(clippy::disallowed_methods, reason = "the clock may be wrong")]
                let now = httpdate::fmt_http_date(SystemTime::now());
                format!("this machine's clock says {now}; if that is wrong, {fix_clock}")
            }
            Error::NoTls { .. } => {
                format!("the registry does not support TLS; {plain_http} allows plain HTTP")
            }
            Error::PlainHttp { .. } | Error::PlainRedirect { .. } | Error::PlainTokenServer => {
                format!("only {plain_http} allows plain HTTP")
            }
            Error::TooManyRedirects { .. } => "the registry redirects in a circle".to_owned(),
            Error::Status(error) => match error.status.as_u16() {
                401 | 403 => format!(
                    "the repository may be private (logins: {auth_file}), or its name wrong"
                ),
                404 => "check repository and tag".to_owned(),
                _ => return None,
            },
            Error::LoginRequired { .. } => format!(
                "put user and password into {auth_file}, in the format of docker's config.json"
            ),
            Error::CredentialHelper { .. } => "write the login itself into its auths".to_owned(),
            Error::WebPage { .. } | Error::Oci(oci::Error::WebPage(_)) => {
                "a proxy or a captive portal may be in between".to_owned()
            }
            Error::RequestTooLarge { .. } => "use a smaller --chunk-size".to_owned(),
            Error::DeleteUnsupported { .. } => "the operator has to enable deletion".to_owned(),
            Error::TagDeleteUnsupported { .. } => {
                "name the image by its digest, which `ocidd image inspect --remote` prints"
                    .to_owned()
            }
            Error::NestedIndex { .. } => "name a manifest by its digest".to_owned(),
            Error::Unsigned { .. } => "sign it with `cosign sign --key`".to_owned(),
            Error::InvalidSignature { has_bundle: true, .. } => {
                "sign it with `cosign sign --new-bundle-format=false`".to_owned()
            }
            Error::NotInRegistry { repository, .. } => {
                format!("`ocidd image list {repository}` prints the tags")
            }
            Error::NotInLayout { directory, .. } => {
                format!("`ocidd image --store {} list` prints the names", directory.display())
            }
            Error::SeveralImages { directory, .. } => {
                format!("name one of them: oci:{}:NAME", directory.display())
            }
            Error::NoDirectory(_) => "write oci:DIRECTORY:NAME".to_owned(),
            Error::ReferrersTag { .. } => "delete the tag".to_owned(),
            Error::NoStore => "name the store with --store DIR".to_owned(),
            _ => return self.document_hint(error),
        })
    }

    fn document_hint(&self, error: &Error) -> Option<String> {
        let Self { plain_http, platform, .. } = self;
        let error = match error.root() {
            Error::Oci(error) => error,
            Error::ForeignEntries { .. } => {
                let text = "check and sign these images, or sign all entries with --sign-foreign";
                return Some(text.to_owned());
            }
            Error::NotAnIndex(_) => {
                return Some("choose another tag, or push without --platform".to_owned());
            }
            _ => return None,
        };
        Some(match error {
            oci::Error::NoDisk { .. } => {
                "push the disk image as application/octet-stream+gzip".to_owned()
            }
            oci::Error::NoMatch { has_platforms: true, .. } => {
                format!("{platform} selects another")
            }
            oci::Error::NoMatch { .. } | oci::Error::SeveralMatches { .. } => {
                "name a manifest by its digest".to_owned()
            }
            oci::Error::Nested(_) => "push it without --platform".to_owned(),
            oci::Error::AmbiguousDigits { .. } => "use more digits".to_owned(),
            oci::Error::InUse(_) => "wait until it ends".to_owned(),
            oci::Error::Scheme { .. } => {
                format!("remove the scheme; {plain_http} allows plain HTTP")
            }
            _ => return None,
        })
    }
}
