//! Logins from the auth file: every way to show them, who gets to see them, and that nobody else ever does.

mod faults;

use std::fs;

use crate::{
    fake::{
        Answer, DeadEnd, FORM_PATH, Fake, Request, TOKEN, TOKEN_PATH,
        identity::{Authority, NAMES, VALID},
    },
    images::{Layer, MIB, gzip, image},
    run::{BOTH, By, install, install_from, trust},
    target::{DISK, Target},
};

/// `user:hunter2`
const BASIC: &str = "Basic dXNlcjpodW50ZXIy";
const PASSWORD: &str = r#"{"auth":"dXNlcjpodW50ZXIy"}"#;
const IDENTITY: &str = r#"{"auth":"dXNlcjo=","identitytoken":"hunter2/&="}"#;
const REGISTRY: &str = r#"{"registrytoken":"hunter2"}"#;
const REFRESH_FORM: &str = "grant_type=refresh_token&service=fake%20registry&scope=repository%3Aos%3Apull&client_id=ocidd&refresh_token=hunter2%2F%26%3D";

fn token() -> Answer {
    Answer::new(200, "application/json", serde_json::json!({ "access_token": TOKEN }).to_string())
}

/// Wants a password with every request.
fn demand_basic(fake: &mut Fake) {
    fake.demand_basic();
    fake.open_by(BASIC);
}

/// Wants a token, which it gives for a password.
fn demand_login(fake: &mut Fake) {
    fake.demand_token(token().only_for(|request| request.shows(BASIC)));
}

/// Wants a token, which it gives for an identity token.
fn demand_identity(fake: &mut Fake) {
    fake.demand_token(Answer::error(403, "DENIED", "not by GET"));
    let answer = token().only_for(|request| request.body == REFRESH_FORM.as_bytes());
    fake.answers.insert(FORM_PATH.to_owned(), answer);
}

/// Writes the auth file of a machine with this disk.
fn write_login(target: &Target, registry: &str, entry: &str) {
    let text = format!(r#"{{"auths":{{"{registry}":{entry}}}}}"#);
    fs::write(target.auth_file(), text).unwrap();
}

type Demand = fn(&mut Fake);

#[test]
fn every_kind_of_login_opens_a_registry_that_asks_for_it() {
    let shows = |request: &Request| request.header("authorization").unwrap_or("-").to_owned();
    let bearer = format!("Bearer {TOKEN}");
    let rows: [(&str, Demand, &str, &[&str]); 5] = [
        ("basic", demand_basic, PASSWORD, &["-", BASIC]),
        (
            "basic, in two fields",
            demand_basic,
            r#"{"username":"user","password":"hunter2"}"#,
            &["-", BASIC],
        ),
        ("a token for a password", demand_login, PASSWORD, &["-", BASIC, &bearer]),
        ("a token for an identity token", demand_identity, IDENTITY, &["-", "-", &bearer]),
        (
            "a token that is there already",
            |fake| {
                fake.demand_token(Answer::not_found());
                fake.open_by("Bearer hunter2");
            },
            REGISTRY,
            &["-", "Bearer hunter2"],
        ),
    ];
    for (rule, demand, entry, shown) in rows {
        for by in BOTH {
            let image = image(MIB + 7);
            let mut fake = Fake::with(&Layer::new(gzip(&image)));
            demand(&mut fake);
            let target = Target::new(DISK);
            write_login(&target, &fake.address(), entry);
            let (outcome, requests) = install_from(fake, *by, &target);
            outcome.unwrap_or_else(|failure| panic!("{rule}, by {by:?}: {failure}"));
            target.assert_installed(rule, &image);
            let found: Vec<String> = requests.iter().map(shows).collect();
            assert_eq!(found[..shown.len()], *shown, "{rule}: {requests:?}");
            // What opened the registry once is shown from then on.
            let last = shown.last().unwrap();
            assert!(found[shown.len()..].iter().all(|text| text == last), "{rule}: {requests:?}");
        }
    }
}

#[test]
fn a_login_is_not_shown_to_who_does_not_ask() {
    let image = image(MIB);
    let fake = Fake::with(&Layer::new(gzip(&image)));
    let target = Target::new(DISK);
    write_login(&target, &fake.address(), PASSWORD);
    let (outcome, requests) = install_from(fake, By::Tag, &target);
    outcome.unwrap();
    assert!(requests.iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn a_login_of_another_registry_is_not_shown() {
    let image = image(MIB);
    let mut fake = Fake::with(&Layer::new(gzip(&image)));
    demand_login(&mut fake);
    let target = Target::new(DISK);
    write_login(&target, "registry.example", PASSWORD);
    let (outcome, requests) = install_from(fake, By::Tag, &target);
    outcome.unwrap_err();
    assert!(requests.iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn a_login_is_not_shown_to_a_blob_store_elsewhere() {
    for by in BOTH {
        let image = image(MIB);
        let mut fake = Fake::with(&Layer::new(gzip(&image)));
        demand_basic(&mut fake);
        let blob = fake.blob().clone();
        fake.answers.insert("/store".to_owned(), blob);
        fake.redirect_blob(&format!("http://{}/store", fake.other_address()));
        let target = Target::new(DISK);
        write_login(&target, &fake.address(), PASSWORD);
        let (outcome, requests) = install_from(fake, *by, &target);
        outcome.unwrap();
        target.assert_installed("from a blob store", &image);
        let [.., redirected, stored] = requests.as_slice() else { panic!("{requests:?}") };
        assert!(redirected.shows(BASIC), "{redirected:?}");
        assert_eq!((stored.path.as_str(), stored.header("authorization")), ("/store", None));
    }
}

/// A challenge counts only if the registry itself sent it (CVE-2020-15157).
#[test]
fn answers_no_challenge_of_a_redirect_target() {
    let demands: [(Demand, &str); 4] = [
        (demand_basic, PASSWORD),
        (demand_login, PASSWORD),
        (demand_identity, IDENTITY),
        (|_| (), PASSWORD),
    ];
    for (demand, entry) in demands {
        for challenge in [
            r#"Basic realm="x""#,
            r#"Bearer realm="http://OTHER/token",service="x""#,
            r#"Bearer realm="http://REGISTRY/token",service="x""#,
        ] {
            for by in BOTH {
                let mut fake = Fake::with(&Layer::new(gzip(&image(MIB))));
                demand(&mut fake);
                let (registry, other) = (fake.address(), fake.other_address());
                let challenge = challenge.replace("OTHER", &other).replace("REGISTRY", &registry);
                fake.answers.insert("/store".to_owned(), Answer::unauthorized(&[challenge]));
                fake.redirect_blob(&format!("http://{other}/store"));
                let target = Target::new(DISK);
                write_login(&target, &registry, entry);
                let (outcome, requests) = install_from(fake, *by, &target);
                let failure = outcome.unwrap_err().to_string();
                let text = format!(
                    "registry {registry} redirects to http://{other}, which answered 401 Unauthorized"
                );
                assert!(failure.contains(&text), "{failure}");
                for request in requests {
                    if request.header("host").unwrap() == other {
                        assert_eq!(request.header("authorization"), None, "{request:?}");
                        assert_eq!(request.path, "/store", "{request:?}");
                    }
                }
            }
        }
    }
}

/// A token server that sends those who come to it on to another host.
fn send_on(fake: &mut Fake, path: &str) {
    let elsewhere = format!("http://{}/elsewhere", fake.other_address());
    let redirect = Answer::new(307, "text/plain", "").header("Location", elsewhere);
    fake.answers.insert(path.to_owned(), redirect);
    fake.answers.insert("/elsewhere".to_owned(), token());
}

#[test]
fn a_token_server_that_sends_a_password_elsewhere_keeps_it() {
    let image = image(MIB);
    let mut fake = Fake::with(&Layer::new(gzip(&image)));
    fake.demand_token(token());
    send_on(&mut fake, TOKEN_PATH);
    let target = Target::new(DISK);
    write_login(&target, &fake.address(), PASSWORD);
    let (_, requests) = install_from(fake, By::Tag, &target);
    let by_path = |path: &str| requests.iter().find(|request| request.path == path).unwrap();
    assert!(by_path(TOKEN_PATH).shows(BASIC), "{requests:?}");
    assert_eq!(by_path("/elsewhere").header("authorization"), None);
}

#[test]
fn a_token_server_on_another_host_is_shown_the_login_that_is_for_the_registry() {
    let image = image(MIB);
    let mut fake = Fake::with(&Layer::new(gzip(&image)));
    demand_login(&mut fake);
    for challenge in &mut fake.challenges {
        *challenge = challenge.replace("http://127.0.0.1", "http://localhost");
    }
    let target = Target::new(DISK);
    write_login(&target, &fake.address(), PASSWORD);
    let (outcome, requests) = install_from(fake, By::Tag, &target);
    outcome.unwrap();
    let asked = requests.iter().find(|request| request.path == TOKEN_PATH).unwrap();
    assert!(asked.header("host").unwrap().starts_with("localhost:") && asked.shows(BASIC));
}

#[test]
fn a_login_is_never_shown_over_plain_http_unless_that_is_allowed() {
    for entry in [PASSWORD, IDENTITY] {
        let authority = Authority::new("right");
        let layer = Layer::new(gzip(&image(MIB)));
        let mut fake = Fake::with(&layer);
        fake.tls = Some(authority.server(&NAMES, VALID));
        let plain = DeadEnd::new();
        fake.challenges = vec![format!(r#"Bearer realm="http://{}/token""#, plain.address())];
        let target = Target::new(DISK);
        write_login(&target, &fake.address(), entry);
        let word = By::Tag.word(&fake.address(), &layer);
        let registry = fake.serve();
        let certificates = trust(target.folder.path(), &authority);
        let text = install(&[&word], &target, certificates).unwrap_err().to_string();
        let says = "the token server is not reached over HTTPS";
        assert!(text.contains(says), "{text}");
        assert!(
            registry.requests().iter().all(|request| request.header("authorization").is_none())
        );
    }
}
