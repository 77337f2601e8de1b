//! Registries that want a token with each request, and give short-lived ones.

use std::sync::{Arc, Mutex};

use crate::{
    fake::{Answer, Fake, Fault, Request},
    noise::noise,
    ours::Author,
};

/// How the end of a token shows.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    /// The registry reads what is sent, and says no.
    Polite,
    /// It says no at once and hangs up.
    Rude,
}

/// What a registry with tokens was asked.
#[derive(Default)]
struct Seen {
    given: usize,
    left: usize,
    scopes: Vec<String>,
}

/// A registry whose every token opens so many requests. `password` is what it wants to be shown for one.
fn guarded(
    uses: usize,
    refusal: Refusal,
    password: Option<&'static str>,
) -> (Fake, Arc<Mutex<Seen>>) {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let fake = Fake::new();
    let (address, desk) = (fake.address.clone(), Arc::clone(&seen));
    fake.set_faults(move |request: &Request| {
        let mut seen = desk.lock().unwrap();
        let shown = request.header("authorization");
        if let Some(query) = request.path.strip_prefix("/token?") {
            if password.is_some_and(|password| shown != Some(password)) {
                return Fault::Answer(Answer::error(401, "UNAUTHORIZED"));
            }
            seen.scopes.push(query.to_owned());
            (seen.given, seen.left) = (seen.given + 1, uses);
            let token = serde_json::json!({ "token": format!("t{}", seen.given) });
            return Fault::Answer(Answer::new(200).body("application/json", token.to_string()));
        }
        let is_good = shown == Some(&format!("Bearer t{}", seen.given)) && seen.left > 0;
        if is_good {
            seen.left -= 1;
            return Fault::None;
        }
        let challenge = format!(r#"Bearer realm="http://{address}/token",service="fake""#);
        let no = Answer::error(401, "UNAUTHORIZED").header("WWW-Authenticate", challenge);
        match refusal {
            Refusal::Polite => Fault::Answer(no),
            Refusal::Rude => Fault::Early(no),
        }
    });
    (fake, seen)
}

#[test]
fn a_token_that_expires_in_the_middle_is_fetched_anew() {
    let rows = [(1, Refusal::Polite), (3, Refusal::Polite), (3, Refusal::Rude), (4, Refusal::Rude)];
    std::thread::scope(|scope| {
        for (uses, refusal) in rows {
            scope.spawn(move || {
                let (fake, seen) = guarded(uses, refusal, None);
                let author = Author::with(&["--plain-http", "--chunk-size", "1"]);
                let content = noise(2, (3 << 20) + 1);
                author.write("a", &content);
                author.write("b", "b");
                author.push(&["a", "b", &fake.reference("1")]);
                assert!(seen.lock().unwrap().given > 3, "{uses} {refusal:?}");
                author.ok(&["pull", &fake.reference("1"), "-o", "out"]);
                assert!(author.read("out/a") == content);
            });
        }
    });
}

#[test]
fn a_token_is_asked_for_with_the_right_to_do_what_is_done_and_no_other() {
    let (fake, seen) = guarded(usize::MAX, Refusal::Polite, None);
    let author = Author::new();
    author.write("a", "a");
    let reference = fake.reference("1");
    for (words, actions) in [
        (&["push", "a", &reference][..], "pull%2Cpush"),
        (&["inspect", "--remote", &reference], "pull"),
        (&["pull", &reference], "pull"),
        (&["attach", "a", &reference, "--type", "a/b"], "pull%2Cpush"),
        (&["rm", "--remote", &reference], "pull%2Cdelete"),
    ] {
        author.ok(words);
        let scopes = std::mem::take(&mut seen.lock().unwrap().scopes);
        let wanted = format!("service=fake&scope=repository%3Aos%3A{actions}");
        assert_eq!(scopes, [wanted], "{words:?}");
    }
}

#[test]
fn a_url_comes_with_the_token_that_opens_it() {
    let (fake, _) = guarded(usize::MAX, Refusal::Polite, None);
    let author = Author::new();
    author.write("a", noise(3, 1000));
    author.push(&["a", &fake.reference("1")]);
    let told = author.json(&["url", "--layer", "a.gz", &fake.reference("1")]);
    let digest = fake.store(|store| store.document("1")["layers"][0]["digest"].clone());
    let digest = digest.as_str().unwrap();
    assert_eq!(told["url"], format!("http://{}/v2/os/blobs/{digest}", fake.address));
    assert!(told["headers"]["Authorization"][0].as_str().unwrap().starts_with("Bearer t"));
}

/// `robot:sesame`
const BASIC: &str = "Basic cm9ib3Q6c2VzYW1l";
const AUTH: &str = "cm9ib3Q6c2VzYW1l";

fn auths(registry: &str, auth: &str) -> String {
    serde_json::json!({ "auths": { registry: { "auth": auth } } }).to_string()
}

#[test]
fn logins_are_found_where_podman_and_docker_keep_them() {
    type Setup = fn(&mut Author, &str);
    let rows: [(&str, Setup); 8] = [
        ("docker", |author, registry| {
            author.write(".docker/config.json", auths(registry, AUTH));
        }),
        ("docker elsewhere", |author, registry| {
            author.write("there/config.json", auths(registry, AUTH));
            author.set("DOCKER_CONFIG", "there");
        }),
        ("podman", |author, registry| {
            author.write("run/containers/auth.json", auths(registry, AUTH));
            author.set("XDG_RUNTIME_DIR", "run");
            author.write(".docker/config.json", auths(registry, "d3Jvbmc6d3Jvbmc="));
        }),
        ("podman, kept", |author, registry| {
            author.write(".config/containers/auth.json", auths(registry, AUTH));
        }),
        ("podman, and docker for another registry", |author, registry| {
            author.write("run/containers/auth.json", auths("registry.example", "d3Jvbmc6d3Jvbmc="));
            author.set("XDG_RUNTIME_DIR", "run");
            author.write(".docker/config.json", auths(registry, AUTH));
        }),
        ("a variable", |author, registry| {
            author.write("mine.json", auths(registry, AUTH));
            author.set("REGISTRY_AUTH_FILE", "mine.json");
        }),
        ("a helper for one registry", |author, registry| {
            let helpers = serde_json::json!({ "credHelpers": { registry: "ours" } });
            author.write(".docker/config.json", helpers.to_string());
        }),
        ("a helper for all", |author, registry| {
            let helper = serde_json::json!({ "auths": { registry: {} }, "credsStore": "ours" });
            author.write(".docker/config.json", helper.to_string());
        }),
    ];
    for (rule, setup) in rows {
        let (fake, _) = guarded(usize::MAX, Refusal::Polite, Some(BASIC));
        let mut author = Author::new();
        author.write("a", "a");
        add_helper(&mut author, &fake.address);
        author.fails(&["push", "a", &fake.reference("1")], "fetching a token from http://");
        setup(&mut author, &fake.address);
        assert!(author.push(&["a", &fake.reference("1")]).starts_with("sha256:"), "{rule}");
    }
}

/// Puts a credential helper by the name of `ours` where programs are looked for. It knows one registry.
fn add_helper(author: &mut Author, registry: &str) {
    let script = format!(
        "#!/bin/sh\nread -r server\nif [ \"$1 $server\" = 'get {registry}' ]; then\n\
        printf '{{\"ServerURL\":\"%s\",\"Username\":\"robot\",\"Secret\":\"sesame\"}}' \"$server\"\n\
        else echo 'credentials not found in native keychain'; exit 1; fi\n"
    );
    author.write_program("bin/docker-credential-ours", &script);
    author.write_program("bin/docker-credential-broken", "#!/bin/sh\necho hunter2\nexit 3\n");
    let path = std::env::var("PATH").unwrap_or_default();
    author.set("PATH", format!("{}:{path}", author.path("bin").display()));
}

#[test]
fn a_helper_that_fails_is_told_without_what_it_says() {
    let (fake, _) = guarded(usize::MAX, Refusal::Polite, Some(BASIC));
    let mut author = Author::new();
    add_helper(&mut author, "registry.example");
    author.write("a", "a");
    for (helper, says) in [
        ("broken", "asking docker-credential-broken for the login to "),
        ("missing", "asking docker-credential-missing for the login to "),
        ("ours", "fetching a token from "),
    ] {
        let config = serde_json::json!({ "credsStore": helper });
        author.write(".docker/config.json", config.to_string());
        let ended = author.run(&["push", "a", &fake.reference("1")]);
        assert_eq!(ended.code, 1);
        assert!(
            ended.stderr.contains(says) && !ended.stderr.contains("hunter2"),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn a_wrong_password_is_told_by_whose_it_is() {
    let (fake, _) = guarded(usize::MAX, Refusal::Polite, Some(BASIC));
    let author = Author::with(&["--plain-http", "--authfile", "logins.json"]);
    author.write("a", "a");
    author.write("logins.json", auths(&fake.address, "cm9ib3Q6aHVudGVyMg=="));
    let ended = author.run(&["push", "a", &fake.reference("1")]);
    let says = "the token server rejected the login of user 'robot' from logins.json (401";
    assert!(ended.code == 1 && ended.stderr.contains(says), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hunter2"));
}
