//! Messages of commands: they name what was passed, and no remedy of another cause.

use std::path::Path;

use crate::{
    fake::{Answer, Fake, Fault},
    noise::noise,
    ours::Author,
};

#[test]
fn list_names_its_argument() {
    let author = Author::new();
    for argument in ["r.example/os:1", "r.example", "docker://r.example/os"] {
        let ended = author.run(&["list", argument]);
        assert_eq!(ended.code, 1);
        let named = format!("'{argument}'");
        let text = ended.stderr;
        assert!(text.contains(&named) && !text.contains(":latest'"), "{text}");
    }
}

#[test]
fn names_the_store_that_is_full() {
    let author = Author::new();
    author.write("d.raw", noise(3, 1 << 20));
    for push in ["push --force d.raw 127.0.0.1:9/os:1", "push --type a/b d.raw 127.0.0.1:9/os:1"] {
        let program = env!("CARGO_BIN_EXE_ocidd");
        let script =
            format!("trap '' XFSZ; ulimit -f 100; exec {program} image --store stored {push}");
        let ended = author.run_other(Path::new("/bin/sh"), &["-c", &script]);
        let text = ended.stderr;
        assert!(text.contains("stored") && text.contains("File too large"), "{text}");
    }
}

/// A hint about credentials helps only if others could be accepted.
#[test]
fn a_reason_of_the_registry_needs_no_hint_about_credentials() {
    const HINT: &str = "the repository may be private";
    let general =
        r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#;
    let quota = r#"{"errors":[{"code":"DENIED","message":"quota exceeded"}]}"#;
    for (needs_login, body, has_hint) in [
        (false, "", true),
        (false, general, true),
        (false, quota, false),
        (true, general, false),
        (true, quota, false),
    ] {
        let fake = Fake::with(move |request| {
            if needs_login && request.header("authorization").is_none() {
                let answer = Answer::error(401, "UNAUTHORIZED");
                return Fault::Answer(answer.header("WWW-Authenticate", "Basic realm=\"x\""));
            }
            Fault::Answer(Answer::new(403).body("application/json", body))
                .when(request.is("POST blobs/uploads"))
        });
        let author = Author::with(&["--plain-http", "--authfile", "auth.json"]);
        author.write("a", "a");
        author
            .write("auth.json", format!(r#"{{"auths":{{"{}":{{"auth":"dTpw"}}}}}}"#, fake.address));
        let ended = author.run(&["push", "--force", "a", &fake.reference("1")]);
        let text = ended.stderr;
        assert!(ended.code == 1 && text.contains("answered 403"), "{text}");
        assert_eq!(text.contains(HINT), has_hint, "{text}");
    }
}
