//! A real OCI registry on loopback, for tests, the demo and benchmarks: Debian's `docker-registry`, with its storage in a folder that dies with it.
//! How the server itself is started and ended is in `server`.

mod server;

use crate::host::output;
use crate::testbed::authority::ServerFiles;
use crate::testbed::registry::server::Server;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use serde_json::Value;
use serde_json::json;
use std::path::PathBuf;
use ureq::Agent;
use ureq::RequestBuilder;
use ureq::typestate::WithBody;

/// The media type of a layer that ocidd installs.
pub const DISK_LAYER: &str = "application/octet-stream+gzip";

/// Where a QEMU guest with user networking finds this machine's loopback.
const GUEST_GATEWAY: &str = "10.0.2.2";

/// The empty JSON document, which artifacts have for a configuration (OCI image spec, "Guidance for an empty descriptor").
const EMPTY_CONFIG: &[u8] = b"{}";

/// The one login of a private registry. These are values of tests and protect nothing.
pub const USER: &str = "tester";
pub const PASSWORD: &str = "not-a-secret";
/// `USER:PASSWORD` in base64, as HTTP's basic scheme and docker's configuration file have it.
pub const LOGIN: &str = "dGVzdGVyOm5vdC1hLXNlY3JldA==";

/// How the registry is spoken to.
#[derive(Clone, Copy, Debug)]
pub enum Serve<'a> {
    Plain,
    Tls(&'a ServerFiles),
    /// HTTPS, and nothing without [`LOGIN`].
    Private(&'a ServerFiles),
}

/// A registry. Dropping it ends it and removes what was pushed.
#[derive(Debug)]
pub struct Registry {
    scheme: &'static str,
    /// The value of the header that logs in.
    authorization: Option<String>,
    agent: Agent,
    server: Server,
}

/// A blob in the registry.
#[derive(Clone, Debug)]
pub struct Blob {
    pub digest: String,
    pub size: usize,
}

impl Blob {
    /// As it stands in a manifest.
    fn descriptor(&self, media_type: &str) -> Value {
        json!({ "mediaType": media_type, "digest": self.digest, "size": self.size })
    }
}

impl Registry {
    /// Starts a registry on a free port and waits until it listens.
    pub fn start(serve: Serve<'_>) -> Result<Self> {
        let (scheme, agent) = match serve {
            Serve::Plain => ("http", ureq::agent()),
            Serve::Tls(files) | Serve::Private(files) => ("https", files.trusting_agent()?),
        };
        let authorization = matches!(serve, Serve::Private(_)).then(|| format!("Basic {LOGIN}"));
        Ok(Self { scheme, authorization, agent, server: Server::start(serve)? })
    }

    /// Ends the server at once, in the middle of whatever it does. What was pushed stays.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Starts a stopped server again, on the port it had and with what was pushed.
    pub fn restart(&mut self) -> Result<()> {
        self.server.restart()
    }

    /// The port on this machine's loopback.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// `host:port` as this machine sees the registry.
    pub fn local(&self) -> String {
        format!("localhost:{}", self.port())
    }

    /// `host:port` as a guest sees the registry.
    pub fn guest(&self) -> String {
        guest_address(self.port())
    }

    /// Pushes `bytes` as a blob (distribution spec, "Pushing a blob monolithically").
    pub fn push_blob(&self, repository: &str, bytes: &[u8]) -> Result<Blob> {
        let digest = format!("sha256:{}", output::digest_of(bytes));
        let doing = || format!("pushing blob {digest} to {repository}");
        let opened = self
            .authorized(self.agent.post(self.url(repository, "blobs/uploads/")))
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
            .authorized(self.agent.put(format!("{location}{joint}digest={digest}")))
            .header("content-type", "application/octet-stream");
        upload.send(bytes).with_context(doing)?;
        Ok(Blob { digest, size: bytes.len() })
    }

    /// Pushes a manifest with these layers as `tag`, the way `oras push` makes one. Gives its digest.
    pub fn push_manifest(
        &self,
        repository: &str,
        tag: &str,
        layers: &[(&str, &Blob)],
    ) -> Result<String> {
        let layers: Vec<Value> =
            layers.iter().map(|(media_type, blob)| blob.descriptor(media_type)).collect();
        let config = self.push_blob(repository, EMPTY_CONFIG)?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": "application/vnd.unknown.artifact.v1",
            "config": config.descriptor("application/vnd.oci.empty.v1+json"),
            "layers": layers,
        })
        .to_string();
        let request = self.agent.put(self.url(repository, &format!("manifests/{tag}")));
        let request = self
            .authorized(request)
            .header("content-type", "application/vnd.oci.image.manifest.v1+json");
        request.send(&manifest).with_context(|| format!("pushing manifest {repository}:{tag}"))?;
        Ok(format!("sha256:{}", output::digest_of(manifest.as_bytes())))
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
        self.server
            .storage()
            .join("docker/registry/v2/blobs/sha256")
            .join(start)
            .join(hex)
            .join("data")
    }

    fn authorized(&self, request: RequestBuilder<WithBody>) -> RequestBuilder<WithBody> {
        match &self.authorization {
            Some(value) => request.header("authorization", value),
            None => request,
        }
    }

    fn url(&self, repository: &str, rest: &str) -> String {
        format!("{}://{}/v2/{repository}/{rest}", self.scheme, self.local())
    }
}

/// `host:port` as a guest sees a port of this machine's loopback.
pub fn guest_address(port: u16) -> String {
    format!("{GUEST_GATEWAY}:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::cmd;

    fn has_server() -> bool {
        ["docker-registry", "registry"].into_iter().any(|name| cmd::find(name).is_some())
    }

    /// A machine without a registry server is told by `cargo xtask setup`.
    #[test]
    fn a_restarted_registry_has_its_port_and_its_blobs() {
        if !has_server() {
            return;
        }
        let mut registry = Registry::start(Serve::Plain).unwrap();
        let blob = registry.push_disk("os", "1", b"bytes").unwrap();
        let url = registry.url("os", &format!("blobs/{}", blob.digest));
        registry.stop();
        assert!(ureq::get(&url).call().is_err());
        registry.restart().unwrap();
        assert_eq!(ureq::get(&url).call().unwrap().body_mut().read_to_vec().unwrap(), b"bytes");
    }

    #[test]
    fn a_manifest_is_found_by_the_digest_that_pushing_gives() {
        if !has_server() {
            return;
        }
        let registry = Registry::start(Serve::Plain).unwrap();
        let blob = registry.push_blob("os", b"bytes").unwrap();
        let digest = registry.push_manifest("os", "1", &[(DISK_LAYER, &blob)]).unwrap();
        let request = ureq::get(registry.url("os", &format!("manifests/{digest}")));
        let accept = "application/vnd.oci.image.manifest.v1+json";
        let text = request.header("accept", accept).call().unwrap().body_mut().read_to_string();
        assert!(text.unwrap().contains(&blob.digest));
    }

    #[test]
    fn a_private_registry_gives_nothing_without_the_login() {
        if !has_server() {
            return;
        }
        let files = ServerFiles::make().unwrap();
        let registry = Registry::start(Serve::Private(&files)).unwrap();
        registry.push_disk("os", "1", b"bytes").unwrap();
        let url = registry.url("os", "manifests/1");
        let get = || files.trusting_agent().unwrap().get(&url);
        assert!(matches!(get().call(), Err(ureq::Error::StatusCode(401))));
        let accept = "application/vnd.oci.image.manifest.v1+json";
        let login = format!("Basic {LOGIN}");
        assert!(get().header("accept", accept).header("authorization", login).call().is_ok());
    }
}
