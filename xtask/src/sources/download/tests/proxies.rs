//! Proxies of the environment. The requested hosts do not exist, so files come only from a proxy.

use super::{
    again,
    fake::{Answer, FakeUpstream},
    refusing_url,
};
use crate::{
    sources::download::{Client, DownloadError},
    testbed::authority::ServerFiles,
};

/// The URL that a second process fetches.
const URL: &str = "XTASK_TEST_URL";

#[test]
fn second_process_fetches() {
    if again::is_second() {
        let mut file = Vec::new();
        let outcome =
            Client::default().try_fetch(&again::variable(URL), "part", &mut file, u64::MAX);
        match outcome {
            Ok(_) => eprintln!("got {}", String::from_utf8_lossy(&file)),
            Err(error @ DownloadError::Unreachable { .. }) => eprintln!("unreachable: {error}"),
            Err(error) => eprintln!("other: {error}"),
        }
    }
}

/// What a process with these variables prints about fetching `url`.
fn fetched(url: &str, variables: &[(&str, &str)]) -> String {
    let variables = [variables, &[(URL, url)]].concat();
    again::run("sources::download::tests::proxies::second_process_fetches", &variables)
}

fn hello() -> [(&'static str, Answer); 1] {
    [("/part.txt", Answer::File(b"hello".to_vec()))]
}

#[test]
fn plain_http_uses_http_proxy() {
    let proxy = FakeUpstream::start(hello());
    let address = proxy.url("");
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy"] {
        let output = fetched("http://upstream.invalid/part.txt", &[(name, &address)]);
        assert!(output.contains("got hello"), "{name}: {output}");
    }
    assert_eq!(
        proxy.requests().first().map(String::as_str),
        Some("CONNECT upstream.invalid:80 HTTP/1.1")
    );
}

#[test]
fn https_uses_https_proxy_and_verifies_the_certificate() {
    let files = ServerFiles::make().unwrap();
    let bundle = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(bundle.path(), &files.authority).unwrap();
    let trust = ("SSL_CERT_FILE", bundle.path().to_str().unwrap());
    let proxy = FakeUpstream::start_with(hello(), Some(&files));
    let address = proxy.url("");
    let output = fetched("https://localhost:1/part.txt", &[("https_proxy", &address), trust]);
    assert!(output.contains("got hello"), "{output}");
    assert_eq!(
        proxy.requests(),
        ["CONNECT localhost:1 HTTP/1.1", "GET /part.txt HTTP/1.1"].map(str::to_owned)
    );
    // The certificate is for localhost.
    let output = fetched("https://upstream.invalid/part.txt", &[("https_proxy", &address), trust]);
    assert!(output.contains("other: the TLS certificate of 'upstream.invalid'"), "{output}");
}

#[test]
fn each_scheme_has_its_own_proxy() {
    let proxy = FakeUpstream::start(hello());
    let address = proxy.url("");
    let output = fetched("https://upstream.invalid/part.txt", &[("http_proxy", &address)]);
    assert!(output.contains("unreachable: 'upstream.invalid' cannot be reached"), "{output}");
    let output = fetched("http://upstream.invalid/part.txt", &[("https_proxy", &address)]);
    assert!(output.contains("unreachable: 'upstream.invalid' cannot be reached"), "{output}");
    assert_eq!(proxy.requests(), Vec::<String>::new());
}

#[test]
fn hosts_in_no_proxy_use_no_proxy() {
    let (proxy, host) = (FakeUpstream::start(hello()), FakeUpstream::start(hello()));
    let address = proxy.url("");
    for name in ["no_proxy", "NO_PROXY"] {
        let variables = [("http_proxy", address.as_str()), (name, "other.example, 127.0.0.1")];
        let output = fetched(&host.url("/part.txt"), &variables);
        assert!(output.contains("got hello"), "{name}: {output}");
    }
    assert_eq!((proxy.requests().len(), host.requests().len()), (0, 2));
}

#[test]
fn unreachable_proxy_is_named() {
    let url = refusing_url();
    let address = url.trim_end_matches("/part.txt");
    let output = fetched("http://upstream.invalid/part.txt", &[("http_proxy", address)]);
    let host = address.trim_start_matches("http://");
    let expected =
        format!("unreachable: 'upstream.invalid' cannot be reached: through the proxy {host}: ");
    assert!(output.contains(&expected), "{output}");
}
