//! The matrix of what goes wrong while an image is fetched: every fault, met by tag and by blob, with every format. Each row says how the install
//! ends: with the image on the disk after so many retries, or with a cause, a message and a disk that does not boot.

mod answers;
mod rows;

use ocidd::report::failure::Cause;
use rows::{End::Installed, Row, assert_rows, failed, row};

use crate::{
    fake::{Answer, Fake, Part, Ranges, Script, Span},
    run::{BLOB, BOTH, TAG},
    target::Left,
};

/// After this many bytes of any blob the disk has been written to.
const LATE: usize = 4 << 20;
/// After this many not.
const EARLY: usize = 100_000;

const AFTER_EARLY: &str = ", after 100000 bytes (97.6 KiB): ";
const AFTER_LATE: &str = ", after 4194304 bytes (4 MiB): ";

/// Spoils what is answered to those who want the blob.
fn blob<S: Into<Script>>(fake: &mut Fake, fault: impl FnOnce(Answer) -> S) {
    fake.spoil(Part::Blob, fault);
}

/// A blob that is cut off once, from a registry that deals with ranges like this.
fn cut_then(fake: &mut Fake, ranges: Ranges) {
    blob(fake, |right| right.clone().cut(LATE).then(right.ranges(ranges)));
}

const TRANSFERS: &[Row] = &[
    row(
        "cut off early",
        BOTH,
        |fake| blob(fake, |right| right.clone().cut(EARLY).then(right)),
        Installed(&[AFTER_EARLY]),
    ),
    row(
        "cut off late",
        BOTH,
        |fake| blob(fake, |right| right.clone().cut(LATE).then(right)),
        Installed(&[AFTER_LATE]),
    ),
    row(
        "cut off again and again",
        BOTH,
        |fake| blob(fake, |right| right.clone().cut(EARLY).times(2).then(right)),
        Installed(&[AFTER_EARLY, ", after 200000 bytes (195.3 KiB): "]),
    ),
    row(
        "cut off for ever",
        BOTH,
        |fake| blob(fake, |right| right.clone().cut(LATE).then(right.cut(0))),
        failed(Cause::UNREACHABLE, AFTER_LATE, 2, Left::Cleared),
    ),
    row(
        "closed without an answer, once",
        BOTH,
        |fake| blob(fake, |right| Answer::bare(b"").then(right)),
        Installed(&["fetching layer"]),
    ),
    row(
        "stands still",
        BOTH,
        |fake| blob(fake, |right| right.clone().stall(LATE).then(right)),
        Installed(&[AFTER_LATE]),
    )
    .impatient(),
    row(
        "answers the range with the whole",
        BOTH,
        |fake| cut_then(fake, Ranges::Ignored),
        Installed(&[AFTER_LATE]),
    ),
    row(
        "answers the range with the whole of another blob",
        BOTH,
        |fake| {
            blob(fake, |right| {
                right.clone().cut(LATE).then(right.flip(EARLY).ranges(Ranges::Ignored))
            });
        },
        failed(
            Cause::TRANSFER,
            "the registry sends other bytes than it sent before",
            1,
            Left::Cleared,
        ),
    ),
    row(
        "claims another start in Content-Range",
        BOTH,
        |fake| {
            cut_then(
                fake,
                Ranges::Claimed(|span| Some(Span { start: span.start + 1, ..span }.to_string())),
            );
        },
        Installed(&[
            AFTER_LATE,
            "the registry was asked to resume at byte 4194304 and sends 'bytes 4194305-",
        ]),
    ),
    row(
        "claims another size in Content-Range",
        BOTH,
        |fake| {
            cut_then(
                fake,
                Ranges::Claimed(|span| Some(Span { total: span.total + 1, ..span }.to_string())),
            );
        },
        Installed(&[
            AFTER_LATE,
            "the registry was asked to resume at byte 4194304 and sends 'bytes 4194304-",
        ]),
    ),
    row(
        "sends a part without Content-Range",
        BOTH,
        |fake| cut_then(fake, Ranges::Claimed(|_| None)),
        Installed(&[AFTER_LATE, "and sends 'nothing'; requesting the whole"]),
    ),
    row(
        "sends another part than was asked for",
        BOTH,
        |fake| cut_then(fake, Ranges::Shifted(|span| Span { start: 0, ..span })),
        Installed(&[AFTER_LATE, "and sends 'bytes 0-"]),
    ),
    row(
        "knows no such range",
        BOTH,
        |fake| cut_then(fake, Ranges::Refused),
        Installed(&[AFTER_LATE, "does not resume at byte 4194304 (416)"]),
    ),
    row(
        "lets its tokens expire midway",
        BOTH,
        |fake| {
            fake.demand_token(Answer::token("token"));
            blob(fake, |right| right.clone().cut(LATE).expire_tokens().then(right));
        },
        Installed(&[AFTER_LATE]),
    ),
    row(
        "sends to a store on another host, which breaks off",
        BOTH,
        |fake| {
            let store = format!("http://{}/store", fake.other_address());
            blob(fake, |right| right.clone().cut(LATE).then(right));
            fake.move_blob(&store, "/store");
        },
        Installed(&[AFTER_LATE]),
    ),
    row(
        "sends a part to who asks for the whole",
        BOTH,
        |fake| blob(fake, |right| right.ranges(Ranges::Unasked)),
        failed(Cause::REFUSED, "answered 206 Partial Content", 0, Left::Untouched),
    ),
];

const BYTES: &[Row] = &[
    row(
        "truncated, with a length to match",
        TAG,
        |fake| blob(fake, |right| right.end(LATE)),
        failed(
            Cause::TRANSFER,
            "the registry offers 4194304 bytes, the manifest has ",
            0,
            Left::Untouched,
        ),
    ),
    row(
        "truncated, and nobody says how long it should be",
        BLOB,
        |fake| blob(fake, |right| right.end(LATE)),
        failed(Cause::DIGEST, "layer has digest sha256:", 0, Left::Cleared),
    ),
    row(
        "a byte changed on the way",
        BOTH,
        |fake| blob(fake, |right| right.flip(LATE)),
        failed(Cause::DIGEST, ", expected LAYER", 0, Left::Garbled),
    ),
    row(
        "a byte changed in what is sent after a break",
        BOTH,
        |fake| blob(fake, |right| right.clone().cut(EARLY).then(right.flip(LATE))),
        failed(Cause::DIGEST, ", expected LAYER", 1, Left::Garbled),
    ),
];

#[test]
fn a_broken_transfer_goes_on_where_it_was_and_only_there() {
    assert_rows(TRANSFERS);
}

#[test]
fn an_answer_that_may_pass_is_waited_for_and_any_other_is_final() {
    assert_rows(answers::ANSWERS);
}

#[test]
fn bytes_that_are_not_those_of_the_digest_never_boot() {
    assert_rows(BYTES);
}
