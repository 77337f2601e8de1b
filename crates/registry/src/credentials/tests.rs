//! Auth files of every kind, the choice of an entry, and hidden secrets.

use super::*;

const FILE: &str = "/etc/ocidd/auth.json";

fn credentials(text: &str) -> Credentials {
    Credentials::parse(text.as_bytes(), Path::new(FILE)).unwrap()
}

fn repository(text: &str) -> Repository {
    let (registry, name) = text.split_once('/').unwrap();
    Repository { registry: registry.to_owned(), name: name.to_owned() }
}

fn login(text: &str, of: &str) -> Option<Login> {
    credentials(text).login_for(&repository(of)).unwrap()
}

fn password(user: &str, password: &str) -> Proof {
    Proof::Password { user: user.to_owned(), password: Secret::new(password.to_owned()) }
}

/// A file whose entries hold their own key as the user.
fn keyed(keys: &[&str]) -> String {
    let entry = |key: &&str| {
        let user = key.replace(':', "_");
        ((*key).to_owned(), serde_json::json!({ "username": user, "password": "p" }))
    };
    let auths: serde_json::Map<_, _> = keys.iter().map(entry).collect();
    serde_json::json!({ "auths": auths }).to_string()
}

#[test]
fn reads_every_kind_of_entry() {
    let token = |text: &str| Secret::new(text.to_owned());
    for (entry, wanted) in [
        (r#"{"auth":"dXNlcjpwYXNz"}"#, Some(password("user", "pass"))),
        (
            r#"{"auth":"dXNlcjpwYXNz","username":"u","password":"p"}"#,
            Some(password("user", "pass")),
        ),
        (r#"{"auth":"dTphOmI="}"#, Some(password("u", "a:b"))),
        (r#"{"auth":"dTphOmI"}"#, Some(password("u", "a:b"))),
        (r#"{"auth":"dTphOmI=\n"}"#, Some(password("u", "a:b"))),
        (r#"{"auth":"dTo="}"#, Some(password("u", ""))),
        (r#"{"username":"u","password":"p \u00e4"}"#, Some(password("u", "p \u{e4}"))),
        (
            r#"{"auth":"","username":"u","password":"p","email":"x@example"}"#,
            Some(password("u", "p")),
        ),
        (r#"{"auth":"dTo=","identitytoken":"t"}"#, Some(Proof::IdentityToken(token("t")))),
        (r#"{"identitytoken":"t","registrytoken":"r"}"#, Some(Proof::RegistryToken(token("r")))),
        (r#"{"username":"u"}"#, None),
        ("{}", None),
    ] {
        let text = format!(r#"{{"auths":{{"r.example":{entry}}},"HttpHeaders":{{}}}}"#);
        let found = login(&text, "r.example/os").map(|login| login.proof);
        assert_eq!(found, wanted, "{entry}");
    }
}

#[test]
fn chooses_the_most_specific_entry() {
    for (keys, of, taken) in [
        (&["r.example"][..], "r.example/os", Some("r.example")),
        (&["R.Example"], "r.example/os", Some("R.Example")),
        (&["r.example:5000"], "r.example:5000/os", Some("r.example_5000")),
        (&["r.example"], "r.example:5000/os", None),
        (&["r.example:5000"], "r.example/os", None),
        (&["other.example"], "r.example/os", None),
        (&["https://r.example"], "r.example/os", Some("https_//r.example")),
        (&["http://r.example/v1/"], "r.example/os", Some("http_//r.example/v1/")),
        (&["https://r.example/v2/", "r.example"], "r.example/os", Some("r.example")),
        (&["r.example/v2/"], "r.example/os", Some("r.example/v2/")),
        (
            &["https://index.docker.io/v1/"],
            "docker.io/library/os",
            Some("https_//index.docker.io/v1/"),
        ),
        (&["docker.io"], "index.docker.io/library/os", Some("docker.io")),
        (&["r.example", "r.example/a", "r.example/a/b"], "r.example/a/b/c", Some("r.example/a/b")),
        (&["r.example", "r.example/a", "r.example/a/b"], "r.example/a/b", Some("r.example/a/b")),
        (&["r.example", "r.example/a", "r.example/a/b"], "r.example/a/bc", Some("r.example/a")),
        (&["r.example", "r.example/a/"], "r.example/a/b", Some("r.example/a/")),
        (&["r.example", "r.example/a"], "r.example/ab", Some("r.example")),
        (&["r.example/a"], "r.example/b", None),
    ] {
        let found = login(&keyed(keys), of).map(|login| login.proof);
        assert_eq!(found, taken.map(|user| password(user, "p")), "{of} from {keys:?}");
    }
}

#[test]
fn skips_empty_entries() {
    let text = r#"{"auths":{"r.example/a":{},"r.example":{"username":"u","password":"p"}}}"#;
    assert_eq!(login(text, "r.example/a").unwrap().proof, password("u", "p"));
}

#[test]
fn rejects_missing_helpers_only_if_needed() {
    let auths = r#""auths":{"r.example":{"username":"u","password":"p"},"empty.example":{}}"#;
    let store = format!(r#"{{{auths},"credsStore":"desktop"}}"#);
    let helpers =
        format!(r#"{{{auths},"credHelpers":{{"ecr.example":"ecr-login","r.example":"x"}}}}"#);
    let empty = format!(r#"{{{auths},"credsStore":""}}"#);
    for (text, of, helper) in [
        (&store, "r.example/os", None),
        (&store, "empty.example/os", Some("desktop")),
        (&store, "other.example/os", Some("desktop")),
        (&helpers, "r.example/os", None),
        (&helpers, "ecr.example/os", Some("ecr-login")),
        (&helpers, "other.example/os", None),
        (&empty, "other.example/os", None),
    ] {
        let found = credentials(text).login_for(&repository(of));
        let Some(helper) = helper else {
            assert_eq!(found.unwrap().is_some(), of.starts_with("r."), "{of} from {text}");
            continue;
        };
        let error = found.unwrap_err().to_string();
        let host = of.trim_end_matches("/os");
        let says =
            format!("{FILE} leaves the login for {host} to the credential helper '{helper}'");
        assert!(error.starts_with(&says), "{error}");
    }
}

#[test]
fn errors_contain_the_position_but_not_the_content() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("auth.json");
    assert_eq!(
        Credentials::read(&file).unwrap().login_for(&repository("r.example/os")).unwrap(),
        None
    );
    for (text, says) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("hunter2", "expected value at line 1 column 1"),
        (r#"{"auths":{"r.example":{"auth":"hunter2"}}"#, "EOF while parsing an object at line 1"),
        (r#"{"auths":"hunter2"}"#, "a value has the wrong type at line 1 column 18"),
        (
            "{\"auths\":\n{\"r.example\":\n{\"auth\":12342}}}",
            "a value has the wrong type at line 3",
        ),
        (r#"{"auths":{"r.example":"hunter2"}}"#, "a value has the wrong type at line 1"),
    ] {
        fs::write(&file, text).unwrap();
        let error = Credentials::read(&file).unwrap_err();
        let line = error.to_line();
        let start = format!("reading logins from {}: ", file.display());
        assert!(line.starts_with(&start) && line.contains(says), "{line}");
        assert!(!format!("{error:?}").contains("hunter2") && !line.contains("12342"), "{error:?}");
    }
    assert!(Credentials::read(folder.path()).is_err(), "a folder");
}

#[test]
fn secrets_never_appear_in_errors_and_debug_lines() {
    let broken = [
        r#"{"auth":"hunter2 is no base64"}"#,
        r#"{"auth":"aHVudGVyMg=="}"#,
        r#"{"auth":"Omh1bnRlcjI="}"#,
        r#"{"auth":"dTpodW50ZXIyCg=="}"#,
        r#"{"username":"a:b","password":"hunter2"}"#,
        r#"{"username":"u","password":"hunter2\n"}"#,
        r#"{"identitytoken":"hunter2\r\nX: y"}"#,
        r#"{"registrytoken":"hunter2\u0000"}"#,
    ];
    let good = [
        r#"{"auth":"dTpodW50ZXIy"}"#,
        r#"{"username":"u","password":"hunter2"}"#,
        r#"{"identitytoken":"hunter2"}"#,
        r#"{"registrytoken":"hunter2"}"#,
    ];
    let hidden = |text: &str| {
        for secret in ["hunter2", "aHVudGVyMg", "Omh1bnRlcjI", "dTpodW50ZXIy"] {
            assert!(!text.contains(secret), "{text}");
        }
    };
    for entry in broken {
        let read = credentials(&format!(r#"{{"auths":{{"r.example":{entry}}}}}"#));
        hidden(&format!("{read:?}"));
        let error = read.login_for(&repository("r.example/os")).unwrap_err();
        let text = error.to_line();
        assert!(
            text.starts_with("reading the login for 'r.example' from /etc/ocidd/auth.json: its ")
        );
        hidden(&format!("{text} {error:?}"));
    }
    for entry in good {
        let read = credentials(&format!(r#"{{"auths":{{"r.example":{entry}}}}}"#));
        let login = read.login_for(&repository("r.example/os")).unwrap().unwrap();
        hidden(&format!("{read:?} {login:?} {login}"));
        assert!(login.to_string().ends_with(" from /etc/ocidd/auth.json"), "{login}");
        assert!(format!("{login:?}").contains("<hidden>"), "{login:?}");
    }
}

#[test]
fn reads_answers_of_credential_helpers() {
    let secret = || Secret::new("s".to_owned());
    for (answer, wanted) in [
        (
            r#"{"ServerURL":"r.example","Username":"u","Secret":"s"}"#,
            Some(Proof::Password { user: "u".to_owned(), password: secret() }),
        ),
        (r#"{"Username":"<token>","Secret":"s"}"#, Some(Proof::IdentityToken(secret()))),
        (r#"{"Username":"","Secret":""}"#, None),
    ] {
        assert_eq!(parse_helper(answer.as_bytes()).unwrap(), wanted);
    }
    let error = parse_helper(br#"{"Username":"u","Secret":["hunter2"]}"#).unwrap_err();
    assert!(!error.to_line().contains("hunter2"));
}
