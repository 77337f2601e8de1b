//! Pushes to a registry that goes wrong. Where another try may help, the image is there in the end and nothing was sent that was there; where not,
//! the message tells why.

mod refused;

use crate::{
    fake::{Answer, Fake, Fault, Faults},
    noise::noise,
    ours::Author,
};

const MIB: usize = 1 << 20;
/// Where the second chunk is cut.
const PART: usize = 500_000;
/// A file of three chunks, the last of them short.
const SIZE: usize = 2 * MIB + 7;

/// Goes wrong at the request of this number, counted from 1, among those that begin so.
fn at(number: usize, start: &'static str, fault: impl Fn() -> Fault + Send + 'static) -> Faults {
    let mut seen = 0;
    Box::new(move |request| {
        seen += usize::from(request.is(start));
        if seen == number && request.is(start) { fault() } else { Fault::None }
    })
}

/// Several of these at once. The first that goes wrong is it.
fn both(mut one: Faults, mut other: Faults) -> Faults {
    Box::new(move |request| match (one(request), other(request)) {
        (Fault::None, fault) | (fault, _) => fault,
    })
}

/// Pushes two files; the first is sent in chunks. Gives what was asked about it, and the console.
fn push(rule: &str, faults: Faults, options: &[&str]) -> (Vec<String>, String) {
    let fake = Fake::with(faults);
    let author = Author::with(&[&["--plain-http", "--chunk-size", "1"], options].concat());
    author.write("a", noise(1, SIZE));
    author.write("b", "b");
    let ended = author.run(&["push", "a", "b", &fake.reference("1")]);
    assert_eq!(ended.code, 0, "{rule}: {}", ended.stderr);
    let asked = fake.take_asked();
    fake.store(|store| {
        let manifest = store.document("1");
        let digest = manifest["layers"][0]["digest"].as_str().unwrap();
        assert!(store.blobs[digest] == noise(1, SIZE), "{rule}");
    });
    let uploads = asked.into_iter().filter(|line| line.contains("blobs/uploads/")).collect();
    (uploads, ended.stderr)
}

const BEGIN: &str = "POST blobs/uploads/";
const FIRST: &str = "PATCH blobs/uploads/1?x=1 0-1048575";
const SECOND: &str = "PATCH blobs/uploads/1?x=1 1048576-2097151";
const ASK: &str = "GET blobs/uploads/1?x=1";
const END: &str = "PUT blobs/uploads/1?x=1 2097152-2097158";

/// Each push goes wrong in its own way and has to ask this at first.
fn assert_goes_on<const N: usize>(rows: [(&str, Faults, &[&str]); N]) {
    std::thread::scope(|scope| {
        for (rule, faults, wanted) in rows {
            scope.spawn(move || {
                let (asked, _) = push(rule, faults, &[]);
                assert_eq!(asked[..wanted.len()], *wanted, "{rule}");
            });
        }
    });
}

#[test]
fn an_upload_that_is_cut_goes_on_where_the_registry_says() {
    assert_goes_on([
        ("no fault", Box::new(|_| Fault::None), &[BEGIN, FIRST, SECOND, END]),
        (
            "cut in the middle of a chunk",
            at(2, "PATCH", || Fault::Cut(PART)),
            &[BEGIN, FIRST, SECOND, ASK, "PUT blobs/uploads/1?x=1 1548576-2097158"],
        ),
        (
            "cut behind a chunk, before the answer",
            at(2, "PATCH", || Fault::Cut(MIB)),
            &[BEGIN, FIRST, SECOND, ASK, END],
        ),
        (
            "cut before the first byte",
            at(1, "PATCH", || Fault::Cut(0)),
            &[BEGIN, FIRST, ASK, FIRST, SECOND, END],
        ),
        (
            "done, and nobody hears of it",
            at(1, "PUT blobs", || Fault::Cut(7)),
            &[BEGIN, FIRST, SECOND, END, ASK, BEGIN, "PUT blobs/uploads/2?x=1"],
        ),
    ]);
}

#[test]
fn an_upload_that_is_refused_for_now_goes_on_where_the_registry_says() {
    assert_goes_on([
        (
            "not done at the end",
            at(1, "PUT blobs", || Fault::Answer(Answer::new(504))),
            &[BEGIN, FIRST, SECOND, END, ASK, END],
        ),
        (
            "another part expected",
            at(2, "PATCH", || Fault::Answer(Answer::error(416, "RANGE_INVALID"))),
            &[BEGIN, FIRST, SECOND, ASK, SECOND, END],
        ),
        (
            "busy in the middle",
            at(2, "PATCH", || Fault::Answer(Answer::new(503).header("Retry-After", "0"))),
            &[BEGIN, FIRST, SECOND, ASK, SECOND, END],
        ),
        (
            "away when it is asked",
            both(
                at(2, "PATCH", || Fault::Cut(PART)),
                at(1, "GET blobs/uploads", || Fault::Answer(Answer::new(502))),
            ),
            &[BEGIN, FIRST, SECOND, ASK, ASK, "PUT blobs/uploads/1?x=1 1548576-2097158"],
        ),
        (
            "does not tell what it has where it takes a chunk",
            Box::new(|request| {
                Fault::Spoil(|answer| answer.headers.retain(|(name, _)| name != "Range"))
                    .when(request.is("PATCH"))
            }),
            &[BEGIN, FIRST, SECOND, END],
        ),
    ]);
}

#[test]
fn an_upload_that_the_registry_has_lost_begins_anew() {
    let unknown = || Fault::Answer(Answer::error(404, "BLOB_UPLOAD_UNKNOWN"));
    let faults = both(at(2, "PATCH", || Fault::Cut(PART)), at(1, "GET blobs/uploads", unknown));
    let (asked, stderr) = push("lost", faults, &[]);
    let again = [BEGIN, "PATCH blobs/uploads/2?x=1 0-1048575"];
    assert_eq!(asked[..6], [&[BEGIN, FIRST, SECOND, ASK], &again[..]].concat());
    assert!(stderr.contains("retry 1 of 8 in "), "{stderr}");
    assert!(stderr.contains(", after 1048576 bytes (1 MiB): "), "{stderr}");
}

#[test]
fn a_registry_that_takes_no_chunks_gets_the_blob_at_once() {
    for status in [400, 404, 405, 411, 416, 501] {
        let faults: Faults = Box::new(move |request| {
            Fault::Answer(Answer::error(status, "UNSUPPORTED")).when(request.is("PATCH"))
        });
        let (asked, stderr) = push("no chunks", faults, &[]);
        assert_eq!(asked[..4], [BEGIN, FIRST, BEGIN, "PUT blobs/uploads/2?x=1"], "{status}");
        assert!(!stderr.contains("retry"), "{stderr}");
    }
}

#[test]
fn a_blob_that_is_sent_at_once_is_sent_again_whole() {
    let faults: Faults = both(
        Box::new(|request| {
            Fault::Answer(Answer::error(405, "UNSUPPORTED")).when(request.is("PATCH"))
        }),
        at(1, "PUT blobs", || Fault::Cut(PART)),
    );
    let (asked, _) = push("cut", faults, &[]);
    assert_eq!(asked[3..6], ["PUT blobs/uploads/2?x=1", BEGIN, "PUT blobs/uploads/3?x=1"]);
}

#[test]
fn a_registry_may_want_larger_chunks() {
    let fake = Fake::new();
    fake.store(|store| store.least_chunk = Some(2 << 20));
    let author = Author::with(&["--plain-http", "--chunk-size", "1"]);
    author.write("a", noise(1, SIZE));
    author.write("b", "b");
    author.push(&["a", "b", &fake.reference("1")]);
    let asked = fake.take_asked();
    assert!(asked.contains(&"PATCH blobs/uploads/1?x=1 0-2097151".to_owned()), "{asked:?}");
}

#[test]
fn whatever_is_asked_while_a_registry_is_busy_is_asked_again() {
    let starts = ["HEAD blobs/", "POST blobs/uploads/", "PATCH", "PUT blobs/", "PUT manifests/"];
    std::thread::scope(|scope| {
        for (start, status) in starts.into_iter().zip([500, 502, 503, 429, 408]) {
            scope.spawn(move || {
                let busy = move || Fault::Answer(Answer::new(status).header("Retry-After", "0"));
                let (_, stderr) = push(start, at(1, start, busy), &[]);
                assert!(stderr.contains(&format!("answered {status}")), "{start}: {stderr}");
            });
        }
    });
}
