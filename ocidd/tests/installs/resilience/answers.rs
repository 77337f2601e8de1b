//! The rows about answers: those that may be another the next time, and those that are final.

use ocidd::report::failure::Cause;

use super::{
    AFTER_LATE, LATE, blob,
    rows::{End::Installed, Row, failed, row},
};
use crate::{
    fake::{Answer, Fake, Part, Script},
    run::{BOTH, TAG},
    target::Left,
};

/// Spoils what is answered to those who want the manifest.
fn manifest<S: Into<Script>>(fake: &mut Fake, fault: impl FnOnce(Answer) -> S) {
    fake.spoil(Part::Manifest, fault);
}

pub(super) const ANSWERS: &[Row] = &[
    row(
        "too many pulls",
        BOTH,
        |fake| blob(fake, |right| Answer::busy(429).retry_after("0").then(right)),
        Installed(&["429 Too Many Requests"]),
    ),
    row(
        "a time-out",
        BOTH,
        |fake| blob(fake, |right| Answer::busy(408).then(right)),
        Installed(&["408 Request Timeout"]),
    ),
    row(
        "a burst of errors",
        BOTH,
        |fake| blob(fake, |right| Answer::busy(500).times(2).then(right)),
        Installed(&["500", "500"]),
    ),
    row(
        "a burst of errors midway",
        BOTH,
        |fake| blob(fake, |right| right.clone().cut(LATE).then(Answer::busy(503)).then(right)),
        Installed(&[AFTER_LATE, "503 Service Unavailable"]),
    ),
    row(
        "a burst of errors before the manifest",
        TAG,
        |fake| manifest(fake, |right| Answer::busy(502).times(2).then(right)),
        Installed(&["for a manifest: registry REGISTRY answered 502", "502"]),
    ),
    row(
        "a manifest that is cut off",
        TAG,
        |fake| manifest(fake, |right| right.clone().cut(20).then(right)),
        Installed(&["reading the manifest: "]),
    ),
    row(
        "errors for ever",
        BOTH,
        |fake| blob(fake, |_| Answer::busy(500)),
        failed(Cause::REFUSED, "answered 500 Internal Server Error", 2, Left::Untouched),
    ),
    row(
        "errors for ever, midway",
        BOTH,
        |fake| blob(fake, |right| right.cut(LATE).then(Answer::busy(500))),
        failed(Cause::REFUSED, "answered 500 Internal Server Error", 2, Left::Cleared),
    ),
    row(
        "no such blob",
        BOTH,
        |fake| blob(fake, |_| Answer::not_found()),
        failed(Cause::NOT_FOUND, "answered 404 Not Found", 0, Left::Untouched),
    ),
    row(
        "a blob that is gone midway",
        BOTH,
        |fake| blob(fake, |right| right.cut(LATE).then(Answer::not_found())),
        failed(Cause::NOT_FOUND, "answered 404 Not Found", 1, Left::Cleared),
    ),
    row(
        "a login page in place of the blob",
        BOTH,
        |fake| blob(fake, |_| Answer::login_page()),
        failed(
            Cause::TRANSFER,
            "answered with a web page ('text/html; charset=utf-8')",
            0,
            Left::Untouched,
        ),
    ),
    row(
        "a login page midway",
        BOTH,
        |fake| blob(fake, |right| right.cut(LATE).then(Answer::login_page())),
        failed(Cause::TRANSFER, "a proxy or a captive portal may be in between", 1, Left::Cleared),
    ),
    row(
        "a login page in place of the manifest",
        TAG,
        |fake| manifest(fake, |_| Answer::login_page()),
        failed(Cause::MANIFEST, "answered with a web page", 0, Left::Untouched),
    ),
];
