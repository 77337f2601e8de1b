//! Messages for people with a suggested action, and the hints for errors of the registry client.

use std::{fmt, time::SystemTime};

use oci::signature::SignatureError;
use registry::{Error, error::TlsFault};

/// A fact, and what to do about it. `Display` prints the hint on its own line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    pub message: String,
    pub hint: Option<String>,
}

impl Diagnostic {
    /// One line each, which can quote text of others.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: text::line(&message.into()), hint: Some(text::line(&hint.into())) }
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

const CREATE: &str =
    "create one with `openssl req -x509 … -addext basicConstraints=critical,CA:FALSE`";
const PORTAL: &str = "a proxy or a captive portal may be in between";

/// What hints name: the parameters of the installer or the flags of `ocidd image`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// The option that allows plain HTTP.
    pub plain_http: &'static str,
    /// How to select a platform.
    pub platform: &'static str,
    /// How to trust a certificate authority.
    pub add_authority: &'static str,
    /// How to trust the certificate of a server.
    pub add_server: &'static str,
    /// How to fix the clock.
    pub fix_clock: &'static str,
    pub auth_file: &'static str,
}

impl Terms {
    /// The suggested action for an error, if there is one.
    pub(crate) fn hint(&self, error: &Error) -> Option<String> {
        let Self { plain_http, add_authority, add_server, fix_clock, auth_file, .. } = self;
        Some(match error.root() {
            Error::Tls { fault: TlsFault::UnknownIssuer, .. } => (*add_authority).to_owned(),
            Error::Tls { fault: TlsFault::Authority, .. } => format!("{add_server}, or {CREATE}"),
            Error::Tls { fault: TlsFault::Time, .. } => {
                #[expect(clippy::disallowed_methods, reason = "the clock may be wrong")]
                let now = httpdate::fmt_http_date(SystemTime::now());
                format!("this machine's clock says {now}; if that is wrong, {fix_clock}")
            }
            Error::Tls { fault: TlsFault::Plain, .. } => {
                format!("the registry does not support TLS; {plain_http} allows plain HTTP")
            }
            Error::PlainHttp { .. } | Error::PlainRedirect { .. } | Error::PlainTokenServer => {
                format!("only {plain_http} allows plain HTTP")
            }
            Error::TooManyRedirects { .. } => "the registry redirects in a circle".to_owned(),
            Error::Status(error) if error.is_about_login() => {
                format!("the repository may be private (logins: {auth_file}), or its name wrong")
            }
            Error::Status(error) if error.status == 404 => "check repository and tag".to_owned(),
            Error::LoginRequired { .. } | Error::Credentials(_) => format!(
                "put user and password into {auth_file}, in the format of docker's config.json"
            ),
            Error::CredentialHelper { .. } => "write the login itself into its auths".to_owned(),
            Error::WebPage { .. } => PORTAL.to_owned(),
            Error::RequestTooLarge { .. } => "use a smaller --chunk-size".to_owned(),
            Error::DeleteUnsupported { .. } => "the operator has to enable deletion".to_owned(),
            Error::TagDeleteUnsupported { .. } => {
                "name the image by its digest, which `ocidd image inspect` prints".to_owned()
            }
            Error::NestedIndex { .. } => "name a manifest by its digest".to_owned(),
            Error::Unsigned { .. } => "sign it with `cosign sign --key`".to_owned(),
            Error::InvalidSignature { unsupported: Some(kind), .. } => match kind {
                SignatureError::Ed25519ph(_) => "sign it with an ECDSA P-256 key".to_owned(),
                _ => "sign it with `cosign sign --key`".to_owned(),
            },
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
            Error::NoStore => "name the store with --store DIR".to_owned(),
            Error::ForeignEntries { .. } => {
                "check and sign these images, or sign all entries with --sign-foreign".to_owned()
            }
            Error::NotAnIndex(_) => "choose another tag, or push without --platform".to_owned(),
            Error::Oci(error) => return self.document_hint(error),
            // A test lists all errors.
            _ => return connection_hint(error),
        })
    }

    fn document_hint(&self, error: &oci::Error) -> Option<String> {
        let Self { plain_http, platform, .. } = self;
        Some(match error {
            oci::Error::WebPage(_) => PORTAL.to_owned(),
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
            oci::Error::LayoutIndex { .. } => {
                "name another layout (--store), or delete this one and create it again".to_owned()
            }
            oci::Error::Scheme { .. } => {
                format!("remove the scheme; {plain_http} allows plain HTTP")
            }
            _ => return None,
        })
    }
}

fn connection_hint(error: &Error) -> Option<String> {
    Some(match error.root() {
        Error::HostNotFound { host, servers, .. } if servers.is_empty() => {
            format!("set a nameserver in /etc/resolv.conf to look up '{host}', or check DHCP")
        }
        Error::HostNotFound { host, servers, .. } => {
            format!("check the name '{host}', and that {} know it", servers.join(" and "))
        }
        Error::Proxy { status: 407, .. } => {
            "put user and password into the URL of the proxy: http://user:password@host:port"
                .to_owned()
        }
        Error::Proxy { .. } => {
            "check the rules of the proxy, or reach the host without it by no_proxy".to_owned()
        }
        Error::ProxyNoTls { .. } => "use http:// in the URL of the proxy".to_owned(),
        _ => return None,
    })
}
