//! Secrets in every place that can hold one never appear in output or events.

use std::fs;

use super::{Scene, run_with};
use crate::{
    fake::{Answer, DeadEnd, Fake},
    images::Layer,
    run::By,
};

const SECRET: &str = "S3cret";

#[test]
fn secrets_are_never_printed() {
    let nobody = DeadEnd::new();
    let at = |text: &str| text.replace("NOBODY", &nobody.address());
    for (parameter, code) in [
        ("ocidd.report=http://u:S3cret@NOBODY/e", 0),
        ("ocidd.report=ftp://u:S3cret@NOBODY/", 2),
        ("ocidd.report=u:S3cret@NOBODY", 2),
        ("oci.mirror=u:S3cret@NOBODY", 2),
        ("oci.mirror=http://u:S3cret@NOBODY", 2),
        ("http_proxy=http://u:S3cret@NOBODY", 4),
        ("http_proxy=ftp://u:S3cret@NOBODY", 2),
        ("https_proxy=ftp://u:S3cret@NOBODY", 2),
        ("oci.tag=https://u:S3cret@NOBODY/os:1", 2),
        ("oci.tag=u:S3cret@NOBODY/os:1", 2),
        ("oci.retries=http://u:S3cret@NOBODY", 2),
    ] {
        let scene = Scene::new(|_| ());
        let ended = scene.run(&[&at(parameter)], "");
        assert!(!ended.stderr.contains(SECRET), "{parameter}: {}", ended.stderr);
        assert_eq!(ended.code, code, "{parameter}: {}", ended.stderr);
    }
}

#[test]
fn secrets_of_the_auth_file_are_in_no_line_and_no_event() {
    type Fault = fn(&mut Fake);
    let faults: [Fault; 5] = [
        |fake| fake.challenges = vec![r#"Basic realm="x""#.to_owned()],
        |fake| fake.demand_token(Answer::error(403, "DENIED", "S3cret")),
        |fake| {
            let challenge = format!(r#"Bearer realm="http://u:S3cret@{}/""#, fake.address());
            fake.challenges = vec![challenge];
        },
        |fake| *fake.manifest() = Answer::bare(b""),
        |fake| fake.redirect_blob("http://u:S3cret@127.0.0.1:9/"),
    ];
    for entry in [
        r#"{"username":"u","password":"S3cret"}"#,
        r#"{"identitytoken":"S3cret"}"#,
        r#"{"registrytoken":"S3cret"}"#,
        r#"{"registrytoken":"S3cret\n"}"#,
        r#"{"auth":"S3cret"}"#,
    ] {
        for fault in faults {
            let scene = Scene::new(fault);
            let mut receiver = Fake::with(&Layer::new(b"none"));
            receiver.answers.insert("/".to_owned(), Answer::new(204, "text/plain", ""));
            let report = format!("ocidd.report=http://{}/", receiver.address());
            let receiver = receiver.serve();
            let file = scene.target.auth_file().display().to_string();
            let auths = format!(r#"{{"auths":{{"{}":{entry}}}}}"#, scene.registry.address);
            fs::write(&file, auths).unwrap();
            let tag = scene.word(By::Tag);
            let words = [&*tag, "oci.allow_no_tls", "oci.retries=0", &scene.disk, &report];
            let ended = run_with(&[("REGISTRY_AUTH_FILE", &file)], &words, "");
            assert!(ended.code > 0 && !ended.stderr.contains(SECRET), "{}", ended.stderr);
            let events = receiver.requests();
            assert!(!events.is_empty());
            for event in events {
                assert!(!String::from_utf8_lossy(&event.body).contains(SECRET), "{event:?}");
            }
        }
    }
}
