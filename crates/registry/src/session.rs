//! Settings of an author's program, and the clients, stores and logins that follow from them.

use std::{env, path::PathBuf};

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
    observer: Box<dyn Observer>,
}

impl Session {
    pub fn new(settings: Settings, observer: Box<dyn Observer>) -> Self {
        Self { settings, observer }
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
        let directory = self.store_directory().ok().filter(|directory| directory.exists());
        Ok(directory.map(|directory| Store::open_existing(&directory)).transpose()?)
    }

    fn store_directory(&self) -> Result<PathBuf> {
        let default = || path_in("XDG_DATA_HOME", Some(".local/share"), "ocidd");
        self.settings.store.clone().or_else(default).ok_or(Error::NoStore)
    }

    pub(crate) fn network(&self) -> Network {
        let proxy = |name: &str| {
            let lower = env::var(name).ok();
            // Like curl: in a CGI program, HTTP_PROXY is a header of the request.
            let upper =
                || env::var(name.to_ascii_uppercase()).ok().filter(|_| name != "http_proxy");
            lower.or_else(upper).filter(|value| !value.is_empty())
        };
        Network {
            tls: self.settings.tls,
            certificates: self.settings.certificates,
            timeout: DEFAULT_TIMEOUT,
            http_proxy: proxy("http_proxy"),
            https_proxy: proxy("https_proxy"),
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

/// `path` in the directory that a variable names, or in one below HOME.
fn path_in(name: &str, below_home: Option<&str>, path: &str) -> Option<PathBuf> {
    let default = || Some(variable("HOME")?.join(below_home?));
    Some(variable(name).or_else(default)?.join(path))
}

/// The path in an environment variable; empty variables count as unset.
fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
