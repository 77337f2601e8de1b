//! A registry on loopback that answers exactly as it is told, rightly or wrongly, and keeps a list of what it was asked. It checks no digest and
//! knows nothing of `ocidd`.

mod answer;
mod delivery;
mod http;
pub(crate) mod identity;
mod login;
mod ranges;
mod running;
mod script;
mod tests;

use std::{net::TcpListener, sync::Arc};

pub(crate) use answer::{Answer, Framing};
pub(crate) use http::Request;
pub(crate) use login::BASIC;
use login::Login;
pub(crate) use ranges::{Ranges, Span};
use running::Journal;
pub(crate) use running::{DeadEnd, Running};
use rustls::ServerConfig;
use script::Answers;
pub(crate) use script::Script;

use crate::images::Layer;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const DISK_LAYER: &str = "application/octet-stream+gzip";

/// Where a fake registry sends those who need a token: the service and scope that a client has to ask for are part of it.
pub(crate) const TOKEN_PATH: &str = "/token?service=fake%20registry&scope=repository%3Aos%3Apull";
/// Where those go who show an identity token, in a form.
pub(crate) const FORM_PATH: &str = "/token";
pub(crate) const TOKEN: &str = "open-sesame";

/// What an install asks a registry for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    Manifest,
    Blob,
}

/// A registry that does not run yet. It has its address already, so that its answers can hold it.
pub(crate) struct Fake {
    listener: TcpListener,
    /// What is answered, by path and query, to any method.
    pub(crate) answers: Answers,
    /// The `WWW-Authenticate` headers of those who come without [`TOKEN`] or a numbered one; none where everyone is welcome.
    pub(crate) challenges: Vec<String>,
    login: Login,
    /// Speaks TLS with this.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    layer: Layer,
    journal: Journal,
}

impl Fake {
    /// A faultless registry: the image is `os:1`, one layer.
    pub(crate) fn with(layer: &Layer) -> Self {
        let mut fake = Self {
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
            answers: Answers::default(),
            challenges: Vec::new(),
            login: Login::new(),
            tls: None,
            layer: layer.clone(),
            journal: Journal::default(),
        };
        fake.push(layer);
        fake
    }

    /// Another faultless registry with the same layer, as a mirror has it. Both keep one list of requests.
    pub(crate) fn mirror(&self) -> Self {
        Self { journal: Arc::clone(&self.journal), ..Self::with(&self.layer) }
    }

    /// Makes `layer` the one layer of the image.
    pub(crate) fn push(&mut self, layer: &Layer) {
        self.layer = layer.clone();
        let blob = Answer::new(200, "application/octet-stream", layer.compressed.clone());
        let blob = blob.header("Accept-Ranges", "bytes").ranges(Ranges::Honoured);
        self.answers.insert(self.blob_path(), blob);
        self.set_layers(&[DISK_LAYER]);
    }

    /// `host:port`, as in references.
    pub(crate) fn address(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    /// The same server by its other name.
    pub(crate) fn other_address(&self) -> String {
        format!("localhost:{}", self.listener.local_addr().unwrap().port())
    }

    pub(crate) fn layer(&self) -> &Layer {
        &self.layer
    }

    pub(crate) fn blob_path(&self) -> String {
        format!("/v2/os/blobs/{}", self.layer.digest)
    }

    pub(crate) fn path(&self, part: Part) -> String {
        match part {
            Part::Manifest => "/v2/os/manifests/1".to_owned(),
            Part::Blob => self.blob_path(),
        }
    }

    fn last(&mut self, part: Part) -> &mut Answer {
        let path = self.path(part);
        self.answers.at(&path).unwrap().last()
    }

    /// What is answered to those who want the blob; of several answers the last.
    pub(crate) fn blob(&mut self) -> &mut Answer {
        self.last(Part::Blob)
    }

    /// What is answered to those who want the tag; of several answers the last.
    pub(crate) fn manifest(&mut self) -> &mut Answer {
        self.last(Part::Manifest)
    }

    /// Answers for one part what `fault` makes of the right answer.
    pub(crate) fn spoil<S: Into<Script>>(&mut self, part: Part, fault: impl FnOnce(Answer) -> S) {
        let script = fault(self.last(part).clone());
        self.answers.insert(self.path(part), script);
    }

    /// Makes the tag's manifest one with the layer once for each of these media types.
    pub(crate) fn set_layers(&mut self, media_types: &[&str]) {
        let layers: Vec<_> =
            media_types.iter().map(|media_type| self.layer.descriptor(media_type)).collect();
        self.set_descriptors(&layers);
    }

    /// Makes the tag's manifest one with these layers.
    pub(crate) fn set_descriptors(&mut self, layers: &[serde_json::Value]) {
        self.set_manifest(MANIFEST, manifest_of(layers));
    }

    pub(crate) fn set_manifest(&mut self, media_type: &str, text: impl Into<Vec<u8>>) {
        let answer = Answer::new(200, media_type, text.into());
        let digest = answer.digest();
        self.answers.insert(
            "/v2/os/manifests/1".to_owned(),
            answer.header("Docker-Content-Digest", digest),
        );
    }

    /// Adds a manifest that is named by its digest alone, with `layer` as its only one. Gives its descriptor.
    pub(crate) fn add_manifest(&mut self, layer: &Layer) -> serde_json::Value {
        let text = Layer::new(manifest_of(&[layer.descriptor(DISK_LAYER)]));
        let answer = Answer::new(200, MANIFEST, text.compressed.clone());
        self.answers.insert(format!("/v2/os/manifests/{}", text.digest), answer);
        let blob = Answer::new(200, "application/octet-stream", layer.compressed.clone());
        self.answers.insert(format!("/v2/os/blobs/{}", layer.digest), blob);
        text.descriptor(MANIFEST)
    }

    /// Makes the tag an image index of these.
    pub(crate) fn set_index(&mut self, entries: &[serde_json::Value]) {
        let index =
            serde_json::json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
        self.set_manifest(INDEX, index.to_string());
    }

    /// Lets nobody in without a token, and sends all others to a token server on the same address that gives `answer`.
    pub(crate) fn demand_token(&mut self, answer: impl Into<Script>) {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        self.challenges = vec![format!(
            r#"Bearer realm="{scheme}://{}/token",service="fake registry",scope="repository:os:pull""#,
            self.address()
        )];
        self.answers.insert(TOKEN_PATH.to_owned(), answer);
    }

    /// The same for those who bring an identity token: nobody gets a token but by a form.
    pub(crate) fn demand_form(&mut self, answer: impl Into<Script>) {
        self.demand_token(Answer::unauthorized(&[]));
        self.answers.insert(FORM_PATH.to_owned(), answer);
    }

    /// Lets nobody in without [`BASIC`], shown to the registry itself.
    pub(crate) fn demand_basic(&mut self) {
        self.challenges = vec![r#"Basic realm="fake registry""#.to_owned()];
        self.login.credentials = vec![BASIC.to_owned()];
    }

    /// Lets in who shows this, and nobody else.
    pub(crate) fn open_by(&mut self, authorization: &str) {
        self.login.credentials = vec![authorization.to_owned()];
    }

    /// Lets a numbered token open so many requests and no more.
    pub(crate) fn wear_tokens(&mut self, uses: usize) {
        self.login.uses = uses;
    }

    /// Sends those who want the blob to `url`.
    pub(crate) fn redirect_blob(&mut self, url: &str) {
        *self.blob() = Answer::redirect(url);
    }

    /// Sends those who want the blob to `url`, which is `path` of this server, and answers there what was answered before.
    pub(crate) fn move_blob(&mut self, url: &str, path: &str) {
        let there = self.blob_path();
        let script = self.answers.replace(&there, Answer::redirect(url));
        self.answers.insert(path.to_owned(), script);
    }

    /// Runs until what is returned is dropped.
    pub(crate) fn serve(self) -> Running {
        Running::new(self)
    }
}

fn manifest_of(layers: &[serde_json::Value]) -> String {
    let config = Layer::new(b"{}").descriptor("application/vnd.oci.empty.v1+json");
    serde_json::json!(
        { "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers }
    )
    .to_string()
}
