//! Registries that do not take a blob as the spec has it, and those that do not take it at all.

use super::{ASK, BEGIN, END, FIRST, MIB, SECOND, SIZE, assert_goes_on, at};
use crate::{
    fake::{Answer, Fake, Fault, Faults, Request},
    noise::noise,
    ours::Author,
};

#[test]
fn registries_that_count_in_their_own_way_get_the_blob() {
    let refused = |status| Fault::Answer(Answer::error(status, "UNSUPPORTED"));
    let whole = "PUT blobs/uploads/2?x=1";
    assert_goes_on([
        (
            "Amazon's",
            Box::new(move |request| {
                if request.is("GET blobs/uploads") {
                    return refused(404);
                }
                let stuck = |answer: &mut Answer| {
                    answer.status = 201;
                    answer.headers.retain(|(name, _)| name != "Range");
                    answer.headers.push(("Range".to_owned(), "0-1048575".to_owned()));
                };
                Fault::Spoil(stuck).when(request.is("PATCH"))
            }),
            &[BEGIN, FIRST, SECOND, END],
        ),
        (
            "GitHub's",
            Box::new(move |request| refused(416).when(request.is("PATCH"))),
            &[BEGIN, FIRST, BEGIN, whole],
        ),
        ("Google's", at(2, "PATCH", move || refused(400)), &[BEGIN, FIRST, SECOND, BEGIN, whole]),
        (
            "one that finds out at the end",
            at(1, "PUT blobs", move || refused(400)),
            &[BEGIN, FIRST, SECOND, END, BEGIN, whole],
        ),
        (
            "one that is sure of another place, and wrong",
            Box::new(move |request| {
                let range = request.header("content-range").unwrap_or_default();
                refused(416).when(range.starts_with("1048576-"))
            }),
            &[BEGIN, FIRST, SECOND, ASK, SECOND, BEGIN, whole],
        ),
        (
            "one that takes less than it is sent",
            at(1, "PATCH", || Fault::Short(MIB / 2)),
            &[
                BEGIN,
                FIRST,
                "PATCH blobs/uploads/1?x=1 524288-1572863",
                "PUT blobs/uploads/1?x=1 1572864-2097158",
            ],
        ),
    ]);
}

#[test]
fn a_push_ends_however_a_registry_keeps_failing() {
    let cut = |request: &Request, range: &str| {
        request.header("content-range").is_some_and(|found| found.starts_with(range))
    };
    let rows: [(&str, Faults); 3] = [
        ("never takes a chunk", Box::new(|request| Fault::Cut(0).when(request.is("PATCH")))),
        // Each time the first chunk is taken, which is no progress.
        (
            "is busy in the middle each time, and loses it",
            Box::new(move |request| {
                if cut(request, "1048576-") {
                    return Fault::Answer(Answer::new(503));
                }
                Fault::Answer(Answer::error(404, "BLOB_UPLOAD_UNKNOWN"))
                    .when(request.is("GET blobs/uploads"))
            }),
        ),
        (
            "is cut in the middle each time and loses it",
            Box::new(move |request| {
                if cut(request, "1048576-") {
                    return Fault::Cut(10);
                }
                Fault::Answer(Answer::error(404, "BLOB_UPLOAD_UNKNOWN"))
                    .when(request.is("GET blobs/uploads"))
            }),
        ),
    ];
    std::thread::scope(|scope| {
        for (rule, faults) in rows {
            scope.spawn(move || {
                let fake = Fake::with(faults);
                let author = Author::with(&["--plain-http", "--chunk-size", "1", "--retries", "1"]);
                author.write("a", noise(1, SIZE));
                author.write("b", "b");
                let ended = author.run(&["push", "a", "b", &fake.reference("1")]);
                assert_eq!(ended.code, 1, "{rule}: {}", ended.stderr);
                assert!(fake.take_asked().len() < 20, "{rule}");
                assert!(fake.store(|store| store.manifests.is_empty()), "{rule}");
            });
        }
    });
}

#[test]
fn what_a_registry_refuses_for_good_is_told_in_its_words_and_not_tried_again() {
    let denied = "403 Forbidden (DENIED: as told)\nocidd: hint: the repository may be private (logins: the file passed with --authfile), or its name wrong";
    let too_large = "rejects a request of this size (413)\nocidd: hint: use a smaller --chunk-size";
    let rows = [
        ("HEAD blobs/", 403, "asking ", 1),
        ("POST blobs/uploads/", 403, denied, 1),
        ("PATCH", 403, denied, 1),
        ("PATCH", 413, too_large, 1),
        // In chunks, and at once.
        ("PUT blobs/", 400, "400 Bad Request (DENIED: as told)", 2),
        ("PUT blobs/", 413, too_large, 1),
        ("PUT manifests/", 400, "pushing the manifest of ", 1),
    ];
    for (start, status, says, tries) in rows {
        let fake = Fake::with(move |request| {
            Fault::Answer(Answer::error(status, "DENIED")).when(request.is(start))
        });
        let author = Author::with(&["--plain-http", "--chunk-size", "1"]);
        author.write("a", noise(1, SIZE));
        author.write("b", "b");
        author.fails(&["push", "a", "b", &fake.reference("1")], says);
        let asked = fake.take_asked();
        let tried = asked.iter().filter(|line| line.starts_with(start)).count();
        assert_eq!(tried, tries, "{asked:?}");
    }
}

#[test]
fn a_registry_that_says_nothing_of_where_to_go_on_is_of_no_use() {
    let fake = Fake::with(|_| Fault::Spoil(|answer| answer.headers.clear()));
    let author = Author::new();
    author.write("a", "a");
    author.fails(
        &["push", "a", &fake.reference("1")],
        "the registry sends no location for the upload",
    );
}
