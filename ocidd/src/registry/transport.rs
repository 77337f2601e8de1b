//! HTTP(S) requests: one agent with its time-outs, its certificate authorities and its rules for redirects. Knows no OCI.

use crate::plan::Tls;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use serde::Deserialize;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;
use ureq::Body;
use ureq::config::RedirectAuthHeaders;
use ureq::http;
use ureq::tls::Certificate;
use ureq::tls::PemItem;
use ureq::tls::RootCerts;
use ureq::tls::TlsConfig;

pub(crate) type Response = http::Response<Body>;

/// Where certificate authorities are read from.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// One PEM file with many certificates. It may be missing where the folder has some.
    pub bundle: PathBuf,
    /// A folder of PEM files that a site adds. It may be missing.
    pub folder: PathBuf,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a body may stand still.
const STALL_TIMEOUT: Duration = Duration::from_mins(1);
const MAX_REDIRECTS: u32 = 5;

#[derive(Debug)]
pub(crate) struct Transport {
    agent: Agent,
    tls: Tls,
}

impl Transport {
    pub(crate) fn new(tls: Tls, certificates: &CertificateFiles) -> Result<Self> {
        // Also for a registry that is reached over plain HTTP: its token server or its blob store may be reached over HTTPS.
        let roots = read_roots(certificates)?;
        if roots.is_empty() && tls == Tls::Required {
            bail!(
                "no certificate authorities in {} and {}; without them no registry can prove who it is",
                certificates.bundle.display(),
                certificates.folder.display()
            );
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls_config = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(provider)
            .root_certs(RootCerts::new_with_certs(&roots))
            .build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .https_only(tls == Tls::Required)
            .tls_config(tls_config)
            .user_agent(concat!("ocidd/", env!("CARGO_PKG_VERSION")))
            .max_redirects(MAX_REDIRECTS)
            // A blob store behind a registry has no business with the registry's token.
            .redirect_auth_headers(RedirectAuthHeaders::Never)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(ANSWER_TIMEOUT))
            .timeout_per_read(Some(STALL_TIMEOUT))
            .build();
        Ok(Self { agent: config.new_agent(), tls })
    }

    /// Gets `url`, whatever status comes back.
    pub(crate) fn get(
        &self,
        url: &str,
        accept: Option<&str>,
        authorization: Option<&str>,
    ) -> Result<Response> {
        let mut request = self.agent.get(url);
        for (name, value) in [("accept", accept), ("authorization", authorization)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        request.call().map_err(explain).with_context(|| format!("connecting to {}", host_of(url)))
    }

    pub(crate) fn tls(&self) -> Tls {
        self.tls
    }
}

/// Says what to do about an error where the cause is one an operator can remove.
fn explain(error: ureq::Error) -> anyhow::Error {
    let hint = match &error {
        ureq::Error::HostNotFound => {
            "is the name right, and does /etc/resolv.conf name a server that knows it?"
        }
        ureq::Error::TooManyRedirects => "the registry sends us round in circles",
        ureq::Error::RequireHttpsOnly(_) => {
            "the registry redirects to plain HTTP, which only oci.allow_no_tls allows"
        }
        other => tls_error(other).map(tls_hint).unwrap_or_default(),
    };
    let error = anyhow::Error::new(error);
    if hint.is_empty() { error } else { anyhow!("{error:#}; hint: {hint}") }
}

fn tls_error(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

fn tls_hint(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError as Bad;
    match error {
        // What a plain HTTP answer looks like to TLS.
        rustls::Error::InvalidMessage(_) => {
            "the registry does not speak TLS; oci.allow_no_tls allows plain HTTP"
        }
        // An authority that was made anew under its old name shows as a bad signature.
        rustls::Error::InvalidCertificate(Bad::UnknownIssuer | Bad::BadSignature) => {
            "put the PEM file of the site's certificate authority into /etc/ocidd/ca.d"
        }
        rustls::Error::InvalidCertificate(
            Bad::Expired
            | Bad::ExpiredContext { .. }
            | Bad::NotValidYet
            | Bad::NotValidYetContext { .. },
        ) => "is this machine's clock right?",
        _ => "",
    }
}

/// The scheme and authority of a URL, which is what a connection error is about.
fn host_of(url: &str) -> &str {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url
        .get(after_scheme..)
        .and_then(|rest| rest.find('/'))
        .map_or(url.len(), |at| after_scheme + at);
    url.get(..end).unwrap_or(url)
}

/// One line about an answer that is not what was asked for, with the registry's own words where it has some.
pub(crate) fn refusal(response: Response, registry: &str) -> String {
    /// Distribution spec, "Error Codes".
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<Error>,
    }
    #[derive(Deserialize)]
    struct Error {
        code: String,
        #[serde(default)]
        message: String,
    }
    let status = response.status();
    let body =
        response.into_body().into_with_config().limit(64 << 10).read_to_vec().unwrap_or_default();
    let said =
        serde_json::from_slice::<Errors>(&body).ok().and_then(|all| all.errors.into_iter().next());
    let said =
        said.map(|error| format!(" ({}: {})", error.code, error.message)).unwrap_or_default();
    let hint = match status.as_u16() {
        401 | 403 => "; hint: the repository may be private, or the name wrong",
        404 => "; hint: check repository and tag",
        _ => "",
    };
    format!("registry {registry} answered {status}{said}{hint}")
}

fn read_roots(files: &CertificateFiles) -> Result<Vec<Certificate<'static>>> {
    let mut roots = Vec::new();
    match fs::read(&files.bundle) {
        Ok(pem) => add_certificates(&pem, &files.bundle, &mut roots)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error)
                .with_context(|| format!("reading certificates from {}", files.bundle.display()));
        }
    }
    let entries = fs::read_dir(&files.folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        let pem = fs::read(&path)
            .with_context(|| format!("reading certificates from {}", path.display()))?;
        add_certificates(&pem, &path, &mut roots)?;
    }
    Ok(roots)
}

fn add_certificates(pem: &[u8], path: &Path, roots: &mut Vec<Certificate<'static>>) -> Result<()> {
    for item in ureq::tls::parse_pem(pem) {
        if let PemItem::Certificate(certificate) =
            item.with_context(|| format!("reading certificates from {}", path.display()))?
        {
            roots.push(certificate);
        }
    }
    Ok(())
}
