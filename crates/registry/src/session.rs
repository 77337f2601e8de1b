//! What every subcommand of `ocidd image` works with: the store, the way to registries, and where to tell what happens.

use crate::auth::Access;
use crate::credentials::Credentials;
use crate::credentials::helper;
use crate::endpoint::Endpoint;
use crate::http::CertificateCheck;
use crate::http::Client;
use crate::http::DEFAULT_TIMEOUT;
use crate::http::Network;
use crate::http::Tls;
use crate::http::roots::CertificateFiles;
use crate::location::Location;
use crate::observer::Observer;
use crate::repository::Remote;
use crate::retry::RetryPolicy;
use crate::upload::CHUNK_BYTES;
use anyhow::Result;
use oci::layout::Store;
use oci::reference::Repository;
use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The distributions' bundles of certificate authorities: Debian's, Fedora's, SUSE's.
const BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

/// How a session deals with the world.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Left out, the user's own.
    pub store: Option<PathBuf>,
    pub tls: Tls,
    pub certificates: CertificateCheck,
    /// Certificate authorities in PEM, in place of the machine's.
    pub ca_file: Option<PathBuf>,
    /// Logins. Left out, those of podman and docker.
    pub auth_file: Option<PathBuf>,
    pub max_retries: Option<u32>,
    pub first_retry_delay: Duration,
    pub chunk_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            store: None,
            tls: Tls::Required,
            certificates: CertificateCheck::Verify,
            ca_file: None,
            auth_file: None,
            max_retries: Some(8),
            first_retry_delay: Duration::from_secs(1),
            chunk_bytes: CHUNK_BYTES,
        }
    }
}

/// Settings put to use.
pub struct Session {
    settings: Settings,
    observer: Box<dyn Observer>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({:?})", self.settings)
    }
}

impl Session {
    pub fn new(settings: Settings, observer: Box<dyn Observer>) -> Self {
        Self { settings, observer }
    }

    pub fn observer(&self) -> &dyn Observer {
        self.observer.as_ref()
    }

    /// The local store, made where there is none.
    pub fn store(&self) -> Result<Store> {
        Store::open(&self.store_folder()?)
    }

    /// The same, if there is one.
    pub fn existing_store(&self) -> Result<Option<Store>> {
        let folder = self.store_folder().ok().filter(|folder| folder.exists());
        folder.map(|folder| Store::open_existing(&folder)).transpose()
    }

    fn store_folder(&self) -> Result<PathBuf> {
        if let Some(folder) = &self.settings.store {
            return Ok(folder.clone());
        }
        let data = env::var_os("XDG_DATA_HOME").filter(|folder| !folder.is_empty());
        let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".local/share"));
        data.map(PathBuf::from).or_else(home).map(|folder| folder.join("ocidd")).ok_or_else(|| {
            anyhow::anyhow!(
                "neither HOME nor XDG_DATA_HOME is set; hint: name the store by --store DIR"
            )
        })
    }

    /// What is read, at `REGISTRY/REPOSITORY:TAG` or `oci:FOLDER:NAME`.
    pub fn source(&self, location: &str) -> Result<Location<'_>> {
        self.place(location, Access::Pull)
    }

    /// What is written to.
    pub fn target(&self, location: &str) -> Result<Location<'_>> {
        self.place(location, Access::Push)
    }

    pub fn place(&self, location: &str, access: Access) -> Result<Location<'_>> {
        Location::open(self, location, access)
    }

    pub fn remote(&self, repository: &Repository, access: Access) -> Result<Remote<'_>> {
        let client = Client::new(&self.network(), &self.certificates())?;
        let credentials = Arc::new(self.credentials(repository)?);
        Ok(Remote {
            endpoint: Endpoint::new(client, repository.clone(), credentials, access),
            repository: repository.clone(),
            policy: RetryPolicy {
                max_retries: self.settings.max_retries,
                first_delay: self.settings.first_retry_delay,
            },
            observer: self.observer(),
            chunk_bytes: self.settings.chunk_bytes,
        })
    }

    fn network(&self) -> Network {
        let proxy = |name: &str| {
            let lower = env::var(name).ok();
            // curl's rule: in a CGI program HTTP_PROXY is set by whoever sends the request.
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
        CertificateFiles {
            bundle: named.or_else(known).unwrap_or_default(),
            folder: PathBuf::new(),
        }
    }

    /// The first file with a login for the repository.
    fn credentials(&self, repository: &Repository) -> Result<Credentials> {
        for file in self.auth_files() {
            let credentials = Credentials::read(&file)?.with_helpers(helper::ask);
            // A helper that is missing matters only to a registry that wants a login, which then says so.
            if !matches!(credentials.login_for(repository), Ok(None)) {
                return Ok(credentials);
            }
        }
        Ok(Credentials::default())
    }

    /// Where logins are looked for, as containers-auth.json(5) has it.
    fn auth_files(&self) -> Vec<PathBuf> {
        let variable =
            |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(file) =
            self.settings.auth_file.clone().or_else(|| variable("REGISTRY_AUTH_FILE"))
        {
            return vec![file];
        }
        let home = variable("HOME");
        let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
        [
            variable("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json")),
            variable("XDG_CONFIG_HOME")
                .or_else(|| below_home(".config"))
                .map(|folder| folder.join("containers/auth.json")),
            variable("DOCKER_CONFIG")
                .or_else(|| below_home(".docker"))
                .map(|folder| folder.join("config.json")),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
