//! Logins that are missing, broken or refused: each is told as what it is, and by whose it is, and never by what it is.

use super::{
    Demand, IDENTITY, PASSWORD, REGISTRY, demand_basic, demand_identity, demand_login, send_on,
    token, write_login,
};
use crate::{
    fake::{Answer, FORM_PATH, Fake, TOKEN},
    images::{Layer, MIB, gzip, image},
    run::{BOTH, Wanted, assert_failed, install_from},
    target::{DISK, Left, Target},
};

/// Whatever of a secret could be seen: itself, and as it travels.
const SECRETS: [&str; 3] = ["hunter2", "dXNlcjpodW50ZXIy", TOKEN];

struct Row {
    rule: &'static str,
    demand: Demand,
    /// `None` writes no file.
    entry: Option<&'static str>,
    says: &'static [&'static str],
}

const FAULTS: &[Row] = &[
    Row {
        rule: "basic without a login",
        demand: demand_basic,
        entry: None,
        says: &[
            "registry REGISTRY requires a login",
            "hint: put user and password into /etc/ocidd/auth.json, in the format of docker's config.json",
        ],
    },
    Row {
        rule: "basic with a wrong password",
        demand: |fake| {
            demand_basic(fake);
            fake.open_by("Basic other");
        },
        entry: Some(PASSWORD),
        says: &[
            "showing the login of user 'user' from FILE: registry REGISTRY answered 401 Unauthorized",
        ],
    },
    Row {
        rule: "basic with an identity token",
        demand: demand_basic,
        entry: Some(IDENTITY),
        says: &[
            "registry REGISTRY requires a user and a password, the identity token of 'REGISTRY' from FILE is neither",
        ],
    },
    Row {
        rule: "a token server that does not know the password",
        demand: |fake| {
            fake.demand_token(token().only_for(|request| request.shows("Basic other")));
        },
        entry: Some(PASSWORD),
        says: &[
            "fetching a token from http://REGISTRY/token: the token server rejected the login of user 'user' from FILE (401 Unauthorized)",
        ],
    },
    Row {
        rule: "a token server that repeats the password",
        demand: |fake| fake.demand_token(Answer::error(403, "DENIED", "hunter2 is wrong")),
        entry: Some(PASSWORD),
        says: &["the token server rejected the login of user 'user' from FILE (403 Forbidden)"],
    },
    Row {
        rule: "a token server that breaks over the password",
        demand: |fake| fake.demand_token(Answer::error(500, "UNKNOWN", "hunter2?")),
        entry: Some(PASSWORD),
        says: &[
            "showing the login of user 'user' from FILE: the token server answered 500 Internal Server Error",
        ],
    },
    Row {
        rule: "an identity token that has expired",
        demand: |fake| {
            demand_identity(fake);
            let error =
                Answer::new(400, "application/json", r#"{"error":"invalid_grant: hunter2/&="}"#);
            fake.answers.insert(FORM_PATH.to_owned(), error);
        },
        entry: Some(IDENTITY),
        says: &[
            "the token server rejected the identity token of 'REGISTRY' from FILE (400 Bad Request)",
        ],
    },
    Row {
        rule: "a token server that knows no identity tokens",
        demand: |fake| fake.demand_token(token()),
        entry: Some(IDENTITY),
        says: &[
            "showing the identity token of 'REGISTRY' from FILE: the token server answered 404 Not Found",
        ],
    },
    Row {
        rule: "a token server that sends an identity token elsewhere",
        demand: |fake| {
            demand_identity(fake);
            send_on(fake, FORM_PATH);
        },
        entry: Some(IDENTITY),
        says: &[
            "showing the identity token of 'REGISTRY' from FILE: the token server answered 307 Temporary Redirect",
        ],
    },
    Row {
        rule: "a registry token that does not open",
        demand: |fake| fake.demand_token(Answer::not_found()),
        entry: Some(REGISTRY),
        says: &[
            "showing the registry token of 'REGISTRY' from FILE: registry REGISTRY answered 401",
        ],
    },
    Row {
        rule: "a blob store that refuses whom the registry has let in",
        demand: |fake| {
            demand_basic(fake);
            let store = format!("http://{}/store", fake.other_address());
            fake.answers.insert("/store".to_owned(), Answer::error(403, "DENIED", "too late"));
            fake.redirect_blob(&store);
        },
        entry: Some(PASSWORD),
        says: &[
            "fetching layer LAYER from REGISTRY: registry REGISTRY redirects to http://localhost:",
            ", which answered 403 Forbidden (DENIED: too late)",
        ],
    },
    Row {
        rule: "a token of another kind",
        demand: |fake| {
            let answer = format!(r#"["{TOKEN}", ["{TOKEN}"]]"#);
            fake.demand_token(Answer::new(200, "application/json", answer));
        },
        entry: Some(PASSWORD),
        says: &[
            "fetching a token from http://REGISTRY/token: a value has the wrong type at line 1",
        ],
    },
    Row {
        rule: "a token that no header takes",
        demand: |fake| {
            let answer = serde_json::json!({ "token": format!("{TOKEN}\n") }).to_string();
            fake.demand_token(Answer::new(200, "application/json", answer));
        },
        entry: Some(PASSWORD),
        says: &["connecting to http://REGISTRY: "],
    },
    Row {
        rule: "a login that cannot be read",
        demand: demand_login,
        entry: Some(r#"{"auth":"hunter2"}"#),
        says: &[
            "reading the login for 'REGISTRY' from FILE: its auth is not the base64 of user:password",
        ],
    },
    Row {
        rule: "a login that a helper has",
        demand: demand_login,
        entry: Some(r#"{}},"credHelpers":{"REGISTRY":"pass"},"x":{"y":{}"#),
        says: &["FILE leaves the login for REGISTRY to the credential helper 'pass'"],
    },
    Row {
        rule: "a file that is no JSON",
        demand: demand_login,
        entry: Some("hunter2"),
        says: &["reading logins from FILE: expected value at line 1 column "],
    },
];

#[test]
fn secrets_never_appear_in_errors() {
    let image = image(2 * MIB);
    let layer = Layer::new(gzip(&image));
    for row in FAULTS {
        for by in BOTH {
            let rule = format!("{}, by {by:?}", row.rule);
            let mut fake = Fake::with(&layer);
            (row.demand)(&mut fake);
            let target = Target::new(DISK);
            let address = fake.address();
            if let Some(entry) = row.entry {
                write_login(&target, &address, &entry.replace("REGISTRY", &address));
            }
            let (outcome, requests) = install_from(fake, *by, &target);
            let failure = outcome.expect_err(&rule);
            for text in [failure.to_string(), format!("{failure:?}")] {
                for secret in SECRETS {
                    assert!(!text.contains(secret), "{rule}: '{secret}' is in\n  {text}");
                }
            }
            let elsewhere = requests.iter().find(|request| request.path.contains("/elsewhere"));
            assert!(elsewhere.is_none(), "{rule}: {elsewhere:?}");
            let file = target.auth_file().display().to_string();
            let says: Vec<String> =
                row.says.iter().map(|part| part.replace("FILE", &file)).collect();
            let says: Vec<&str> = says.iter().map(String::as_str).collect();
            let wanted = Wanted { code: 4, says: &says, left: Left::Untouched };
            assert_failed(&rule, Err(failure), wanted, (&address, &layer), (&target, &image));
        }
    }
}
