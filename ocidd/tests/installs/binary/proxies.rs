//! Proxies that are wrong, dead or refuse: what the console says and with which exit code it ends.

use std::net::TcpListener;

use super::{Ended, Scene};
use crate::{proxy::Proxy, run::By};

/// An install through this proxy, over plain HTTP or not.
fn run(scene: &Scene, is_plain: bool, proxy: &str) -> Ended {
    let tag = scene.word(By::Tag);
    let (http, https) = (format!("http_proxy={proxy}"), format!("https_proxy={proxy}"));
    let plain = if is_plain { "oci.allow_no_tls" } else { "oci.allow_no_tls=no" };
    let words = ["quiet", &tag, plain, "oci.retries=0", &scene.disk, &http, &https];
    super::run_with(&[("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")], &words, "")
}

#[test]
fn rejects_proxies_and_exceptions_that_are_not_supported() {
    let scene = Scene::new(|_| ());
    for (parameter, says) in [
        ("http_proxy=socks5://127.0.0.1:1080", "http_proxy: invalid value, expected"),
        ("https_proxy=socks5h://u:S3cret@127.0.0.1", "https_proxy: invalid value, expected"),
        ("http_proxy=http://127.0.0.1:99999", "http_proxy: invalid value, expected"),
        ("no_proxy=127.0.0.1,10.0.0.0/33", "no_proxy: invalid value '10.0.0.0/33', expected"),
        ("no_proxy=http://127.0.0.1", "no_proxy: invalid value 'http://127.0.0.1', expected"),
    ] {
        let ended = scene.run(&[parameter], "");
        ended.assert(parameter, 2, &[says]);
        assert!(!ended.stderr.contains("S3cret"), "{}", ended.stderr);
        if !parameter.starts_with("no_proxy") {
            assert!(ended.stderr.contains("supported schemes are http and https"));
        }
    }
    assert_eq!(scene.registry.requests().len(), 0);
}

#[test]
fn names_dead_and_unknown_proxies() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let scene = Scene::new(|_| ());
    for is_plain in [true, false] {
        for (scheme, proxy) in
            [("http", &*closed), ("https", &closed), ("http", "proxy.invalid:3128")]
        {
            let ended = run(&scene, is_plain, &format!("{scheme}://user:S3cret@{proxy}"));
            let through = format!("{} through the proxy {proxy}: ", scene.registry.address);
            ended.assert("names", 4, &[&through, "error unreachable (exit code 4)"]);
            assert!(!ended.stderr.contains("S3cret"), "{}", ended.stderr);
        }
    }
}

#[test]
fn a_refusing_proxy_is_named_and_not_asked_again() {
    let scene = Scene::new(|_| ());
    for (status, id) in [
        ("407 Proxy Authentication Required", "login-refused"),
        ("403 Forbidden", "refused"),
        ("405 Method Not Allowed", "refused"),
        ("502 Bad Gateway", "unreachable"),
    ] {
        for is_plain in [true, false] {
            // A proxy's 405 and 502 are the registry's for absolute URLs.
            if is_plain && !matches!(&status[..3], "407" | "403") {
                continue;
            }
            let proxy = Proxy::answering(status);
            let tag = scene.word(By::Tag);
            let url = format!("http://{}", proxy.address);
            let words = [&*format!("http_proxy={url}"), &*format!("https_proxy={url}")];
            let plain = if is_plain { "oci.allow_no_tls" } else { "oci.allow_no_tls=no" };
            let retries = if id == "unreachable" { "oci.retries=0" } else { "oci.retries=3" };
            let words = [&["quiet", &tag, plain, retries, &scene.disk], &words[..]].concat();
            let ended = super::run_with(&[], &words, "");
            let says =
                format!("through the proxy {}: the proxy answered {}", proxy.address, &status[..3]);
            ended.assert(status, 4, &[&says, &format!("error {id} (exit code 4)")]);
            assert_eq!(proxy.connected().len(), 1, "{status}");
        }
    }
}

#[test]
fn a_proxy_without_tls_is_named() {
    let scene = Scene::new(|_| ());
    let proxy = Proxy::answering("400 Bad Request");
    for is_plain in [true, false] {
        let ended = run(&scene, is_plain, &format!("https://{}", proxy.address));
        let says = format!("through the proxy {}: the proxy does not support TLS", proxy.address);
        ended.assert("without TLS", 4, &[&says, "hint: use http:// in the URL of the proxy"]);
    }
}

#[test]
fn the_proxy_receives_the_login_once_per_tunnel_and_request() {
    let scene = Scene::new(|_| ());
    let proxy = Proxy::start();
    for is_plain in [true, false] {
        run(&scene, is_plain, &format!("http://user:p%40ss@{}", proxy.address));
    }
    let heads = proxy.heads();
    assert!(heads.len() >= 2, "{heads:?}");
    for head in heads {
        let login = head.to_ascii_lowercase().matches("proxy-authorization: basic ").count();
        assert_eq!(login, 1, "{head}");
        assert!(head.contains("dXNlcjpwQHNz"), "{head}");
    }
    for request in scene.registry.requests() {
        assert_eq!(
            request.header("user-agent").map(|agent| agent.starts_with("ocidd/")),
            Some(true)
        );
    }
}
