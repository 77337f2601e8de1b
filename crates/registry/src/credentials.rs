//! Logins as docker and podman keep them (docker's `config.json`, containers-auth.json(5)): the file in, the login for one repository out. Runs no
//! credential helper by itself, and never lets a secret into an error or a debug line.

#[cfg(feature = "push")]
pub mod helper;

use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use base64::Engine as _;
use oci::BASE64;
use oci::reference::Repository;
use serde::Deserialize;
use serde_json::error::Category;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

#[cfg(test)]
mod tests;

/// Where an initramfs has the file.
pub const AUTH_FILE: &str = "/etc/ocidd/auth.json";

/// Text that nobody may read over somebody's shoulder.
#[derive(Clone, Deserialize, Eq, PartialEq)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// For the wire only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hidden>")
    }
}

/// How somebody shows who they are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Proof {
    Password {
        user: String,
        password: Secret,
    },
    /// What a token server gives a token for, in place of a password.
    IdentityToken(Secret),
    /// What a registry takes as it is.
    RegistryToken(Secret),
}

/// One entry of the file. Prints as whose it is and where it was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Login {
    pub proof: Proof,
    /// As the file spells it.
    key: String,
    file: PathBuf,
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, file) = (&self.key, self.file.display());
        match &self.proof {
            Proof::Password { user, .. } => write!(f, "the login of user '{user}' from {file}"),
            Proof::IdentityToken(_) => write!(f, "the identity token of '{key}' from {file}"),
            Proof::RegistryToken(_) => write!(f, "the registry token of '{key}' from {file}"),
        }
    }
}

/// Asks a credential helper, by its name, for the login to a registry.
type AskHelper = fn(&str, &str) -> Result<Option<Proof>>;

/// The file's content; the secrets in it are looked at when one is needed.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    content: Content,
    file: PathBuf,
    /// An initramfs has no helpers.
    ask_helper: Option<AskHelper>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    /// Programs that know the login for one registry, and for all.
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

/// An empty text is as good as none: docker writes both.
#[derive(Clone, Debug, Deserialize)]
struct Entry {
    auth: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    identitytoken: Option<Secret>,
    registrytoken: Option<Secret>,
}

impl Credentials {
    /// A file that is missing holds no logins.
    pub fn read(file: &Path) -> Result<Self> {
        let doing = || format!("reading logins from {}", file.display());
        match fs::read(file) {
            Ok(text) => Self::parse(&text, file).with_context(doing),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Self { file: file.to_owned(), ..Self::default() })
            }
            Err(error) => Err(error).with_context(doing),
        }
    }

    pub fn parse(text: &[u8], file: &Path) -> Result<Self> {
        let content = serde_json::from_slice(text).map_err(|error| without_content(&error))?;
        Ok(Self { content, file: file.to_owned(), ask_helper: None })
    }

    /// The same where credential helpers may be run.
    pub fn with_helpers(self, ask_helper: AskHelper) -> Self {
        Self { ask_helper: Some(ask_helper), ..self }
    }

    /// The login of the entry that names most of the repository's path. A login that cannot be used is an error where it would be needed.
    pub fn login_for(&self, repository: &Repository) -> Result<Option<Login>> {
        for scope in scopes(repository) {
            if let Some((key, entry)) = find(&self.content.auths, &scope) {
                let proof = entry.proof().with_context(|| {
                    format!("reading the login for '{key}' from {}", self.file.display())
                })?;
                if let Some(proof) = proof {
                    return Ok(Some(Login { proof, key: key.clone(), file: self.file.clone() }));
                }
            }
        }
        let helper = scopes(repository)
            .iter()
            .find_map(|scope| find(&self.content.cred_helpers, scope))
            .map(|(_, helper)| helper)
            .or(self.content.creds_store.as_ref())
            .filter(|helper| !helper.is_empty());
        if let Some((helper, ask)) = helper.zip(self.ask_helper) {
            let (key, file) = (repository.registry.clone(), self.file.clone());
            return Ok(ask(helper, &key)?.map(|proof| Login { proof, key, file }));
        }
        if let Some(helper) = helper {
            bail!(
                "{} leaves the login for {} to the credential helper '{helper}', and there is none here; hint: write the login itself into its auths",
                self.file.display(),
                repository.registry
            );
        }
        Ok(None)
    }
}

impl Entry {
    /// In the order in which docker believes them. Nothing where the entry is empty, as docker leaves it when a helper has the secret.
    fn proof(&self) -> Result<Option<Proof>> {
        let given = |secret: &Option<Secret>| secret.clone().filter(|s| !s.expose().is_empty());
        let proof = if let Some(token) = given(&self.registrytoken) {
            Proof::RegistryToken(printable(token, "registrytoken")?)
        } else if let Some(token) = given(&self.identitytoken) {
            Proof::IdentityToken(printable(token, "identitytoken")?)
        } else if let Some(auth) = given(&self.auth) {
            // What base64 finds wrong is a piece of the secret.
            let decoded =
                BASE64.decode(auth.expose().trim()).ok().and_then(|b| String::from_utf8(b).ok());
            let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
            let (user, password) =
                pair.ok_or_else(|| anyhow!("its auth is not the base64 of user:password"))?;
            password_of(user, Secret::new(password.to_owned()))?
        } else if let (Some(user), Some(password)) = (&self.username, given(&self.password)) {
            password_of(user, password)?
        } else {
            return Ok(None);
        };
        Ok(Some(proof))
    }
}

fn password_of(user: &str, password: Secret) -> Result<Proof> {
    // RFC 7617, 2: the first colon ends the user.
    if user.is_empty() || user.contains(':') || user.contains(char::is_control) {
        bail!("its user is empty or holds a colon or a control character");
    }
    Ok(Proof::Password { user: user.to_owned(), password: printable(password, "password")? })
}

/// No header takes a control character, and an editor or `echo` leaves a line break at the end without being asked.
fn printable(secret: Secret, field: &str) -> Result<Secret> {
    if secret.expose().contains(char::is_control) {
        bail!("its {field} holds a control character; hint: is it a line break at the end?");
    }
    Ok(secret)
}

/// The repository and all that it lies in, the narrowest first.
fn scopes(repository: &Repository) -> Vec<String> {
    let host = canonical_host(&repository.registry);
    let ends = repository.name.match_indices('/').map(|(at, _)| at).chain([repository.name.len()]);
    let mut scopes = vec![host.clone()];
    scopes.extend(ends.filter_map(|end| Some(format!("{host}/{}", repository.name.get(..end)?))));
    scopes.reverse();
    scopes
}

/// The entry for `scope`; of several spellings the plain one wins.
fn find<'a, T>(map: &'a BTreeMap<String, T>, scope: &str) -> Option<(&'a String, &'a T)> {
    map.iter().filter(|(key, _)| scope_of(key) == scope).max_by_key(|(key, _)| *key == scope)
}

/// What a key stands for. One with a scheme is the URL of a registry's API, whatever its path is.
fn scope_of(key: &str) -> String {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let (host, path) =
        bare.unwrap_or(key).split_once('/').unwrap_or_else(|| (bare.unwrap_or(key), ""));
    let host = canonical_host(host);
    match path.trim_end_matches('/') {
        path if path.is_empty() || bare.is_some() || matches!(path, "v1" | "v2") => host,
        path => format!("{host}/{path}"),
    }
}

/// Docker Hub goes by three names.
fn canonical_host(host: &str) -> String {
    match host.to_ascii_lowercase().as_str() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        other => other.to_owned(),
    }
}

/// What is wrong with a JSON document that holds secrets. An error about its shape would quote what it found.
pub fn without_content(error: &serde_json::Error) -> anyhow::Error {
    match error.classify() {
        Category::Data => anyhow!(
            "a value is not of the kind that belongs there at line {} column {}",
            error.line(),
            error.column()
        ),
        Category::Io | Category::Syntax | Category::Eof => anyhow!("{error}"),
    }
}
