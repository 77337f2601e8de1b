//! Reads the auth files of docker and podman (docker's `config.json`, containers-auth.json(5)) and
//! finds the login for a repository. No secret appears in an error or in debug output.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use base64::Engine as _;
use oci::{BASE64, reference::Repository};
use serde::Deserialize;
use serde_json::error::Category;

use crate::error::{During as _, Error, Result};

#[cfg(test)]
mod tests;

/// A secret. `Debug` prints `<hidden>`.
#[derive(Clone, Deserialize, Eq, PartialEq)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Only for sending it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hidden>")
    }
}

/// What a login consists of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Proof {
    Password {
        user: String,
        password: Secret,
    },
    /// Sent to a token server in place of a password.
    IdentityToken(Secret),
    /// Sent to a registry as it is.
    RegistryToken(Secret),
}

/// One entry of an auth file. `Display` prints its owner and its file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Login {
    pub proof: Proof,
    /// As written in the file.
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

/// Asks a credential helper (by name) for the login to a registry, like [`ask_helper`].
type AskHelper = fn(&str, &str) -> Result<Option<Proof>>;

/// An auth file. The secrets in it are decoded only when they are needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    #[serde(skip)]
    file: PathBuf,
    /// `None` rejects entries that need a helper.
    #[serde(skip)]
    pub ask_helper: Option<AskHelper>,
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    /// Credential helpers for one registry, and for all others.
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

/// Empty strings count as missing: docker writes both.
#[derive(Clone, Debug, Deserialize)]
struct Entry {
    auth: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    identitytoken: Option<Secret>,
    registrytoken: Option<Secret>,
}

impl Credentials {
    /// Reads an auth file. A missing file contains no logins.
    pub fn read(file: &Path) -> Result<Self> {
        let doing = || format!("reading logins from {}", file.display());
        match fs::read(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Self { file: file.to_owned(), ..Self::default() })
            }
            text => Self::parse(&text.during(doing)?, file).during(doing),
        }
    }

    pub fn parse(text: &[u8], file: &Path) -> Result<Self> {
        let content: Self =
            serde_json::from_slice(text).map_err(|error| without_content(&error))?;
        Ok(Self { file: file.to_owned(), ..content })
    }

    /// The login of the entry that matches most of the repository's path. Invalid entries that do
    /// not match are ignored.
    pub fn login_for(&self, repository: &Repository) -> Result<Option<Login>> {
        for scope in scopes(repository) {
            if let Some((key, entry)) = find(&self.auths, &scope) {
                let proof = entry.proof().during(|| {
                    format!("reading the login for '{key}' from {}", self.file.display())
                })?;
                if let Some(proof) = proof {
                    return Ok(Some(Login { proof, key: key.clone(), file: self.file.clone() }));
                }
            }
        }
        let helper = scopes(repository)
            .iter()
            .find_map(|scope| find(&self.cred_helpers, scope))
            .map(|(_, helper)| helper)
            .or(self.creds_store.as_ref())
            .filter(|helper| !helper.is_empty());
        let (file, registry) = (self.file.clone(), repository.registry.clone());
        match (helper, self.ask_helper) {
            (None, _) => Ok(None),
            (Some(helper), Some(ask)) => {
                Ok(ask(helper, &registry)?.map(|proof| Login { proof, key: registry, file }))
            }
            (Some(helper), None) => {
                Err(Error::CredentialHelper { file, registry, helper: helper.clone() })
            }
        }
    }
}

impl Entry {
    /// In docker's order. Nothing if the entry is empty, which means that a helper has the secret.
    fn proof(&self) -> Result<Option<Proof>> {
        let given = |secret: &Option<Secret>| secret.clone().filter(|s| !s.expose().is_empty());
        if let Some(token) = given(&self.registrytoken) {
            return Ok(Some(Proof::RegistryToken(printable(token, "registrytoken")?)));
        }
        if let Some(token) = given(&self.identitytoken) {
            return Ok(Some(Proof::IdentityToken(printable(token, "identitytoken")?)));
        }
        let (user, password) = if let Some(auth) = given(&self.auth) {
            // A base64 error would quote a part of the secret.
            let decoded =
                BASE64.decode(auth.expose().trim()).ok().and_then(|b| String::from_utf8(b).ok());
            let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
            let (user, password) =
                pair.ok_or_else(|| invalid("its auth is not the base64 of user:password"))?;
            (user.to_owned(), Secret::new(password.to_owned()))
        } else if let (Some(user), Some(password)) = (&self.username, given(&self.password)) {
            (user.clone(), password)
        } else {
            return Ok(None);
        };
        // RFC 7617, 2: the first colon ends the user.
        if user.is_empty() || user.contains(':') || user.contains(char::is_control) {
            return Err(invalid("its user is empty or contains a colon or a control character"));
        }
        Ok(Some(Proof::Password { user, password: printable(password, "password")? }))
    }
}

fn invalid(text: &str) -> Error {
    Error::Unusable(text.to_owned())
}

/// HTTP headers cannot contain control characters. Editors and `echo` add a line break at the end.
fn printable(secret: Secret, field: &str) -> Result<Secret> {
    if !secret.expose().contains(char::is_control) {
        return Ok(secret);
    }
    let fault = "contains a control character, such as a line break at the end";
    Err(invalid(&format!("its {field} {fault}")))
}

/// The repository and everything that contains it, the narrowest first.
fn scopes(repository: &Repository) -> Vec<String> {
    let host = canonical_host(&repository.registry);
    let ends = repository.name.match_indices('/').map(|(at, _)| at).chain([repository.name.len()]);
    let mut scopes = vec![host.clone()];
    scopes.extend(ends.filter_map(|end| Some(format!("{host}/{}", repository.name.get(..end)?))));
    scopes.reverse();
    scopes
}

/// The entry for `scope`; of several spellings the literal one wins.
fn find<'a, T>(map: &'a BTreeMap<String, T>, scope: &str) -> Option<(&'a String, &'a T)> {
    map.iter().filter(|(key, _)| scope_of(key) == scope).max_by_key(|(key, _)| *key == scope)
}

/// The scope of a key. A key with a scheme is the URL of a registry's API; its path is ignored.
fn scope_of(key: &str) -> String {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let (host, path) = bare.unwrap_or(key).split_once('/').unwrap_or((bare.unwrap_or(key), ""));
    let host = canonical_host(host);
    match path.trim_end_matches('/') {
        "" | "v1" | "v2" => host,
        _ if bare.is_some() => host,
        path => format!("{host}/{path}"),
    }
}

/// Docker Hub has three names.
pub(crate) fn canonical_host(host: &str) -> String {
    match host.to_ascii_lowercase().as_str() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        other => other.to_owned(),
    }
}

/// Asks `docker-credential-NAME` for the login to a registry (docker's credential-helpers). None if
/// it has none. Errors do not contain its output.
pub fn ask_helper(name: &str, registry: &str) -> Result<Option<Proof>> {
    if name.contains(['/', '\0']) {
        return Err(invalid(&format!("invalid name of a credential helper '{name}'")));
    }
    let program = format!("docker-credential-{name}");
    let doing = || format!("asking {program} for the login to {registry}");
    #[expect(clippy::disallowed_methods, reason = "the replacement is part of xtask")]
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .during(doing)?;
    if let Some(mut input) = child.stdin.take() {
        // A helper that answers without reading closes its end.
        let is_hub = canonical_host(registry) == "docker.io";
        // Helpers know Docker Hub by an old URL.
        let key = if is_hub { "https://index.docker.io/v1/" } else { registry };
        input.write_all(key.as_bytes()).ok();
    }
    let output = child.wait_with_output().during(doing)?;
    if output.status.success() {
        return parse_helper(&output.stdout).during(doing);
    }
    let text = String::from_utf8_lossy(&output.stdout).to_ascii_lowercase();
    if text.contains("credentials not found") {
        return Ok(None);
    }
    Err(invalid(&format!("it ended with {}", output.status))).during(doing)
}

fn parse_helper(answer: &[u8]) -> Result<Option<Proof>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        username: String,
        secret: Secret,
    }
    let answer: Answer = serde_json::from_slice(answer).map_err(|error| without_content(&error))?;
    if answer.secret.expose().is_empty() {
        return Ok(None);
    }
    Ok(Some(match answer.username.as_str() {
        // Docker's credential-helpers, "credentials.go".
        "<token>" => Proof::IdentityToken(answer.secret),
        _ => Proof::Password { user: answer.username, password: answer.secret },
    }))
}

/// An error in a JSON document with secrets. serde's own text would quote the value that it found.
pub fn without_content(error: &serde_json::Error) -> Error {
    let (line, column) = (error.line(), error.column());
    Error::Unusable(match error.classify() {
        Category::Data => format!("a value has the wrong type at line {line} column {column}"),
        Category::Io | Category::Syntax | Category::Eof => error.to_string(),
    })
}
