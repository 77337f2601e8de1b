//! Registries that do not answer, refuse, or lead nowhere.

use crate::{
    fake::{Answer, DeadEnd, Fake},
    images::{Layer, gzip, image},
    matrix::{Row, assert_rows},
    run::{BOTH, By, TAG, Wanted, assert_failed, install, no_certificates},
    target::{DISK, Left, Target},
};

/// Every fault of this file ends in the same way.
fn row(
    rule: &'static str,
    by: &'static [By],
    fault: fn(&mut Fake),
    says: &'static [&'static str],
) -> Row {
    Row { rule, by, fault, code: 4, says, left: Left::Untouched }
}

#[test]
fn a_refusal_is_told_in_the_registrys_own_words() {
    assert_rows(&[
        row(
            "an unknown tag",
            TAG,
            |fake| *fake.manifest() = Answer::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
            &[
                "resolving REGISTRY/os:1: registry REGISTRY answered 404 Not Found (MANIFEST_UNKNOWN: manifest unknown)",
                "hint: check repository and tag",
            ],
        ),
        row(
            "an unknown blob",
            BOTH,
            |fake| *fake.blob() = Answer::error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
            &[
                "fetching layer LAYER from REGISTRY: registry REGISTRY answered 404 Not Found (BLOB_UNKNOWN: blob unknown to registry)",
            ],
        ),
        row(
            "a private repository",
            BOTH,
            |fake| {
                *fake.blob() =
                    Answer::error(403, "DENIED", "requested access to the resource is denied");
            },
            &[
                "answered 403 Forbidden (DENIED: requested access to the resource is denied)",
                "hint: the repository may be private",
            ],
        ),
        row(
            "too many pulls",
            TAG,
            |fake| *fake.manifest() = Answer::error(429, "TOOMANYREQUESTS", "slow down"),
            &["answered 429 Too Many Requests (TOOMANYREQUESTS: slow down)"],
        ),
        row(
            "a broken registry",
            TAG,
            |fake| *fake.manifest() = Answer::new(500, "text/plain", "oops"),
            &["resolving REGISTRY/os:1: registry REGISTRY answered 500 Internal Server Error"],
        ),
        row(
            "a broken blob store",
            BOTH,
            |fake| *fake.blob() = Answer::new(503, "text/html", "<h1>later</h1>"),
            &[
                "fetching layer LAYER from REGISTRY: registry REGISTRY answered 503 Service Unavailable",
            ],
        ),
        row(
            "an answer that is no whole one",
            BOTH,
            |fake| fake.blob().status = 206,
            &["answered 206 Partial Content"],
        ),
    ]);
}

#[test]
fn an_answer_that_is_no_http_is_told_as_such() {
    assert_rows(&[
        row(
            "another protocol",
            TAG,
            |fake| *fake.manifest() = Answer::bare(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"),
            &["resolving REGISTRY/os:1: connecting to http://REGISTRY: "],
        ),
        row(
            "no answer at all",
            BOTH,
            |fake| *fake.blob() = Answer::bare(b""),
            &["fetching layer LAYER from REGISTRY: connecting to http://REGISTRY: "],
        ),
        row(
            "half a header",
            BOTH,
            |fake| *fake.blob() = Answer::bare(b"HTTP/1.1 200 OK\r\nContent-Le"),
            &["fetching layer LAYER from REGISTRY: connecting to http://REGISTRY: "],
        ),
    ]);
}

#[test]
fn a_redirect_that_leads_nowhere_is_an_error() {
    assert_rows(&[
        row(
            "in circles",
            BOTH,
            |fake| {
                let circle = fake.blob_path();
                fake.redirect_blob(&circle);
            },
            &["fetching layer LAYER from REGISTRY: ", "hint: the registry redirects in a circle"],
        ),
        row(
            "to nothing",
            BOTH,
            |fake| fake.redirect_blob("/nosuch"),
            &["answered 404 Not Found (NOT_FOUND: nothing here)"],
        ),
        row(
            "without a place to go",
            BOTH,
            |fake| *fake.blob() = Answer::new(307, "text/plain", ""),
            &["fetching layer LAYER from REGISTRY: "],
        ),
    ]);
}

#[test]
fn a_registry_or_blob_store_that_nobody_runs_is_told_by_its_address() {
    let image = image(100);
    let layer = Layer::new(gzip(&image));
    let nobody = DeadEnd::new();
    for by in BOTH {
        let target = Target::new(DISK);
        let word = by.word(&nobody.address(), &layer);
        let outcome =
            install(&[&word, "oci.allow_no_tls"], &target, no_certificates(target.folder.path()));
        let says = ["connecting to http://REGISTRY: ", "Connection refused"];
        let wanted = Wanted { code: 4, says: &says, left: Left::Untouched };
        assert_failed("nobody", outcome, wanted, (&nobody.address(), &layer), (&target, &image));

        let mut fake = Fake::with(&layer);
        fake.redirect_blob(&format!("http://{}/", nobody.address()));
        let (outcome, _) = crate::run::install_from(fake, *by, &target);
        let wanted =
            Wanted { says: &["fetching layer LAYER from ", "Connection refused"], ..wanted };
        assert_failed("no store", outcome, wanted, (&nobody.address(), &layer), (&target, &image));
    }
}
