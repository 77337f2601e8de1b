//! Settings of an author's program, and the clients, stores and logins that follow from them.

use std::{env, path::PathBuf, sync::Arc};

use oci::{layout::Store, reference::Repository};

use crate::{
    credentials::{Credentials, ask_helper},
    error::{Error, Result},
    http::{CertificateCheck, CertificateFiles, DEFAULT_TIMEOUT, Network, Tls},
    observer::Observer,
    retry::{Backoff, RetryPolicy},
};

/// The distributions' bundles of certificate authorities: Debian's, Fedora's, SUSE's.
const BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

/// Options of a session.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Directory of the local store. Default: `ocidd` in the XDG data directory.
    pub store: Option<PathBuf>,
    pub tls: Tls,
    pub certificates: CertificateCheck,
    /// Certificate authorities in PEM. Default: those of the machine.
    pub ca_file: Option<PathBuf>,
    /// Auth file. Default: those of podman and docker.
    pub auth_file: Option<PathBuf>,
    pub retry: RetryPolicy,
    /// Maximum number of bytes of a blob in one request. Default: 32 MiB.
    pub chunk_bytes: Option<u64>,
}

/// Settings, and the observer of all transfers.
#[derive(Debug)]
pub struct Session {
    pub settings: Settings,
    observer: Arc<dyn Observer>,
}

impl Session {
    pub fn new(settings: Settings, observer: Box<dyn Observer>) -> Self {
        Self { settings, observer: observer.into() }
    }

    /// Another session with the same observer.
    #[must_use]
    pub fn with(&self, settings: Settings) -> Self {
        Self { settings, observer: Arc::clone(&self.observer) }
    }

    pub fn observer(&self) -> &dyn Observer {
        self.observer.as_ref()
    }

    pub fn backoff(&self) -> Backoff<'_> {
        Backoff::new(self.settings.retry, self.observer())
    }

    /// The local store. Creates it if it does not exist.
    pub fn store(&self) -> Result<Store> {
        Ok(Store::open(&self.store_directory()?)?)
    }

    /// The local store, if it exists.
    pub fn existing_store(&self) -> Result<Option<Store>> {
        let directory = self.store_directory().ok();
        // An empty directory becomes a store when something is added.
        let is_used = |directory: &PathBuf| match directory.read_dir() {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        };
        let directory = directory.filter(is_used);
        Ok(directory.map(|directory| Store::open_existing(&directory)).transpose()?)
    }

    fn store_directory(&self) -> Result<PathBuf> {
        let default = || path_in("XDG_DATA_HOME", Some(".local/share"), "ocidd");
        self.settings.store.clone().or_else(default).ok_or(Error::NoStore)
    }

    /// The network, with the proxies of the environment.
    pub fn network(&self) -> Network {
        let proxy = |name| proxy_variable(name, |name| env::var(name).ok());
        Network {
            tls: self.settings.tls,
            certificates: self.settings.certificates,
            timeout: DEFAULT_TIMEOUT,
            http_proxy: proxy("http_proxy").or_else(|| proxy("all_proxy")),
            https_proxy: proxy("https_proxy").or_else(|| proxy("all_proxy")),
            no_proxy: proxy("no_proxy"),
        }
    }

    pub fn certificates(&self) -> CertificateFiles {
        let named = || env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        let named = self.settings.ca_file.clone().or_else(named);
        let known = || BUNDLES.iter().map(PathBuf::from).find(|bundle| bundle.exists());
        let bundle = named.or_else(known).unwrap_or_default();
        CertificateFiles { bundle, folder: PathBuf::new() }
    }

    /// The first auth file with a login for the repository.
    pub(crate) fn credentials(&self, repository: &Repository) -> Result<Credentials> {
        for file in self.auth_files() {
            let mut credentials = Credentials::read(&file)?;
            credentials.ask_helper = Some(ask_helper);
            // A missing helper is an error only if the registry requires a login.
            if !matches!(credentials.login_for(repository), Ok(None)) {
                return Ok(credentials);
            }
        }
        Ok(Credentials::default())
    }

    /// The paths of auth files (containers-auth.json(5)).
    fn auth_files(&self) -> Vec<PathBuf> {
        let named = self.settings.auth_file.clone().or_else(|| variable("REGISTRY_AUTH_FILE"));
        if let Some(file) = named {
            return vec![file];
        }
        let files = [
            path_in("XDG_RUNTIME_DIR", None, "containers/auth.json"),
            path_in("XDG_CONFIG_HOME", Some(".config"), "containers/auth.json"),
            path_in("DOCKER_CONFIG", Some(".docker"), "config.json"),
        ];
        files.into_iter().flatten().collect()
    }
}

/// The value of a proxy variable in lower or upper case. An empty one counts as unset.
fn proxy_variable(name: &str, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    // In a CGI program, HTTP_PROXY is a header of the request.
    let is_cgi = name == "http_proxy" && variable("REQUEST_METHOD").is_some();
    let upper = || variable(&name.to_ascii_uppercase()).filter(|_| !is_cgi);
    variable(name).or_else(upper).filter(|value| !value.is_empty())
}

/// `path` in the directory that a variable names, or in one below HOME.
fn path_in(name: &str, below_home: Option<&str>, path: &str) -> Option<PathBuf> {
    let default = || Some(variable("HOME")?.join(below_home?));
    Some(variable(name).or_else(default)?.join(path))
}

/// The path in an environment variable; empty variables count as unset.
fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_proxy_variables_in_both_cases() {
        for (variables, name, expected) in [
            (&[("http_proxy", "a"), ("HTTP_PROXY", "b")][..], "http_proxy", Some("a")),
            (&[("HTTP_PROXY", "b")], "http_proxy", Some("b")),
            (&[("HTTP_PROXY", "b"), ("REQUEST_METHOD", "GET")], "http_proxy", None),
            (&[("HTTPS_PROXY", "b"), ("REQUEST_METHOD", "GET")], "https_proxy", Some("b")),
            (&[("NO_PROXY", "b")], "no_proxy", Some("b")),
            (&[("https_proxy", ""), ("HTTPS_PROXY", "b")], "https_proxy", None),
            (&[("http_proxy", "a")], "https_proxy", None),
        ] {
            let variable = |name: &str| {
                let found = variables.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(proxy_variable(name, variable).as_deref(), expected, "{variables:?}");
        }
    }
}
