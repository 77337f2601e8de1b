//! What the fake registry does when it is told to. It is asked over bare connections: a client library would hide what is sent.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use crate::{
    fake::{Answer, BASIC, FORM_PATH, Fake, Framing, Part, Ranges, Running, Span, TOKEN_PATH},
    images::Layer,
};

const BLOB: &[u8] = b"0123456789";

fn fake() -> Fake {
    Fake::with(&Layer::new(BLOB))
}

fn connect(registry: &Running, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&registry.address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// All that comes back, until the connection ends.
fn ask(registry: &Running, request: &str) -> String {
    let mut stream = connect(registry, request);
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Gets `path` with these headers, each ended by `\r\n`; gives the status, the head and the body.
fn get(registry: &Running, path: &str, headers: &str) -> (u16, String, String) {
    let answer = ask(registry, &format!("GET {path} HTTP/1.1\r\n{headers}\r\n"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_owned(), body.to_owned())
}

/// The statuses of so many requests for the blob, one after the other.
fn statuses(registry: &Running, path: &str, count: usize) -> Vec<u16> {
    (0..count).map(|_| get(registry, path, "").0).collect()
}

#[test]
fn answers_come_in_order_and_the_last_for_ever() {
    let mut fake = fake();
    let path = fake.path(Part::Blob);
    fake.spoil(Part::Blob, |good| {
        let busy = Answer::busy(503).retry_after("2").times(2);
        busy.then(Answer::login_page()).then(Answer::busy(408)).then(good)
    });
    let registry = fake.serve();
    let (status, head, _) = get(&registry, &path, "");
    assert!(status == 503 && head.contains("\r\nRetry-After: 2"), "{head}");
    assert_eq!(statuses(&registry, &path, 5), [503, 200, 408, 200, 200]);
    assert_eq!(get(&registry, &path, "").2.as_bytes(), BLOB);
}

#[test]
fn content_may_change_between_requests() {
    let mut fake = fake();
    let path = fake.path(Part::Blob);
    fake.spoil(Part::Blob, |good| good.clone().then(good.flip(0)));
    let registry = fake.serve();
    assert_eq!(get(&registry, &path, "").2, "0123456789");
    assert_eq!(get(&registry, &path, "").2, " 123456789");
}

#[test]
fn a_range_is_answered_as_the_answer_says() {
    let later = |span: Span| Span { start: span.start + 1, ..span };
    let rows = [
        (Ranges::Honoured, "bytes=4-", 206, "bytes 4-9/10", "456789"),
        (Ranges::Honoured, "bytes=-3", 206, "bytes 7-9/10", "789"),
        (Ranges::Honoured, "bytes=10-", 416, "bytes */10", ""),
        (Ranges::Ignored, "bytes=4-", 200, "", "0123456789"),
        (Ranges::Refused, "bytes=4-", 416, "bytes */10", ""),
        (Ranges::Unasked, "", 206, "bytes 0-9/10", "0123456789"),
        (Ranges::Unasked, "bytes=4-", 206, "bytes 4-9/10", "456789"),
        (Ranges::Shifted(later), "bytes=4-", 206, "bytes 5-9/10", "56789"),
        (Ranges::Claimed(|_| None), "bytes=4-", 206, "", "456789"),
        (
            Ranges::Claimed(|span| Some(Span { total: 11, ..span }.to_string())),
            "bytes=4-",
            206,
            "bytes 4-9/11",
            "456789",
        ),
    ];
    for (ranges, asked, status, told, sent) in rows {
        let rule = format!("{ranges:?}, {asked}");
        let mut fake = fake();
        let path = fake.path(Part::Blob);
        fake.spoil(Part::Blob, |good| good.ranges(ranges));
        let registry = fake.serve();
        let header = format!("Range: {asked}\r\n");
        let header = if asked.is_empty() { "" } else { &header };
        let (found, head, body) = get(&registry, &path, header);
        assert_eq!(found, status, "{rule}");
        let line = format!("\r\nContent-Range: {told}\r\n");
        assert!(head.contains(if told.is_empty() { "" } else { &line }), "{rule}: {head}");
        assert_eq!(head.contains("Content-Range"), !told.is_empty(), "{rule}: {head}");
        assert!(status == 416 || body == sent, "{rule}: {body}");
        let noted = registry.requests().pop().unwrap();
        assert_eq!(noted.header("range").unwrap_or_default(), asked);
    }
}

#[test]
fn a_body_ends_where_and_how_the_answer_says() {
    type Fault = fn(Answer) -> Answer;
    let cut = |good: Answer| good.cut(4);
    let ended = |good: Answer| good.end(4);
    let rows: [(Fault, Framing, &str, &str); 7] = [
        (cut, Framing::Length, "Content-Length: 10", "0123"),
        (cut, Framing::Chunked, "chunked", "4\r\n0123\r\n"),
        (cut, Framing::Close, "Connection: close", "0123"),
        (ended, Framing::Length, "Content-Length: 4", "0123"),
        (ended, Framing::Chunked, "chunked", "4\r\n0123\r\n0\r\n\r\n"),
        (
            |good| good.trickle(6, Duration::from_millis(1)),
            Framing::Chunked,
            "chunked",
            "6\r\n012345\r\n4\r\n6789\r\n0\r\n\r\n",
        ),
        (|good| good, Framing::Chunked, "chunked", "a\r\n0123456789\r\n0\r\n\r\n"),
    ];
    for (fault, framing, head, body) in rows {
        let mut fake = fake();
        let path = fake.path(Part::Blob);
        fake.spoil(Part::Blob, |good| fault(good).framed(framing));
        let (_, found_head, found_body) = get(&fake.serve(), &path, "");
        assert!(found_head.contains(head), "{found_head}");
        assert_eq!(found_body, body);
    }
}

#[test]
fn a_fault_counts_the_bytes_that_are_sent_of_a_range() {
    let mut fake = fake();
    let path = fake.path(Part::Blob);
    fake.spoil(Part::Blob, |good| good.cut(2));
    let (status, head, body) = get(&fake.serve(), &path, "Range: bytes=3-\r\n");
    assert_eq!((status, body.as_str()), (206, "34"));
    assert!(head.contains("bytes 3-9/10") && head.contains("Content-Length: 7"), "{head}");
}

#[test]
fn a_stall_lasts_until_the_test_ends() {
    let mut fake = fake();
    let path = fake.path(Part::Blob);
    fake.spoil(Part::Blob, |good| good.stall(4));
    let registry = fake.serve();
    let mut stream = connect(&registry, &format!("GET {path} HTTP/1.1\r\n\r\n"));
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n0123") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let error = stream.read_to_end(&mut answer).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    drop(registry);
    stream.set_read_timeout(None).unwrap();
    assert_eq!(stream.read_to_end(&mut answer).unwrap(), 0);
}

#[test]
fn tokens_are_numbered_and_worn_off_and_expire() {
    let mut fake = fake();
    let path = fake.path(Part::Blob);
    let failing = Answer::busy(500);
    fake.demand_token(failing.then(Answer::token("access_token")));
    fake.wear_tokens(2);
    fake.spoil(Part::Blob, |good| {
        good.clone().times(3).then(good.clone().expire_tokens()).then(good)
    });
    let registry = fake.serve();
    let shown = |number: usize| format!("Authorization: Bearer open-sesame-{number}\r\n");
    let status = |header: &str| get(&registry, &path, header).0;
    let (_, refused, _) = get(&registry, &path, "");
    assert!(refused.contains("WWW-Authenticate: Bearer realm="), "{refused}");
    assert_eq!(status(&shown(1)), 401, "not given yet");
    assert_eq!(get(&registry, TOKEN_PATH, "").0, 500);
    for number in 1..=2 {
        let (_, _, body) = get(&registry, TOKEN_PATH, "");
        let token = format!(r#""access_token":"open-sesame-{number}""#);
        assert!(body.contains(&token), "{body}");
    }
    let seen: Vec<u16> = [1, 1, 1, 2, 2].map(|number| status(&shown(number))).into();
    assert_eq!(seen, [200, 200, 401, 200, 200], "the fourth answer expires all");
    get(&registry, TOKEN_PATH, "");
    assert_eq!((status(&shown(2)), status(&shown(3))), (401, 200));
    assert_eq!(registry.requests().pop().unwrap().token_number(), Some(3));
}

#[test]
fn a_token_may_be_had_for_a_login_or_an_identity_token_alone() {
    let mut fake = fake();
    let identity = |token: Answer| {
        token.only_for(|request| {
            request.method == "POST" && request.field("refresh_token") == Some("identity")
        })
    };
    fake.demand_form(identity(Answer::token("access_token")));
    let registry = fake.serve();
    let form = |body: &str| {
        let length = body.len();
        ask(
            &registry,
            &format!("POST {FORM_PATH} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}"),
        )
    };
    let chunked = "POST /token HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nrefre\r\n11\r\nsh_token=identity\r\n0\r\n\r\n";
    assert!(form("grant_type=refresh_token&refresh_token=other").starts_with("HTTP/1.1 401 "));
    assert!(form("grant_type=refresh_token&refresh_token=identity").contains("open-sesame-1"));
    assert!(ask(&registry, chunked).contains("open-sesame-2"));
    assert_eq!(get(&registry, TOKEN_PATH, "").0, 401);
    assert_eq!(registry.requests()[2].body, b"refresh_token=identity");

    let mut fake = self::fake();
    let login = |request: &crate::fake::Request| request.header("authorization") == Some(BASIC);
    fake.demand_token(Answer::token("token").only_for(login));
    let registry = fake.serve();
    assert_eq!(get(&registry, TOKEN_PATH, "").0, 401);
    assert_eq!(get(&registry, TOKEN_PATH, &format!("Authorization: {BASIC}\r\n")).0, 200);
}

#[test]
fn a_registry_may_want_a_login_itself() {
    let mut fake = fake();
    let path = fake.path(Part::Manifest);
    fake.demand_basic();
    let registry = fake.serve();
    let (status, head, _) = get(&registry, &path, "Authorization: Basic d3Jvbmc=\r\n");
    assert!(status == 401 && head.contains("WWW-Authenticate: Basic"), "{head}");
    assert_eq!(get(&registry, &path, &format!("Authorization: {BASIC}\r\n")).0, 200);
}

#[test]
fn registries_beside_each_other_keep_one_list_in_order() {
    let origin = fake();
    let mut mirror = origin.mirror();
    let path = origin.path(Part::Blob);
    mirror.spoil(Part::Blob, |_| Answer::busy(500));
    let (origin, mirror) = (origin.serve(), mirror.serve());
    assert_eq!((get(&mirror, &path, "").0, get(&origin, &path, "").0), (500, 200));
    let asked: Vec<String> =
        origin.all_requests().into_iter().map(|request| request.registry).collect();
    assert_eq!(asked, [mirror.address.clone(), origin.address.clone()]);
    assert_eq!((mirror.requests().len(), origin.requests().len()), (1, 1));
}

#[test]
fn a_head_request_gets_no_body_and_a_connection_takes_several_requests() {
    let fake = fake();
    let path = fake.path(Part::Blob);
    let registry = fake.serve();
    let one = format!("HEAD {path} HTTP/1.1\r\n\r\nGET {path} HTTP/1.1\r\n\r\n");
    let answer = ask(&registry, &one);
    assert_eq!(answer.matches("0123456789").count(), 1, "{answer}");
    assert_eq!(answer.matches("Content-Length: 10").count(), 2, "{answer}");
}
