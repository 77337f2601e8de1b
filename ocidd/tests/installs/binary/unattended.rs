//! Runs that ask nothing: every exit code with its words.

use std::fs;

use ocidd::report::failure::EXIT_CODES;
use params::PARAMETERS;

use crate::{
    binary::{Scene, run, run_with},
    fake::{Answer, Fake},
    images::{Layer, MIB, gzip, image},
    run::By,
    target::{DISK, Left, Target},
};

#[test]
fn a_good_install_ends_with_0_and_one_line_of_what_was_done() {
    for by in [By::Tag, By::Blob] {
        let scene = Scene::new(|_| {});
        let (word, disk) = (scene.word(by), scene.target.path.display());
        let ended = run(&[&word, "oci.allow_no_tls", &scene.disk, "dd.bs=64k"], "");
        let from = word.split_once('=').unwrap().1;
        let digest = scene.layer.digest;
        let first = format!("ocidd: installing {from} to {disk}\n");
        let last = format!("ocidd: installed 3145733 bytes (3 MiB) on {disk} in ");
        ended.assert("good", 0, &[&first, &last, &format!(" MB/s, layer {digest}\n")]);
        scene.target.assert_installed("good", &scene.image);
    }
}

#[test]
fn invalid_parameters_end_with_2_and_all_are_reported() {
    let scene = Scene::new(|_| {});
    let blob = scene.word(By::Blob);
    let rows: [(&[&str], &[&str]); 6] = [
        (
            &["dd.off=/dev/null"],
            &["ocidd: unknown parameter 'dd.off', similar to 'dd.of'; nothing was written\n"],
        ),
        (
            &["oci.tga=x", "dd.bs=1Q", "wait=perhaps"],
            &[
                "ocidd: unknown parameter 'oci.tga', similar to 'oci.tag'\n",
                "\nocidd: dd.bs: invalid value '1Q', expected a size",
                "\nocidd: wait: invalid value 'perhaps', expected no value, yes or no; nothing was written\n",
            ],
        ),
        (
            &["oci.tag=os:1"],
            &["ocidd: oci.tag: 'os:1' does not name a registry", "; nothing was written\n"],
        ),
        (
            &["oci.tag=https://r.example/os:1"],
            &[
                "ocidd: oci.tag: invalid reference 'https://r.example/os:1': unexpected scheme 'https://'; nothing was written\nocidd: hint: ",
            ],
        ),
        (&[&blob], &["ocidd: oci.tag and oci.blob are mutually exclusive"]),
        (&["oci.verify_key="], &["ocidd: oci.verify_key: missing value, expected a key"]),
    ];
    for (words, says) in rows {
        scene.run(words, "").assert(&words.join(" "), 2, says);
        scene.target.assert_left(&words.join(" "), Left::Untouched, &scene.image);
    }
    assert_eq!(scene.registry.requests().len(), 0);
}

struct Row {
    rule: &'static str,
    fault: fn(&mut Fake),
    code: i32,
    id: &'static str,
    says: &'static [&'static str],
    left: Left,
}

const FAILURES: [Row; 4] = [
    Row {
        rule: "unknown tag",
        fault: |fake| *fake.manifest() = Answer::error(404, "MANIFEST_UNKNOWN", "no such tag"),
        code: 4,
        id: "not-found",
        says: &["ocidd: resolving ", "answered 404 Not Found (MANIFEST_UNKNOWN: no such tag)"],
        left: Left::Untouched,
    },
    Row {
        rule: "cut off",
        fault: |fake| fake.blob().cut_after = Some(5 << 19),
        code: 4,
        id: "unreachable",
        says: &["ocidd: installing to ", ", after 2621440 bytes (2.5 MiB): "],
        left: Left::Cleared,
    },
    Row {
        rule: "changed on the way",
        fault: |fake| fake.blob().flip_byte_from_end(4),
        code: 6,
        id: "digest-mismatch",
        says: &["ocidd: installing to ", ": layer has digest sha256:", ", expected sha256:", "; "],
        left: Left::Cleared,
    },
    Row {
        rule: "pushed as it should not have been",
        fault: |fake| fake.push(&Layer::new("<html>")),
        code: 6,
        id: "unknown-format",
        says: &[
            "ocidd: installing to ",
            ": layer looks like a web page, not like a disk image; nothing was written\nocidd: hint: ",
        ],
        left: Left::Untouched,
    },
];

#[test]
fn a_failed_install_ends_with_the_code_of_its_cause_and_the_state_of_the_disk() {
    for Row { rule, fault, code, id, says, left } in FAILURES {
        let scene = Scene::new(fault);
        let ended = scene.run(&[], "");
        ended.assert(rule, code, says);
        let state = match left {
            Left::Untouched => "; nothing was written\n",
            _ => "were cleared, it will not boot\n",
        };
        assert!(ended.stderr.contains(state), "{rule}: {}", ended.stderr);
        let last = format!("ocidd: error {id} (exit code {code}): ");
        assert!(
            ended.stderr.lines().last().unwrap().starts_with(&last),
            "{rule}: {}",
            ended.stderr
        );
        scene.target.assert_left(rule, left, &scene.image);
    }
}

#[test]
fn an_image_that_is_not_signed_ends_with_8() {
    let scene = Scene::new(|_| {});
    let key = "oci.verify_key=MCowBQYDK2VwAyEAH90JUfaWgqlnv6ffeTaAMCH93O6kRhHlwynB9oaH0H4=";
    let says = [
        "ocidd: verifying the signature of ",
        " is not signed; trusted are oci.verify_key (sha256:e0bba83e0154a8dc…); nothing was written\nocidd: hint: sign it with `cosign sign --key`\n",
        "\nocidd: error bad-signature (exit code 8): sign the image; fix ",
    ];
    scene.run(&[key], "").assert("unsigned", 8, &says);
    scene.target.assert_left("unsigned", Left::Untouched, &scene.image);
}

#[test]
fn a_disk_that_does_not_fit_ends_with_5() {
    let scene = Scene::new(|_| {});
    let nosuch = scene.target.folder.path().join("nosuch");
    let word = format!("dd.of={}", nosuch.display());
    let says = format!(
        "ocidd: opening target disk '{}': No such file or directory (os error 2); nothing was written\n",
        nosuch.display()
    );
    scene.run(&[&word], "").assert("missing", 5, &[&says]);
    assert!(!nosuch.exists(), "a missing target must not be created");

    let small = Target::new(3 * MIB);
    let word = format!("dd.of={}", small.path.display());
    let says = [
        "target disk is too small: the image needs at least ",
        ", the disk has 3145728 bytes (3 MiB)",
        "; nothing was written\n",
    ];
    scene.run(&[&word], "").assert("small", 5, &says);
    small.assert_left("small", Left::Untouched, &scene.image);
}

#[test]
fn help_lists_every_parameter_and_exit_code_and_version_names_the_program() {
    let help = run(&["quiet", "--help"], "");
    assert_eq!((help.code, help.stderr.as_str()), (0, ""));
    for parameter in &PARAMETERS {
        assert!(
            help.stdout.contains(parameter.key()) && help.stdout.contains(parameter.help),
            "{}",
            parameter.key()
        );
    }
    for (code, meaning) in EXIT_CODES {
        assert!(help.stdout.contains(&format!("  {code}  {meaning}\n")), "{code}");
    }
    let version = run(&["-V"], "");
    let wanted = concat!("ocidd ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!((version.code, version.stdout.as_str(), version.stderr.as_str()), (0, wanted, ""));
}

#[test]
fn a_login_from_a_file_is_used_and_its_secret_never_on_the_console() {
    for (opens, code, says) in [
        ("Basic dXNlcjpodW50ZXIy", 0, "ocidd: installed "),
        ("Basic other", 4, "showing the login of user 'user' from "),
    ] {
        let mut fake = Fake::with(&Layer::new(gzip(&image(MIB))));
        fake.challenges = vec![r#"Basic realm="fake""#.to_owned()];
        fake.open_by(opens);
        let target = Target::new(DISK);
        let entry = r#"{"username":"user","password":"hunter2"}"#;
        let text = format!(r#"{{"auths":{{"{}":{entry}}}}}"#, fake.address());
        fs::write(target.auth_file(), text).unwrap();
        let file = target.auth_file().display().to_string();
        let (tag, disk) = (By::Tag.word(&fake.address(), fake.layer()), target.path.display());
        let _registry = fake.serve();
        let words = [&*tag, "oci.allow_no_tls", &format!("dd.of={disk}")];
        let ended = run_with(&[("REGISTRY_AUTH_FILE", &file)], &words, "");
        ended.assert(opens, code, &[says]);
        for secret in ["hunter2", "dXNlcjpodW50ZXIy"] {
            assert!(!ended.stderr.contains(secret), "{}", ended.stderr);
        }
    }
}
