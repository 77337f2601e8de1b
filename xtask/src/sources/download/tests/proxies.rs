//! The proxies of the environment. The hosts asked for do not exist, so only a proxy can bring their files.

use super::again;
use super::fake::Answer;
use super::fake::FakeUpstream;
use super::refusing_url;
use crate::sources::download::Client;
use crate::sources::download::DownloadError;
use crate::testbed::authority::ServerFiles;

/// Set to the URL that a second process shall fetch.
const URL: &str = "XTASK_TEST_URL";

#[test]
fn second_process_fetches() {
    if again::is_second() {
        let mut file = Vec::new();
        let outcome = Client::default().fetch(&again::variable(URL), "part", &mut file);
        match outcome {
            Ok(_) => eprintln!("got {}", String::from_utf8_lossy(&file)),
            Err(error @ DownloadError::Unreachable { .. }) => eprintln!("unreachable: {error}"),
            Err(error) => eprintln!("other: {error:?}"),
        }
    }
}

/// What a process with these variables says of fetching `url`.
fn fetched(url: &str, variables: &[(&str, &str)]) -> String {
    let variables = [variables, &[(URL, url)]].concat();
    again::run("sources::download::tests::proxies::second_process_fetches", &variables)
}

fn hello() -> [(&'static str, Answer); 1] {
    [("/part.txt", Answer::File(b"hello".to_vec()))]
}

#[test]
fn plain_http_goes_through_http_proxy() {
    let proxy = FakeUpstream::start(hello());
    let address = proxy.url("");
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy"] {
        let told = fetched("http://upstream.invalid/part.txt", &[(name, &address)]);
        assert!(told.contains("got hello"), "{name}: {told}");
    }
    assert_eq!(
        proxy.requests().first().map(String::as_str),
        Some("CONNECT upstream.invalid:80 HTTP/1.1")
    );
}

#[test]
fn https_goes_through_https_proxy_and_still_checks_the_certificate() {
    let files = ServerFiles::make().unwrap();
    let bundle = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(bundle.path(), &files.authority).unwrap();
    let trust = ("SSL_CERT_FILE", bundle.path().to_str().unwrap());
    let proxy = FakeUpstream::start_with(hello(), Some(&files));
    let address = proxy.url("");
    let told = fetched("https://localhost:1/part.txt", &[("https_proxy", &address), trust]);
    assert!(told.contains("got hello"), "{told}");
    assert_eq!(
        proxy.requests(),
        ["CONNECT localhost:1 HTTP/1.1", "GET /part.txt HTTP/1.1"].map(str::to_owned)
    );
    // The certificate is for localhost.
    let told = fetched("https://upstream.invalid/part.txt", &[("https_proxy", &address), trust]);
    assert!(told.contains("other: Unproven"), "{told}");
}

#[test]
fn each_scheme_has_its_own_proxy() {
    let proxy = FakeUpstream::start(hello());
    let address = proxy.url("");
    let told = fetched("https://upstream.invalid/part.txt", &[("http_proxy", &address)]);
    assert!(told.contains("unreachable: 'upstream.invalid' cannot be reached"), "{told}");
    let told = fetched("http://upstream.invalid/part.txt", &[("https_proxy", &address)]);
    assert!(told.contains("unreachable: 'upstream.invalid' cannot be reached"), "{told}");
    assert_eq!(proxy.requests(), Vec::<String>::new());
}

#[test]
fn no_proxy_names_hosts_that_are_reached_without() {
    let (proxy, host) = (FakeUpstream::start(hello()), FakeUpstream::start(hello()));
    let address = proxy.url("");
    for name in ["no_proxy", "NO_PROXY"] {
        let variables = [("http_proxy", address.as_str()), (name, "other.example, 127.0.0.1")];
        let told = fetched(&host.url("/part.txt"), &variables);
        assert!(told.contains("got hello"), "{name}: {told}");
    }
    assert_eq!((proxy.requests().len(), host.requests().len()), (0, 2));
}

#[test]
fn a_proxy_that_is_down_means_unreachable_and_is_named() {
    let url = refusing_url();
    let address = url.trim_end_matches("/part.txt");
    let told = fetched("http://upstream.invalid/part.txt", &[("http_proxy", address)]);
    let host = address.trim_start_matches("http://");
    let wanted =
        format!("unreachable: 'upstream.invalid' cannot be reached: through the proxy {host}: ");
    assert!(told.contains(&wanted), "{told}");
}
