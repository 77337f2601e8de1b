//! HTTPS: whose certificates are taken, and that plain HTTP is never a way around them.

use std::{fs, path::Path};

use registry::http::CertificateFiles;

use crate::{
    fake::{
        Answer, Fake, Framing, Part, Ranges, TOKEN,
        identity::{Authority, NAMES, VALID},
    },
    images::{Layer, MIB, gzip, image},
    proxy::Proxy,
    run::{BOTH, By, Wanted, add, assert_failed, install, no_certificates, trust},
    target::{DISK, Left, Target},
};

#[test]
fn a_registry_is_trusted_by_an_authority_of_the_bundle_or_of_the_site() {
    type Files = fn(&Path, &Authority) -> CertificateFiles;
    let rows: [(&str, Files); 4] = [
        ("bundle", trust),
        ("site", |folder, authority| add(no_certificates(folder), &authority.pem())),
        ("bundle, with another one from the site", |folder, authority| {
            add(trust(folder, authority), &Authority::new("other").pem())
        }),
        ("the second of a bundle", |folder, authority| {
            let certificates = no_certificates(folder);
            fs::write(&certificates.bundle, Authority::new("other").pem() + &authority.pem())
                .unwrap();
            certificates
        }),
    ];
    for (rule, files) in rows {
        for by in BOTH {
            let authority = Authority::new("right");
            let image = image(2 * MIB);
            let mut fake = Fake::with(&Layer::new(gzip(&image)));
            fake.tls = Some(authority.server(&NAMES, VALID));
            let target = Target::new(DISK);
            let word = by.word(&fake.address(), fake.layer());
            let _registry = fake.serve();
            install(&[&word], &target, files(target.folder.path(), &authority))
                .unwrap_or_else(|failure| panic!("{rule}: {failure}"));
            target.assert_installed(rule, &image);
        }
    }
}

#[test]
fn token_and_blob_store_are_reached_over_https_too() {
    let authority = Authority::new("right");
    let image = image(2 * MIB);
    let mut fake = Fake::with(&Layer::new(gzip(&image)));
    fake.tls = Some(authority.server(&NAMES, VALID));
    fake.demand_token(Answer::new(200, "application/json", format!(r#"{{"token":"{TOKEN}"}}"#)));
    let blob = fake.blob().clone();
    fake.answers.insert("/store".to_owned(), blob);
    let store = format!("https://{}/store", fake.other_address());
    fake.redirect_blob(&store);
    let target = Target::new(DISK);
    let word = By::Tag.word(&fake.address(), fake.layer());
    let registry = fake.serve();
    install(&[&word], &target, trust(target.folder.path(), &authority)).unwrap();
    target.assert_installed("token and store", &image);
    let stored = registry.requests().pop().unwrap();
    assert_eq!((stored.path.as_str(), stored.header("authorization")), ("/store", None));
}

#[test]
fn certificates_are_verified_through_a_proxy() {
    let authority = Authority::new("right");
    let image = image(2 * MIB);
    let mut fake = Fake::with(&Layer::new(gzip(&image)));
    fake.tls = Some(authority.server(&NAMES, VALID));
    let (address, word) = (fake.address(), By::Tag.word(&fake.address(), fake.layer()));
    let (_registry, proxy) = (fake.serve(), Proxy::start());
    let words = [&*word, &*format!("https_proxy=http://{}", proxy.address)];
    let target = Target::new(DISK);
    for (other, parameters, fault) in [
        (Authority::new("other"), &[][..], Some("UnknownIssuer")),
        (Authority::new("other"), &["oci.insecure_skip_verify"], None),
        (authority, &[], None),
    ] {
        let certificates = trust(target.folder.path(), &other);
        let outcome = install(&[&words, parameters].concat(), &target, certificates);
        match fault {
            None => drop(outcome.unwrap()),
            Some(fault) => assert!(outcome.unwrap_err().to_string().contains(fault)),
        }
    }
    target.assert_installed("through a proxy", &image);
    assert!(proxy.connected().iter().all(|connected| *connected == address));
    assert!(proxy.connected().len() >= 3);
}

#[test]
fn plain_http_is_recognized_without_certificate_checks() {
    assert_refused(
        &[Row {
            rule: "a registry that speaks plain HTTP",
            fault: |fake, _| fake.tls = None,
            files: trust,
            says: &["hint: the registry does not support TLS; oci.allow_no_tls"],
        }],
        &["oci.insecure_skip_verify"],
    );
}

struct Row {
    rule: &'static str,
    /// Spoils a registry that proves who it is by the authority.
    fault: fn(&mut Fake, &Authority),
    files: fn(&Path, &Authority) -> CertificateFiles,
    says: &'static [&'static str],
}

#[track_caller]
fn assert_refused(rows: &[Row], words: &[&str]) {
    let image = image(2 * MIB);
    let layer = Layer::new(gzip(&image));
    for row in rows {
        for by in BOTH {
            let authority = Authority::new("right");
            let mut fake = Fake::with(&layer);
            fake.tls = Some(authority.server(&NAMES, VALID));
            (row.fault)(&mut fake, &authority);
            let target = Target::new(DISK);
            let (address, word) = (fake.address(), by.word(&fake.address(), &layer));
            let registry = fake.serve();
            let words = [&[word.as_str()], words].concat();
            let outcome = install(&words, &target, (row.files)(target.folder.path(), &authority));
            let wanted = Wanted { code: 4, says: row.says, left: Left::Untouched };
            assert_failed(row.rule, outcome, wanted, (&address, &layer), (&target, &image));
            let plain = registry.requests().into_iter().find(|request| request.path == "/plain");
            assert!(plain.is_none(), "{}: {plain:?}", row.rule);
        }
    }
}

#[test]
fn a_registry_that_cannot_prove_who_it_is_is_refused_with_a_remedy() {
    assert_refused(
        &[
            Row {
                rule: "an unknown authority",
                fault: |_, _| {},
                files: |folder, _| trust(folder, &Authority::new("other")),
                says: &[
                    "connecting to https://REGISTRY: ",
                    "UnknownIssuer",
                    "hint: put the PEM file of the site's certificate authority into /etc/ocidd/ca.d",
                ],
            },
            Row {
                rule: "another name",
                fault: |fake, authority| {
                    fake.tls = Some(authority.server(&["registry.example"], VALID));
                },
                files: trust,
                says: &["connecting to https://REGISTRY: ", "not valid for name"],
            },
            Row {
                rule: "expired",
                fault: |fake, authority| fake.tls = Some(authority.server(&NAMES, (2000, 2001))),
                files: trust,
                says: &[
                    "connecting to https://REGISTRY: ",
                    "certificate expired",
                    "hint: this machine's clock says ",
                ],
            },
            Row {
                rule: "not valid yet",
                fault: |fake, authority| fake.tls = Some(authority.server(&NAMES, (2099, 2100))),
                files: trust,
                says: &[
                    "connecting to https://REGISTRY: ",
                    "certificate not valid yet",
                    "hint: this machine's clock says ",
                ],
            },
        ],
        &[],
    );
}

#[test]
fn certificate_files_that_are_missing_or_broken_are_named() {
    assert_refused(
        &[
            Row {
                rule: "no authorities",
                fault: |_, _| {},
                files: |folder, _| no_certificates(folder),
                says: &[
                    "no certificate authorities in ",
                    "/bundle.pem and ",
                    "/ca.d; without them no registry can be trusted",
                ],
            },
            Row {
                rule: "a file of the site that is no certificate",
                fault: |_, _| {},
                files: |folder, authority| {
                    add(
                        trust(folder, authority),
                        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
                    )
                },
                says: &["reading certificates from ", "/ca.d/site.pem: "],
            },
        ],
        &[],
    );
}

#[test]
fn plain_http_is_never_fallen_back_to() {
    assert_refused(
        &[
            Row {
                rule: "a registry that speaks plain HTTP",
                fault: |fake, _| fake.tls = None,
                files: trust,
                says: &[
                    "connecting to https://REGISTRY: ",
                    "hint: the registry does not support TLS; oci.allow_no_tls allows plain HTTP",
                ],
            },
            Row {
                rule: "a redirect to plain HTTP",
                fault: |fake, _| {
                    let plain = format!("http://{}/plain", fake.address());
                    fake.redirect_blob(&plain);
                },
                files: trust,
                says: &[
                    "fetching layer LAYER from REGISTRY: ",
                    "it redirects to http://REGISTRY",
                    "hint: only oci.allow_no_tls allows plain HTTP",
                ],
            },
            Row {
                rule: "a token over plain HTTP",
                fault: |fake, _| {
                    fake.challenges =
                        vec![format!(r#"Bearer realm="http://{}/plain""#, fake.address())];
                },
                files: trust,
                says: &[
                    "fetching a token from http://REGISTRY/plain: the token server is not reached over HTTPS",
                    "hint: only oci.allow_no_tls allows plain HTTP",
                ],
            },
        ],
        &[],
    );
}

#[test]
fn plain_http_to_a_registry_that_wants_tls_is_an_error() {
    assert_refused(
        &[Row {
            rule: "TLS only",
            fault: |_, _| {},
            files: trust,
            says: &["connecting to http://REGISTRY: "],
        }],
        &["oci.allow_no_tls"],
    );
}

#[test]
fn a_connection_that_is_cut_under_tls_is_no_end_of_a_blob() {
    let fetching = ", after 4194304 bytes (4 MiB): ";
    let rows = [
        (Framing::Length, By::Tag, 4, fetching),
        (Framing::Length, By::Blob, 4, fetching),
        (Framing::Chunked, By::Tag, 4, fetching),
        (Framing::Chunked, By::Blob, 4, fetching),
        (Framing::Close, By::Tag, 4, ", after 4194304 bytes (4 MiB): the connection ended early"),
        (Framing::Close, By::Blob, 6, ", expected LAYER"),
    ];
    let image = image(5 * MIB);
    let layer = Layer::new(gzip(&image));
    for (framing, by, code, says) in rows {
        let authority = Authority::new("right");
        let mut fake = Fake::with(&layer);
        fake.tls = Some(authority.server(&NAMES, VALID));
        let fault = |right: Answer| right.framed(framing).cut(4 << 20).ranges(Ranges::Ignored);
        fake.spoil(Part::Blob, fault);
        let target = Target::new(DISK);
        let word = by.word(&fake.address(), &layer);
        let _registry = fake.serve();
        let outcome = install(&[&word], &target, trust(target.folder.path(), &authority));
        let wanted = Wanted { code, says: &[says], left: Left::Cleared };
        let rule = format!("{framing:?}, by {by:?}");
        assert_failed(&rule, outcome, wanted, ("", &layer), (&target, &image));
    }
}

#[test]
fn a_blob_store_over_https_is_trusted_also_where_the_registry_is_reached_without_tls() {
    let authority = Authority::new("right");
    let image = image(2 * MIB);
    let layer = Layer::new(gzip(&image));
    let mut store = Fake::with(&layer);
    store.tls = Some(authority.server(&NAMES, VALID));
    let mut fake = Fake::with(&layer);
    fake.redirect_blob(&format!("https://{}{}", store.other_address(), store.blob_path()));
    let target = Target::new(DISK);
    let word = By::Tag.word(&fake.address(), &layer);
    let (_registry, _store) = (fake.serve(), store.serve());
    let certificates = trust(target.folder.path(), &authority);
    install(&[&word, "oci.allow_no_tls"], &target, certificates).unwrap();
    target.assert_installed("store", &image);
}
