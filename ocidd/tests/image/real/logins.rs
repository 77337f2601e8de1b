//! A real registry that wants a login, and one that proves who it is.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::{LOGIN, Registry, Serve, other};
use crate::ours::Author;

#[test]
fn a_login_by_password_opens_a_private_registry() {
    let registry = Registry::start(&Serve::Private);
    let reference = registry.reference("os:1");
    let author = Author::new();
    author.write("disk.raw", "a disk");
    let words = ["push", "disk.raw", &reference];
    author.fails(
        &words,
        "requires a login\nocidd: hint: put user and password into the file passed with --authfile",
    );
    let auths = |auth: &str| {
        serde_json::json!({ "auths": { registry.address.as_str(): { "auth": auth } } }).to_string()
    };
    author.write(".docker/config.json", auths("dGVzdGVyOndyb25n"));
    author.fails(&words, "showing the login of user 'tester' from ");
    author.write(".docker/config.json", auths(LOGIN));
    author.push(&words[1..]);
    author.ok(&["attach", "disk.raw", &reference, "--type", "a/b"]);
    let url = author.json(&["url", "--layer", "0", &reference]);
    assert_eq!(url["headers"]["Authorization"][0], format!("Basic {LOGIN}"));
    let curl = [
        "-sfL",
        "-H",
        &format!("Authorization: {}", url["headers"]["Authorization"][0].as_str().unwrap()),
        "-o",
        "fetched.gz",
        url["url"].as_str().unwrap(),
    ];
    other(&author, "curl", &curl);
    author.ok(&["pull", &reference]);
    assert_eq!(author.read("fetched.gz"), author.read("disk.raw.gz"));
}

/// Certificates in the author's folder: of an authority, of a server, and of another authority.
pub(super) fn add_certificates(author: &Author) {
    let authority = || {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let issuer = authority();
    let key = KeyPair::generate().unwrap();
    let names = ["127.0.0.1", "localhost"].map(str::to_owned);
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    author.write("ca.pem", issuer.pem());
    author.write("other.pem", authority().pem());
    author.write("server.pem", certificate.pem());
    author.write("server.key", key.serialize_pem());
}

#[test]
fn a_registry_has_to_prove_who_it_is() {
    let mut author = Author::with(&["--retries", "0"]);
    add_certificates(&author);
    let (certificate, key) = (author.path("server.pem"), author.path("server.key"));
    let registry = Registry::start(&Serve::Tls(&certificate, &key));
    let reference = registry.reference("os:1");
    author.write("disk.raw", "a disk");
    let words = ["push", "disk.raw", &reference];
    author.fails(
        &[&words[..], &["--ca-file", "other.pem"]].concat(),
        "hint: pass the PEM file of the site's certificate authority with --ca-file",
    );
    author.fails(
        &[&words[..], &["--ca-file", "missing.pem"]].concat(),
        "no certificate authorities in missing.pem; without them",
    );
    author.ok(&[&words[..], &["--ca-file", "ca.pem"]].concat());
    author.ok(&[&words[..], &["--insecure-skip-verify"]].concat());
    author.set("SSL_CERT_FILE", "ca.pem");
    author.ok(&words);
}

#[test]
fn plain_http_has_to_be_asked_for() {
    let registry = Registry::start(&Serve::Plain);
    let author = Author::with(&["--insecure-skip-verify", "--retries", "0"]);
    author.write("disk.raw", "a disk");
    let words = ["push", "disk.raw", &registry.reference("os:1")];
    author.fails(&words, "the registry does not support TLS; --plain-http allows plain HTTP");
}

/// As it does for docker, which is often configured once for a private registry and a helper that only some machines have.
#[test]
fn a_helper_that_is_missing_matters_only_where_a_login_is_wanted() {
    let registry = Registry::start(&Serve::Plain);
    let author = Author::with(&["--plain-http", "--authfile", "config.json"]);
    author.write("config.json", r#"{"credsStore":"not-installed"}"#);
    author.write("disk.raw", "a disk");
    author.push(&["disk.raw", &registry.reference("os:1")]);
}
