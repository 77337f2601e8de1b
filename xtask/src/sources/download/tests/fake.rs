//! A server on loopback in place of an upstream host or a proxy. It answers each path as configured
//! and records the requests.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use crate::testbed::authority::ServerFiles;

/// The answer to a path. Other paths are answered with 404.
#[derive(Clone, Debug)]
pub enum Answer {
    File(Vec<u8>),
    Status(u16),
    /// The beginning of a file whose announced length is one byte larger.
    Cut(Vec<u8>),
    /// The same, and the connection stays open.
    Stall(Vec<u8>),
    /// Nothing at all, and the connection stays open.
    Silence,
    /// Another URL, or path.
    Redirect(String),
}

/// The server; it ends when dropped.
#[derive(Debug)]
pub struct FakeUpstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    answers: Mutex<BTreeMap<String, Answer>>,
    /// The first lines of all requests.
    requests: Mutex<Vec<String>>,
    tls: Option<Arc<rustls::ServerConfig>>,
}

impl FakeUpstream {
    pub fn start<'a>(answers: impl IntoIterator<Item = (&'a str, Answer)>) -> Self {
        Self::start_with(answers, None)
    }

    /// The same, with TLS after a `CONNECT`.
    pub fn start_with<'a>(
        answers: impl IntoIterator<Item = (&'a str, Answer)>,
        tls: Option<&ServerFiles>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answers = answers.into_iter().map(|(path, answer)| (path.to_owned(), answer)).collect();
        let shared = Arc::new(Shared {
            answers: Mutex::new(answers),
            requests: Mutex::default(),
            tls: tls.map(|files| Arc::new(server_config(files))),
        });
        let for_clients = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&for_clients);
                // Dropping the server makes a connection without a request.
                let stream = stream.unwrap();
                if stream.peek(&mut [0]).unwrap_or_default() == 0 {
                    break;
                }
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn answer(&self, path: &str, answer: Answer) {
        self.shared.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// The first lines of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }
}

impl Drop for FakeUpstream {
    fn drop(&mut self) {
        drop(TcpStream::connect(self.address));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        let Some(asked) = self.read_request(&mut stream) else { return };
        if !asked.starts_with("CONNECT ") {
            self.give(&asked, &mut stream);
            return;
        }
        // It is every host itself.
        stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
        match &self.tls {
            None => self.serve(stream),
            Some(config) => {
                let connection = rustls::ServerConnection::new(Arc::clone(config)).unwrap();
                let mut stream = rustls::StreamOwned::new(connection, stream);
                if let Some(asked) = self.read_request(&mut stream) {
                    self.give(&asked, &mut stream);
                    stream.conn.send_close_notify();
                    stream.flush().ok();
                }
            }
        }
    }

    /// The request's first line; the rest is read and dropped.
    fn read_request(&self, stream: &mut impl Read) -> Option<String> {
        // Byte by byte: what follows a CONNECT is not part of this request.
        let mut lines = BufReader::with_capacity(1, stream).lines();
        let first = lines.next()?.ok()?;
        while lines.next()?.ok().is_some_and(|line| !line.is_empty()) {}
        self.requests.lock().unwrap().push(first.clone());
        Some(first)
    }

    fn give(&self, asked: &str, stream: &mut (impl Read + Write)) {
        let path = asked.split(' ').nth(1).unwrap_or_default();
        let answer = self.answers.lock().unwrap().get(path).cloned();
        let (status, more, length, body) = match answer.unwrap_or(Answer::Status(404)) {
            Answer::File(bytes) => (200, String::new(), bytes.len(), bytes),
            Answer::Cut(bytes) | Answer::Stall(bytes) => {
                (200, String::new(), bytes.len() + 1, bytes)
            }
            Answer::Status(status) => (status, String::new(), 0, Vec::new()),
            Answer::Redirect(to) => (302, format!("Location: {to}\r\n"), 0, Vec::new()),
            Answer::Silence => return hold(stream),
        };
        let head = format!(
            "HTTP/1.1 {status} Answer\r\n{more}Content-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        // The client may have closed the connection.
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).ok();
        stream.flush().ok();
        if matches!(self.answers.lock().unwrap().get(path), Some(Answer::Stall(_))) {
            hold(stream);
        }
    }
}

/// Keeps a connection until the client gives up.
fn hold(stream: &mut impl Read) {
    std::io::copy(stream, &mut std::io::sink()).ok();
}

/// A server that shows the certificate of `files`.
pub fn server_config(files: &ServerFiles) -> rustls::ServerConfig {
    let certificate = CertificateDer::from_pem_file(&files.certificate).unwrap();
    let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}
