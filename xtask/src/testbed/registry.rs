//! An OCI registry on loopback for tests, the demo and benchmarks: Debian's `docker-registry`, with
//! its storage in a temporary directory.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::Stdio,
};

use ::registry::{
    auth::Access,
    copy::{CopyScope, copy},
    http::Tls,
    location::Location,
    session::{Session, Settings},
};
use anyhow::{Context as _, Result, bail};
use oci::{
    document,
    document::{Annotations, Descriptor},
    layout::Store,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use xshell::Shell;

use crate::{
    host::{
        cmd,
        cmd::Background,
        report::{Console, hinted},
    },
    testbed::authority::ServerFiles,
};

/// The media type of a layer that ocidd installs.
pub const DISK_LAYER: &str = "application/octet-stream+gzip";

/// The login of a private registry. These are values of tests and protect nothing.
pub const USER: &str = "tester";
pub const PASSWORD: &str = "not-a-secret";
/// `USER:PASSWORD` in base64, as in HTTP's basic scheme and in Docker's configuration file.
pub const LOGIN: &str = "dGVzdGVyOm5vdC1hLXNlY3JldA==";
/// bcrypt hash of [`PASSWORD`], the only supported type. Its cost is the minimum, because the
/// server checks it for every request.
const PASSWORD_HASH: &str = "$2b$05$ocidd.lab.login.fixedu.uJEoTEbwbBzMkWsvrfgO6LMtVYWURK";

/// The protocol of a registry.
#[derive(Clone, Copy, Debug)]
pub enum Serve<'a> {
    Plain,
    Tls(&'a ServerFiles),
    /// HTTPS; every request needs [`LOGIN`].
    Private(&'a ServerFiles),
}

/// A registry. Dropping it kills the server and removes its storage.
#[derive(Debug)]
pub struct Registry {
    folder: TempDir,
    /// On this machine's loopback.
    pub port: u16,
    tls: Value,
    auth: Value,
    running: Option<Background>,
}

impl Registry {
    /// Starts a registry on a free port and waits until it listens.
    pub fn start(serve: Serve<'_>) -> Result<Self> {
        let folder = tempfile::tempdir().context("creating the registry's directory")?;
        let (mut tls, mut auth) = (Value::Null, json!({}));
        if let Serve::Tls(files) | Serve::Private(files) = serve {
            write(&folder, "authority.pem", &files.authority)?;
            tls = json!({ "certificate": files.certificate, "key": files.key });
        }
        if let Serve::Private(_) = serve {
            let path = write(&folder, "htpasswd", &format!("{USER}:{PASSWORD_HASH}\n"))?;
            auth = json!({ "htpasswd": { "realm": "tests", "path": path } });
        }
        // With port 0 the system chooses a free port.
        let mut registry = Self { folder, port: 0, tls, auth, running: None };
        registry.restart()?;
        let logins = json!({ "auths": { registry.local(): { "auth": LOGIN } } });
        write(&registry.folder, "auth.json", &logins.to_string())?;
        Ok(registry)
    }

    /// Kills the server like a crash. Its storage remains.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Starts a stopped server again, with the same port and storage.
    pub fn restart(&mut self) -> Result<()> {
        // JSON is valid YAML. Without the blob cache a damaged file is served unchanged.
        let config = json!({
            "version": 0.1,
            "log": { "level": "info" },
            "storage": { "filesystem": { "rootdirectory": self.folder.path().join("data") } },
            "http": { "addr": format!("127.0.0.1:{}", self.port), "tls": self.tls },
            "auth": self.auth,
        });
        let config = write(&self.folder, "config.yml", &config.to_string())?;
        // The names of Debian and of the upstream project.
        let program = ["docker-registry", "registry"].into_iter().find_map(cmd::find);
        let program =
            program.ok_or_else(|| hinted("no registry server in PATH", "run cargo xtask setup"))?;
        let shell = Shell::new()?;
        let serve = cmd::clean_env(xshell::cmd!(shell, "{program} serve {config}"));
        let mut running = Background::start(serve, |command| {
            command.stdout(Stdio::null()).stderr(Stdio::piped());
        })?;
        let stderr = running.child.stderr.take().context("opening the registry's log")?;
        self.port = read_port(BufReader::new(stderr))?;
        self.running = Some(running);
        Ok(())
    }

    /// `host:port` for this machine.
    pub fn local(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// `host:port` for a guest.
    pub fn guest(&self) -> String {
        guest_address(self.port)
    }

    /// A session that trusts this registry and has its login.
    pub fn session(&self) -> Session {
        let is_plain = self.tls.is_null();
        let settings = Settings {
            tls: if is_plain { Tls::Plain } else { Tls::Required },
            ca_file: (!is_plain).then(|| self.folder.path().join("authority.pem")),
            auth_file: Some(self.folder.path().join("auth.json")),
            ..Settings::default()
        };
        Session::new(settings, Box::new(Console))
    }

    /// Pushes layers, each with its media type, and a manifest like that of `oras push` as `name`
    /// (`repository:tag`). Returns the layers.
    pub fn push(&self, name: &str, layers: &[(&str, &[u8])]) -> Result<Vec<Descriptor>> {
        let folder = tempfile::tempdir().context("creating a directory for a layout")?;
        let store = Store::open(folder.path())?;
        let mut descriptors = Vec::new();
        for (media_type, bytes) in layers {
            store.add(*bytes)?;
            descriptors.push(document::describe(media_type, bytes)?);
        }
        let (kind, layers) = (document::UNKNOWN_ARTIFACT, descriptors.clone());
        let artifact = document::artifact(kind, layers, Annotations::new())?;
        store.keep(&store.add_manifest(&artifact)?, Some("pushed"))?;
        let session = self.session();
        let mut from = Location::in_store(store, "pushed");
        let mut to = Location::open(&session, &format!("{}/{name}", self.local()), Access::Push)?;
        copy(&mut from, &mut to, CopyScope::Image)?;
        Ok(descriptors)
    }

    /// Pushes a compressed disk image as the only layer of `name`. Returns the layer's digest.
    pub fn push_disk(&self, name: &str, compressed: &[u8]) -> Result<String> {
        let layers = self.push(name, &[(DISK_LAYER, compressed)])?;
        Ok(layers.into_iter().map(|layer| layer.digest().to_string()).collect())
    }

    /// The file in which the registry stores a blob, for a test that damages it.
    pub fn blob_file(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        let start = hex.get(..2).unwrap_or_default();
        self.folder.path().join(format!("data/docker/registry/v2/blobs/sha256/{start}/{hex}/data"))
    }
}

/// `host:port` by which a QEMU guest with user networking reaches a port of this machine.
pub fn guest_address(port: u16) -> String {
    format!("10.0.2.2:{port}")
}

fn write(folder: &TempDir, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.path().join(name);
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

/// Waits for the log line with the port. A thread reads on, so that the pipe does not fill up.
fn read_port(mut log: impl BufRead + Send + 'static) -> Result<u16> {
    let mut seen = String::new();
    loop {
        let from = seen.len();
        if log.read_line(&mut seen).context("reading the registry's log")? == 0 {
            bail!("docker-registry ended before it listened: {}", seen.trim());
        }
        let line = seen.get(from..).unwrap_or_default();
        let Some((_, rest)) = line.split_once("listening on 127.0.0.1:") else { continue };
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let port = digits
            .parse()
            .with_context(|| format!("reading the registry's port from '{}'", rest.trim()))?;
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        return Ok(port);
    }
}

#[cfg(test)]
mod tests {
    use ureq::{
        Agent,
        tls::{Certificate, RootCerts, TlsConfig},
    };

    use super::*;

    /// `cargo xtask setup` installs the registry server.
    fn has_server() -> bool {
        ["docker-registry", "registry"].into_iter().any(|name| cmd::find(name).is_some())
    }

    /// A client that trusts only the authority of `files`.
    fn trusting_agent(files: &ServerFiles) -> Agent {
        let root = Certificate::from_pem(files.authority.as_bytes()).unwrap();
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[root])).build();
        Agent::config_builder().tls_config(tls).build().new_agent()
    }

    #[test]
    fn keeps_port_and_blobs_across_restart() {
        if !has_server() {
            return;
        }
        let mut registry = Registry::start(Serve::Plain).unwrap();
        let digest = registry.push_disk("os:1", b"bytes").unwrap();
        let url = format!("http://{}/v2/os/blobs/{digest}", registry.local());
        registry.stop();
        assert!(ureq::get(&url).call().is_err());
        registry.restart().unwrap();
        assert_eq!(ureq::get(&url).call().unwrap().body_mut().read_to_vec().unwrap(), b"bytes");
        assert_eq!(fs::read(registry.blob_file(&digest)).unwrap(), b"bytes");
    }

    #[test]
    fn pushes_manifest_with_every_layer() {
        if !has_server() {
            return;
        }
        let registry = Registry::start(Serve::Plain).unwrap();
        let layers = registry.push("os:1", &[(DISK_LAYER, b"one"), (DISK_LAYER, b"two")]).unwrap();
        let session = registry.session();
        let name = format!("{}/os:1", registry.local());
        let mut location = Location::open(&session, &name, Access::Pull).unwrap();
        let manifest = location.resolve().unwrap();
        let text = String::from_utf8(manifest.bytes).unwrap();
        assert_eq!(layers.len(), 2);
        assert!(layers.iter().all(|layer| text.contains(&layer.digest().to_string())), "{text}");
        let digest = manifest.descriptor.digest();
        let request = ureq::get(format!("http://{}/v2/os/manifests/{digest}", registry.local()));
        let found = request.header("accept", document::MANIFEST).call().unwrap();
        assert_eq!(found.into_body().read_to_string().unwrap(), text);
    }

    #[test]
    fn private_registry_requires_login() {
        if !has_server() {
            return;
        }
        let files = ServerFiles::make().unwrap();
        let registry = Registry::start(Serve::Private(&files)).unwrap();
        registry.push_disk("os:1", b"bytes").unwrap();
        let url = format!("https://{}/v2/os/manifests/1", registry.local());
        let get = || trusting_agent(&files).get(&url);
        assert!(matches!(get().call(), Err(ureq::Error::StatusCode(401))));
        let login = format!("Basic {LOGIN}");
        let request = get().header("accept", document::MANIFEST).header("authorization", login);
        assert!(request.call().is_ok());
    }
}
