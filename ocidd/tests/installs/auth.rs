//! Anonymous tokens, and who gets to see them.

use crate::{
    fake::{Answer, Fake, TOKEN, TOKEN_PATH},
    images::{Layer, MIB, gzip, image},
    matrix::{Row, assert_rows},
    run::{BOTH, install_from},
    target::{DISK, Left, Target},
};

fn token(key: &str) -> Answer {
    let body = serde_json::json!({ key: TOKEN, "expires_in": 300 });
    Answer::new(200, "application/json", body.to_string())
}

#[test]
fn a_token_is_fetched_once_for_pulling_this_repository_and_then_shown() {
    for key in ["token", "access_token"] {
        for by in BOTH {
            let image = image(2 * MIB);
            let mut fake = Fake::with(&Layer::new(gzip(&image)));
            fake.demand_token(token(key));
            let target = Target::new(DISK);
            let (outcome, requests) = install_from(fake, *by, &target);
            outcome.unwrap_or_else(|failure| panic!("{key}, by {by:?}: {failure}"));
            target.assert_installed(key, &image);
            // The first request comes without a token, the second asks for one, and the others show it.
            assert_eq!(requests[1].path, TOKEN_PATH);
            for (number, request) in requests.iter().enumerate() {
                assert_eq!(request.has_token(), number > 1, "{request:?}");
                assert!(number < 2 || request.path.starts_with("/v2/os/"), "{request:?}");
            }
        }
    }
}

#[test]
fn the_token_is_not_shown_to_a_blob_store_elsewhere() {
    for by in BOTH {
        let image = image(2 * MIB);
        let mut fake = Fake::with(&Layer::new(gzip(&image)));
        fake.demand_token(token("token"));
        let blob = fake.blob().clone();
        fake.answers.insert("/store?signature=1".to_owned(), blob);
        let store = format!("http://{}/store?signature=1", fake.other_address());
        fake.redirect_blob(&store);
        let target = Target::new(DISK);
        let (outcome, requests) = install_from(fake, *by, &target);
        outcome.unwrap();
        target.assert_installed("from a blob store", &image);
        let [.., redirected, stored] = requests.as_slice() else { panic!("{requests:?}") };
        assert!(redirected.has_token(), "{redirected:?}");
        assert_eq!(stored.path, "/store?signature=1");
        assert!(stored.header("host").unwrap().starts_with("localhost:"), "{stored:?}");
        assert_eq!(stored.header("authorization"), None);
    }
}

/// Every fault of this file ends in the same way.
fn row(rule: &'static str, fault: fn(&mut Fake), says: &'static [&'static str]) -> Row {
    Row { rule, by: BOTH, fault, code: 4, says, left: Left::Untouched }
}

#[test]
fn a_registry_that_nobody_gets_into_says_so() {
    assert_rows(&[
        row(
            "another kind of login",
            |fake| fake.challenges = vec!["Negotiate".to_owned()],
            &["the registry requires authentication by Negotiate; supported are Bearer and Basic"],
        ),
        row(
            "no way in",
            |fake| fake.challenges = vec!["Bearer".to_owned()],
            &["the registry requires a token without a realm"],
        ),
        row(
            "401 without a challenge",
            |fake| {
                *fake.manifest() = Answer::unauthorized(&[]);
                *fake.blob() = Answer::unauthorized(&[]);
            },
            &["the registry answered 401 Unauthorized without a challenge"],
        ),
        row(
            "a token that does not open",
            |fake| fake.demand_token(Answer::new(200, "application/json", r#"{"token":"old"}"#)),
            &[
                "registry REGISTRY answered 401 Unauthorized (UNAUTHORIZED: authentication required)",
                "hint: the repository may be private",
            ],
        ),
    ]);
}

#[test]
fn a_token_server_that_gives_no_token_is_named() {
    assert_rows(&[
        row(
            "refuses",
            |fake| fake.demand_token(Answer::error(403, "DENIED", "not for you")),
            &[
                "fetching a token from http://REGISTRY/token: ",
                "answered 403 Forbidden (DENIED: not for you)",
            ],
        ),
        row(
            "wants a login itself",
            |fake| fake.demand_token(Answer::unauthorized(&[r#"Basic realm="fake""#.to_owned()])),
            &["fetching a token from http://REGISTRY/token: ", "answered 401 Unauthorized"],
        ),
        row(
            "answers without a token",
            |fake| fake.demand_token(Answer::new(200, "application/json", r#"{"expires_in":300}"#)),
            &["fetching a token from http://REGISTRY/token: the answer contains no token"],
        ),
        row(
            "answers a page",
            |fake| fake.demand_token(Answer::new(200, "text/html", "<html>")),
            &["fetching a token from http://REGISTRY/token: expected value at line 1"],
        ),
        row(
            "answers nothing",
            |fake| fake.demand_token(Answer::bare(b"")),
            &["fetching a token from http://REGISTRY/token: connecting to http://REGISTRY: "],
        ),
    ]);
}
