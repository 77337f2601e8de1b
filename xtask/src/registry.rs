//! A real OCI registry on loopback, for tests, the demo and benchmarks: Debian's `docker-registry`, with its storage in a folder that dies with it.

use crate::authority::ServerFiles;
use crate::cmd;
use crate::cmd::Background;
use crate::output;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use serde_json::Value;
use serde_json::json;
use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use tempfile::TempDir;
use ureq::Agent;
use xshell::Shell;

/// The media type of a layer that ocidd installs.
pub const DISK_LAYER: &str = "application/octet-stream+gzip";

/// Where a QEMU guest with user networking finds this machine's loopback.
const GUEST_GATEWAY: &str = "10.0.2.2";

/// The empty JSON document, which artifacts have for a configuration (OCI image spec, "Guidance for an empty descriptor").
const EMPTY_CONFIG: &[u8] = b"{}";

/// How the registry is spoken to.
#[derive(Clone, Copy, Debug)]
pub enum Serve<'a> {
    Plain,
    Tls(&'a ServerFiles),
}

/// A running registry. Dropping it ends it and removes what was pushed.
#[derive(Debug)]
pub struct Registry {
    port: u16,
    scheme: &'static str,
    agent: Agent,
    storage: TempDir,
    _server: Background,
}

/// A blob in the registry.
#[derive(Clone, Debug)]
pub struct Blob {
    pub digest: String,
    pub size: usize,
}

impl Registry {
    /// Starts a registry on a free port and waits until it listens.
    pub fn start(serve: Serve<'_>) -> Result<Self> {
        let storage = tempfile::tempdir().context("making the registry's folder")?;
        let config = storage.path().join("config.yml");
        fs::write(&config, configuration(&storage.path().join("data"), serve))
            .context("writing the registry's configuration")?;
        // Debian's name for the program, and its makers'.
        let program = ["docker-registry", "registry"].into_iter().find_map(cmd::find);
        let program = program.context("finding a registry server; hint: cargo xtask setup")?;
        let shell = Shell::new()?;
        let mut server = Background::start(
            cmd::clean_env(xshell::cmd!(shell, "{program} serve {config}")),
            |command| {
                command.stdout(Stdio::null()).stderr(Stdio::piped());
            },
        )?;
        let stderr = server.child.stderr.take().context("opening the registry's log")?;
        let port = read_port(BufReader::new(stderr))?;
        let (scheme, agent) = match serve {
            Serve::Plain => ("http", ureq::agent()),
            Serve::Tls(files) => ("https", files.trusting_agent()?),
        };
        Ok(Self { port, scheme, agent, storage, _server: server })
    }

    /// `host:port` as this machine sees the registry.
    pub fn local(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// `host:port` as a guest sees the registry.
    pub fn guest(&self) -> String {
        format!("{GUEST_GATEWAY}:{}", self.port)
    }

    /// Pushes `bytes` as a blob (distribution spec, "Pushing a blob monolithically").
    pub fn push_blob(&self, repository: &str, bytes: &[u8]) -> Result<Blob> {
        let digest = format!("sha256:{}", output::digest_of(bytes));
        let doing = || format!("pushing blob {digest} to {repository}");
        let opened = self
            .agent
            .post(self.url(repository, "blobs/uploads/"))
            .send_empty()
            .with_context(doing)?;
        let location = opened
            .headers()
            .get("location")
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| anyhow!("no upload location"));
        let location = location.with_context(doing)?;
        let joint = if location.contains('?') { '&' } else { '?' };
        let upload = self
            .agent
            .put(format!("{location}{joint}digest={digest}"))
            .header("content-type", "application/octet-stream");
        upload.send(bytes).with_context(doing)?;
        Ok(Blob { digest, size: bytes.len() })
    }

    /// Pushes a manifest with these layers as `tag`, the way `oras push` makes one.
    pub fn push_manifest(
        &self,
        repository: &str,
        tag: &str,
        layers: &[(&str, &Blob)],
    ) -> Result<()> {
        let config = self.push_blob(repository, EMPTY_CONFIG)?;
        let describe = |media_type: &str, blob: &Blob| json!({ "mediaType": media_type, "digest": blob.digest, "size": blob.size });
        let layers: Vec<Value> =
            layers.iter().map(|(media_type, blob)| describe(media_type, blob)).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": "application/vnd.unknown.artifact.v1",
            "config": describe("application/vnd.oci.empty.v1+json", &config),
            "layers": layers,
        });
        let request = self.agent.put(self.url(repository, &format!("manifests/{tag}")));
        let request = request.header("content-type", "application/vnd.oci.image.manifest.v1+json");
        request
            .send(manifest.to_string())
            .with_context(|| format!("pushing manifest {repository}:{tag}"))?;
        Ok(())
    }

    /// Pushes a compressed disk image as the one layer of `repository:tag`.
    pub fn push_disk(&self, repository: &str, tag: &str, compressed: &[u8]) -> Result<Blob> {
        let blob = self.push_blob(repository, compressed)?;
        self.push_manifest(repository, tag, &[(DISK_LAYER, &blob)])?;
        Ok(blob)
    }

    /// The file in which the registry keeps a blob, for a test that wants it damaged.
    pub fn blob_file(&self, blob: &Blob) -> PathBuf {
        let hex = blob.digest.trim_start_matches("sha256:");
        let start: String = hex.chars().take(2).collect();
        self.storage
            .path()
            .join("data/docker/registry/v2/blobs/sha256")
            .join(start)
            .join(hex)
            .join("data")
    }

    fn url(&self, repository: &str, rest: &str) -> String {
        format!("{}://{}/v2/{repository}/{rest}", self.scheme, self.local())
    }
}

fn configuration(data: &Path, serve: Serve<'_>) -> String {
    let tls = match serve {
        Serve::Plain => json!({}),
        Serve::Tls(files) => json!({ "certificate": files.certificate, "key": files.key }),
    };
    // YAML takes JSON as it is. The blob cache is off, so that a damaged file is served as it lies.
    json!({
        "version": 0.1,
        "log": { "level": "info" },
        "storage": { "filesystem": { "rootdirectory": data } },
        "http": { "addr": "127.0.0.1:0", "tls": tls },
    })
    .to_string()
}

/// Waits for the log line that names the port, then keeps reading in a thread, lest the registry block on a full pipe.
fn read_port(mut log: impl BufRead + Send + 'static) -> Result<u16> {
    let mut seen = String::new();
    loop {
        let from = seen.len();
        if log.read_line(&mut seen).context("reading the registry's log")? == 0 {
            bail!("docker-registry ended before it listened: {}", seen.trim());
        }
        let Some(at) =
            seen.get(from..).and_then(|line| line.split("listening on 127.0.0.1:").nth(1))
        else {
            continue;
        };
        let digits: String = at.chars().take_while(char::is_ascii_digit).collect();
        let port = digits
            .parse()
            .with_context(|| format!("reading the registry's port from '{}'", at.trim()))?;
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        return Ok(port);
    }
}
