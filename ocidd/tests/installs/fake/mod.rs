//! A registry on loopback that answers exactly as it is told, rightly or wrongly, and keeps a list of what it was asked. It checks no digest and
//! knows nothing of `ocidd`.

mod answer;
mod http;
pub(crate) mod identity;

pub(crate) use answer::Answer;
pub(crate) use answer::Framing;
pub(crate) use http::Request;

use crate::images::Layer;
use http::answer_requests;
use rustls::ServerConfig;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const DISK_LAYER: &str = "application/octet-stream+gzip";

/// Where a fake registry sends those who need a token: the service and scope that a client has to ask for are part of it.
pub(crate) const TOKEN_PATH: &str = "/token?service=fake%20registry&scope=repository%3Aos%3Apull";
pub(crate) const TOKEN: &str = "open-sesame";

/// A registry that does not run yet. It has its address already, so that its answers can hold it.
pub(crate) struct Fake {
    listener: TcpListener,
    /// What is answered, by path and query. Everything else is a 404.
    pub(crate) answers: BTreeMap<String, Answer>,
    /// The `WWW-Authenticate` headers of those who come without [`TOKEN`]; none where everyone is welcome.
    pub(crate) challenges: Vec<String>,
    /// Speaks TLS with this.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    layer: Layer,
}

impl Fake {
    /// A faultless registry: the image is `os:1`, one layer.
    pub(crate) fn with(layer: &Layer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut fake = Self {
            listener,
            answers: BTreeMap::new(),
            challenges: Vec::new(),
            tls: None,
            layer: layer.clone(),
        };
        fake.push(layer);
        fake
    }

    /// Makes `layer` the one layer of the image.
    pub(crate) fn push(&mut self, layer: &Layer) {
        self.layer = layer.clone();
        let blob = Answer::new(200, "application/octet-stream", layer.compressed.clone());
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

    /// What is answered to those who want the blob.
    pub(crate) fn blob(&mut self) -> &mut Answer {
        let path = self.blob_path();
        self.answers.get_mut(&path).unwrap()
    }

    /// What is answered to those who want the tag.
    pub(crate) fn manifest(&mut self) -> &mut Answer {
        self.answers.get_mut("/v2/os/manifests/1").unwrap()
    }

    /// Makes the tag's manifest one with the layer once for each of these media types.
    pub(crate) fn set_layers(&mut self, media_types: &[&str]) {
        let layers: Vec<_> =
            media_types.iter().map(|media_type| self.layer.descriptor(media_type)).collect();
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": Layer::new(b"{}").descriptor("application/vnd.oci.empty.v1+json"),
            "layers": layers,
        });
        self.set_manifest(MANIFEST, manifest.to_string());
    }

    pub(crate) fn set_manifest(&mut self, media_type: &str, text: impl Into<Vec<u8>>) {
        let answer = Answer::new(200, media_type, text.into());
        let digest = answer.digest();
        self.answers.insert(
            "/v2/os/manifests/1".to_owned(),
            answer.header("Docker-Content-Digest", digest),
        );
    }

    /// Lets nobody in without [`TOKEN`], and sends all others to a token server on the same address that gives `answer`.
    pub(crate) fn demand_token(&mut self, answer: Answer) {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        self.challenges = vec![format!(
            r#"Bearer realm="{scheme}://{}/token",service="fake registry",scope="repository:os:pull""#,
            self.address()
        )];
        self.answers.insert(TOKEN_PATH.to_owned(), answer);
    }

    /// Sends those who want the blob to `url`.
    pub(crate) fn redirect_blob(&mut self, url: &str) {
        *self.blob() = Answer::new(307, "text/plain", Vec::new()).header("Location", url);
    }

    /// Runs until what is returned is dropped.
    pub(crate) fn serve(self) -> Running {
        let address = self.address();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stopped = Arc::new(AtomicBool::new(false));
        let thread = {
            let (requests, stopped) = (Arc::clone(&requests), Arc::clone(&stopped));
            std::thread::spawn(move || self.accept(&requests, &stopped))
        };
        Running { address, requests, stopped, thread: Some(thread) }
    }

    fn accept(self, requests: &Arc<Mutex<Vec<Request>>>, stopped: &AtomicBool) {
        let Self { listener, answers, challenges, tls, .. } = self;
        let answer = Arc::new(move |request: &Request| {
            if request.path.starts_with("/v2/") && !challenges.is_empty() && !request.has_token() {
                return Answer::unauthorized(&challenges);
            }
            answers.get(&request.path).cloned().unwrap_or_else(Answer::not_found)
        });
        while let Ok((stream, _)) = listener.accept() {
            if stopped.load(Ordering::SeqCst) {
                return;
            }
            let (answer, requests, tls) = (Arc::clone(&answer), Arc::clone(requests), tls.clone());
            // Each ends with its connection; a client that has gone away is no fault of a test.
            std::thread::spawn(move || answer_requests(stream, tls, &*answer, &requests).ok());
        }
    }
}

/// A registry that answers.
pub(crate) struct Running {
    pub(crate) address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// What was asked so far, in order.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        if TcpStream::connect(&self.address).is_ok()
            && let Some(thread) = self.thread.take()
        {
            thread.join().ok();
        }
    }
}

/// An address that nobody listens on, and that nobody else can get as long as this lives: the near end of a connection.
pub(crate) struct DeadEnd {
    near: TcpStream,
    _listener: TcpListener,
}

impl DeadEnd {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Self { near, _listener: listener }
    }

    pub(crate) fn address(&self) -> String {
        self.near.local_addr().unwrap().to_string()
    }
}
