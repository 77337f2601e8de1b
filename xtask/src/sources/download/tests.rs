//! Downloads from small servers on loopback, which answer as real ones do, or as broken ones do.

pub mod again;
mod proxies;

use super::*;
use crate::testbed::authority::ServerFiles;
use std::io::BufRead as _;
use std::io::BufReader;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Answers one connection with these bytes, after reading the request, and closes it.
pub fn serve(answer: Vec<u8>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/dir/part.txt", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = BufReader::new(stream.try_clone().unwrap()).lines();
        while request.next().is_some_and(|line| !line.unwrap().is_empty()) {}
        stream.write_all(&answer).unwrap();
    });
    (url, server)
}

/// A whole answer to a GET.
pub fn answer(status: &str, length: usize, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .into_bytes()
}

/// A client that soon gives up.
pub fn hasty(milliseconds: u64) -> Client {
    let brief = Duration::from_millis(milliseconds);
    Client::with(Patience { connect: brief, stall: brief })
}

fn fetch(url: &str, file: &mut Vec<u8>) -> Result<u64, DownloadError> {
    Client::default().fetch(url, "part", file)
}

fn fetched(bytes: Vec<u8>) -> (Result<u64, DownloadError>, Vec<u8>) {
    let (url, server) = serve(bytes);
    let mut file = Vec::new();
    let outcome = fetch(&url, &mut file);
    server.join().unwrap();
    (outcome, file)
}

/// An address nobody listens on: it was ours a moment ago.
pub fn refusing_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/part.txt", listener.local_addr().unwrap())
}

#[test]
fn a_file_arrives_whole() {
    let (outcome, file) = fetched(answer("200 OK", 5, "hello"));
    assert_eq!(outcome.unwrap(), 5);
    assert_eq!(file, b"hello");
}

#[test]
fn a_cut_transfer_is_an_error_that_counts_bytes() {
    let (outcome, _) = fetched(answer("200 OK", 9, "hello"));
    assert_eq!(outcome.unwrap_err().to_string(), "the transfer ended after 5 of 9 bytes");
}

#[test]
fn an_error_status_does_not_mean_unreachable() {
    for (status, code) in
        [("404 Not Found", 404), ("403 Forbidden", 403), ("503 Service Unavailable", 503)]
    {
        let (outcome, _) = fetched(answer(status, 0, ""));
        assert!(
            matches!(outcome, Err(DownloadError::Status(found)) if found == code),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_refused_connection_means_unreachable() {
    let outcome = fetch(&refusing_url(), &mut Vec::new());
    assert!(
        matches!(&outcome, Err(DownloadError::Unreachable { host, .. }) if host.starts_with("127.0.0.1:")),
        "{outcome:?}"
    );
}

#[test]
fn an_unknown_name_means_unreachable() {
    // RFC 2606 keeps `.invalid` free, so no resolver knows it and no query need leave the machine.
    let outcome = fetch("http://host.invalid/part.txt", &mut Vec::new());
    assert!(
        matches!(&outcome, Err(DownloadError::Unreachable { host, .. }) if host == "host.invalid"),
        "{outcome:?}"
    );
}

#[test]
fn a_tls_handshake_cut_short_means_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/part.txt", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let outcome = fetch(&url, &mut Vec::new());
    server.join().unwrap();
    assert!(matches!(outcome, Err(DownloadError::Unreachable { .. })), "{outcome:?}");
}

/// Shows a certificate to one client, and ends whatever comes of it.
pub fn serve_tls(files: &ServerFiles) -> (String, JoinHandle<()>) {
    let config = fake::server_config(files);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/part.txt", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        // The client breaks off, which is the point.
        while connection.is_handshaking() && connection.complete_io(&mut stream).is_ok() {}
    });
    (url, server)
}

/// Otherwise whoever stands between this machine and a host could make a build take other sources.
#[test]
fn a_bad_certificate_does_not_mean_unreachable() {
    let (url, server) = serve_tls(&ServerFiles::make().unwrap());
    let outcome = fetch(&url, &mut Vec::new());
    server.join().unwrap();
    let error = outcome.unwrap_err();
    assert!(matches!(error, DownloadError::Unproven { .. }), "{error:?}");
    let text = error.to_string();
    for said in ["whoever answers as '127.0.0.1:", "SSL_CERT_FILE", "clock"] {
        assert!(text.contains(said), "{text}");
    }
}

/// A captive portal, for one, or a filter that answers in the host's place.
#[test]
fn an_answer_that_is_no_tls_means_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/part.txt", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(&answer("403 Forbidden", 0, "")).unwrap();
        std::io::copy(&mut stream, &mut std::io::sink()).ok();
    });
    let outcome = fetch(&url, &mut Vec::new());
    server.join().unwrap();
    assert!(matches!(outcome, Err(DownloadError::Unreachable { .. })), "{outcome:?}");
}

#[test]
fn silence_means_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/part.txt", listener.local_addr().unwrap());
    let outcome = hasty(50).fetch(&url, "part", &mut Vec::new());
    assert!(matches!(outcome, Err(DownloadError::Unreachable { .. })), "{outcome:?}");
}

#[test]
fn silence_amid_the_body_means_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/part.txt", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(&answer("200 OK", 9, "hello")).unwrap();
        // Held open until the client gives up and closes its end.
        std::io::copy(&mut stream, &mut std::io::sink()).ok();
    });
    let outcome = hasty(200).fetch(&url, "part", &mut Vec::new());
    server.join().unwrap();
    assert!(
        matches!(&outcome, Err(DownloadError::Unreachable { reason, .. }) if reason == "silent after 5 bytes"),
        "{outcome:?}"
    );
}

#[test]
fn host_is_what_stands_between_scheme_and_path() {
    for (url, wanted) in [
        ("https://a.example/x/y", "a.example"),
        ("http://127.0.0.1:80?q", "127.0.0.1:80"),
        ("a.example/x", "a.example"),
    ] {
        assert_eq!(host(url), wanted);
    }
}
