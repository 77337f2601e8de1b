//! Downloads from small servers on loopback, some of which are broken.

pub mod again;
pub mod fake;
mod proxies;

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    sync::Arc,
    thread::JoinHandle,
};

use super::*;
use crate::testbed::authority::ServerFiles;

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

/// A complete answer to a GET.
pub fn answer(status: &str, length: usize, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .into_bytes()
}

/// A client with a short timeout.
pub fn hasty(milliseconds: u64) -> Client {
    Client { timeout: Duration::from_millis(milliseconds) }
}

fn fetch(url: &str, file: &mut Vec<u8>) -> Result<u64, DownloadError> {
    Client::default().try_fetch(url, "part", file, u64::MAX)
}

fn fetched(bytes: Vec<u8>) -> (Result<u64, DownloadError>, Vec<u8>) {
    let (url, server) = serve(bytes);
    let mut file = Vec::new();
    let outcome = fetch(&url, &mut file);
    server.join().unwrap();
    (outcome, file)
}

/// A URL that refuses connections: its port was in use just before.
pub fn refusing_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/part.txt", listener.local_addr().unwrap())
}

#[test]
fn fetches_file() {
    let (outcome, file) = fetched(answer("200 OK", 5, "hello"));
    assert_eq!(outcome.unwrap(), 5);
    assert_eq!(file, b"hello");
}

#[test]
fn reports_bytes_of_truncated_transfer() {
    let (outcome, _) = fetched(answer("200 OK", 9, "hello"));
    assert_eq!(outcome.unwrap_err().to_string(), "the transfer ended after 5 of 9 bytes");
}

#[test]
fn error_status_is_not_unreachable() {
    for (status, code) in
        [("404 Not Found", 404), ("403 Forbidden", 403), ("503 Service Unavailable", 503)]
    {
        let (outcome, _) = fetched(answer(status, 0, ""));
        let error = outcome.unwrap_err();
        assert!(matches!(error, DownloadError::Other(_)), "{error:?}");
        assert_eq!(error.to_string(), format!("the server answered {code}"));
    }
}

#[test]
fn refused_connection_is_unreachable() {
    let outcome = fetch(&refusing_url(), &mut Vec::new());
    assert!(
        matches!(&outcome, Err(DownloadError::Unreachable { host, .. }) if host.starts_with("127.0.0.1:")),
        "{outcome:?}"
    );
}

#[test]
fn unknown_host_is_unreachable() {
    // RFC 2606 reserves `.invalid`, so no resolver knows it.
    let outcome = fetch("http://host.invalid/part.txt", &mut Vec::new());
    assert!(
        matches!(&outcome, Err(DownloadError::Unreachable { host, .. }) if host == "host.invalid"),
        "{outcome:?}"
    );
}

#[test]
fn broken_tls_handshake_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/part.txt", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let outcome = fetch(&url, &mut Vec::new());
    server.join().unwrap();
    assert!(matches!(outcome, Err(DownloadError::Unreachable { .. })), "{outcome:?}");
}

/// Shows a certificate to one client, then stops.
pub fn serve_tls(files: &ServerFiles) -> (String, JoinHandle<()>) {
    let config = fake::server_config(files);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/part.txt", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        // The client ends the handshake.
        while connection.is_handshaking() && connection.complete_io(&mut stream).is_ok() {}
    });
    (url, server)
}

/// Otherwise a man in the middle could make a build use other sources.
#[test]
fn untrusted_certificate_is_not_unreachable() {
    let (url, server) = serve_tls(&ServerFiles::make().unwrap());
    let outcome = fetch(&url, &mut Vec::new());
    server.join().unwrap();
    let DownloadError::Other(error) = outcome.unwrap_err() else { panic!("unreachable") };
    let text = report::lines(&error);
    for part in ["the TLS certificate of '127.0.0.1:", "\nhint: ", "SSL_CERT_FILE", "clock"] {
        assert!(text.contains(part), "{text}");
    }
}

/// For example a captive portal, or a filter that answers instead of the host.
#[test]
fn answer_without_tls_is_unreachable() {
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
fn an_answer_that_is_not_http_is_an_error_of_the_host() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/part.txt", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"no HTTP at all\r\n\r\n").unwrap();
    });
    let outcome = hasty(5000).try_fetch(&url, "part", &mut Vec::new(), u64::MAX);
    server.join().unwrap();
    assert!(matches!(outcome, Err(DownloadError::Other(_))), "{outcome:?}");
}

#[test]
fn silence_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/part.txt", listener.local_addr().unwrap());
    let outcome = hasty(50).try_fetch(&url, "part", &mut Vec::new(), u64::MAX);
    assert!(matches!(outcome, Err(DownloadError::Unreachable { .. })), "{outcome:?}");
}

#[test]
fn silence_in_the_body_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/part.txt", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(&answer("200 OK", 9, "hello")).unwrap();
        // Held open until the client gives up and closes its end.
        std::io::copy(&mut stream, &mut std::io::sink()).ok();
    });
    let outcome = hasty(200).try_fetch(&url, "part", &mut Vec::new(), u64::MAX);
    server.join().unwrap();
    assert!(
        matches!(&outcome, Err(DownloadError::Unreachable { reason, .. }) if reason == "silent after 5 bytes"),
        "{outcome:?}"
    );
}

#[test]
fn host_is_between_scheme_and_path() {
    for (url, wanted) in [
        ("https://a.example/x/y", "a.example"),
        ("http://127.0.0.1:80?q", "127.0.0.1:80"),
        ("a.example/x", "a.example"),
    ] {
        assert_eq!(host(url), wanted);
    }
}

#[test]
fn scheme_selects_the_proxy_variable() {
    let (http, https, all) =
        (("http_proxy", "http://a:1"), ("HTTPS_PROXY", "http://b:2"), ("ALL_PROXY", "http://c:3"));
    for (url, variables, expected) in [
        ("http://host/x", vec![http, https, all], Some("http://a:1")),
        ("https://host/x", vec![http, https, all], Some("http://b:2")),
        ("https://host/x", vec![http, all], Some("http://c:3")),
        ("https://host/x", vec![http], None),
        ("https://host/x", vec![("https_proxy", ""), http], None),
        ("https://host/x", vec![https, ("no_proxy", "other,host")], None),
        ("https://host/x", vec![https, ("NO_PROXY", "other")], Some("http://b:2")),
        ("http://host/x", vec![], None),
    ] {
        let value = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        assert_eq!(choose_proxy(url, value).as_deref(), expected, "{url} {variables:?}");
    }
}

#[test]
fn no_proxy_contains_hosts_and_domains() {
    for (host, list, expected) in [
        ("cdn.kernel.org", "kernel.org", true),
        ("cdn.kernel.org", ".kernel.org", true),
        ("cdn.kernel.org", "*.kernel.org", true),
        ("cdn.kernel.org", "a.example, CDN.kernel.org", true),
        ("cdn.kernel.org", "*", true),
        ("notkernel.org", "kernel.org", false),
        ("kernel.org.example", "kernel.org", false),
        ("127.0.0.1", "127.0.0.1", true),
        ("cdn.kernel.org", "", false),
    ] {
        assert_eq!(is_exception(host, list), expected, "{host} in '{list}'");
    }
    for (host, name) in [("host:80", "host"), ("[::1]:80", "::1"), ("host", "host")] {
        assert!(is_exception(host, name), "{host} in '{name}'");
    }
}

#[test]
fn full_disk_is_not_a_broken_transfer() {
    let (url, server) = serve(answer("200 OK", 5, "hello"));
    let mut full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let outcome = Client::default().try_fetch(&url, "part", &mut full, u64::MAX);
    server.join().unwrap();
    let error = format!("{:#}", outcome.unwrap_err().into_anyhow());
    assert!(error.starts_with("writing the file broke off after 5 bytes: No space"), "{error}");
}
