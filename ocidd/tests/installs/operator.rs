//! What an operator asks for by words: mirrors, dry runs, no reinstalls, reading back, events, proxies, certificates that nobody checks.

use std::time::{Duration, Instant};

use ocidd::report::{
    event::{Done, Outcome},
    failure::{Cause, Failure},
};

use crate::{
    fake::{
        Answer, Fake, Part,
        identity::{Authority, NAMES, VALID},
    },
    images::{Layer, MIB, gzip, gzip_stored, image},
    proxy::Proxy,
    run::{BOTH, By, Heard, install, install_heard, no_certificates},
    target::{DISK, Left, Target},
};

/// Installs over plain HTTP from the registry that `word` names, with more words.
fn install_with(
    word: &str,
    more: &[&str],
    target: &Target,
    heard: &Heard,
) -> Result<Done, Failure> {
    let words = [&[word, "oci.allow_no_tls"], more].concat();
    install_heard(&words, target, no_certificates(target.folder.path()), heard)
}

#[test]
fn a_mirror_is_asked_for_what_a_digest_names_and_the_origin_for_the_tag() {
    for by in BOTH {
        let image = image(2 * MIB);
        let origin = Fake::with(&Layer::new(gzip(&image)));
        let mirror = origin.mirror();
        let word = by.word(&origin.address(), origin.layer());
        let mirrors = format!("oci.mirror={}", mirror.address());
        let (origin, mirror) = (origin.serve(), mirror.serve());
        let target = Target::new(DISK);
        install_with(&word, &[&mirrors], &target, &Heard::default()).unwrap();
        target.assert_installed("from a mirror", &image);
        let asked_origin: Vec<String> =
            origin.requests().into_iter().map(|r| r.path.clone()).collect();
        let tag = vec!["/v2/os/manifests/1".to_owned()];
        assert_eq!(asked_origin, if *by == By::Tag { tag } else { vec![] });
        assert!(mirror.requests().iter().all(|request| request.path.contains("/blobs/")));
    }
}

#[test]
fn what_a_mirror_lacks_or_breaks_off_comes_from_the_origin() {
    type Fault = fn(&mut Fake);
    let faults: [(&str, Fault, Option<&str>); 4] = [
        ("nothing", |mirror| mirror.spoil(Part::Blob, |_| Answer::not_found()), None),
        ("errors", |mirror| mirror.spoil(Part::Blob, |_| Answer::busy(500)), None),
        ("a web page", |mirror| mirror.spoil(Part::Blob, |_| Answer::login_page()), None),
        (
            "half",
            |mirror| mirror.spoil(Part::Blob, |right| right.cut(MIB + MIB / 2)),
            Some("bytes=1572864-"),
        ),
    ];
    for (rule, fault, range) in faults {
        let image = image(3 * MIB);
        let origin = Fake::with(&Layer::new(gzip(&image)));
        let mut mirror = origin.mirror();
        fault(&mut mirror);
        let word = By::Blob.word(&origin.address(), origin.layer());
        let mirrors = format!("oci.mirror={}", mirror.address());
        let (origin, _mirror) = (origin.serve(), mirror.serve());
        let (target, heard) = (Target::new(DISK), Heard::default());
        install_with(&word, &[&mirrors], &target, &heard)
            .unwrap_or_else(|failure| panic!("{rule}: {failure}"));
        target.assert_installed(rule, &image);
        let warnings = heard.warnings();
        assert!(warnings[0].contains("; asking the next registry"), "{rule}: {warnings:?}");
        assert_eq!(origin.requests()[0].header("range"), range, "{rule}");
        assert_eq!(heard.retries().len(), 0, "{rule}");
    }
}

#[test]
fn a_mirror_that_changes_bytes_is_caught_by_the_digest() {
    let image = image(3 * MIB);
    let origin = Fake::with(&Layer::new(gzip_stored(&image)));
    let mut mirror = origin.mirror();
    mirror.spoil(Part::Blob, |right| right.flip(2 * MIB));
    let word = By::Tag.word(&origin.address(), origin.layer());
    let mirrors = format!("oci.mirror={}", mirror.address());
    let (_origin, _mirror) = (origin.serve(), mirror.serve());
    let target = Target::new(DISK);
    let failure = install_with(&word, &[&mirrors], &target, &Heard::default()).unwrap_err();
    assert_eq!(failure.cause, Cause::DIGEST, "{failure}");
    target.assert_left("changed by a mirror", Left::Garbled, &image);
}

#[test]
fn a_token_that_expires_midway_is_renewed() {
    for by in BOTH {
        let image = image(3 * MIB);
        let mut fake = Fake::with(&Layer::new(gzip(&image)));
        fake.demand_token(Answer::token("token"));
        fake.spoil(Part::Blob, |right| right.clone().cut(2 * MIB).expire_tokens().then(right));
        let word = by.word(&fake.address(), fake.layer());
        let registry = fake.serve();
        let (target, heard) = (Target::new(DISK), Heard::default());
        install_with(&word, &[], &target, &heard).unwrap();
        target.assert_installed("by a second token", &image);
        let last = registry.requests().into_iter().next_back().unwrap();
        assert_eq!((last.token_number(), last.header("range")), (Some(2), Some("bytes=2097152-")));
        assert_eq!(heard.retries().len(), 1);
    }
}

#[test]
fn a_registry_that_names_a_time_to_wait_is_given_it() {
    let image = image(MIB);
    let mut fake = Fake::with(&Layer::new(gzip(&image)));
    fake.spoil(Part::Blob, |right| Answer::busy(429).retry_after("1").then(right));
    let word = By::Blob.word(&fake.address(), fake.layer());
    let _registry = fake.serve();
    let (target, heard) = (Target::new(DISK), Heard::default());
    let start = Instant::now();
    install_with(&word, &[], &target, &heard).unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(heard.retries().len(), 1);
}

#[test]
fn a_dry_run_finds_everything_and_writes_nothing() {
    let image = image(MIB);
    let fake = Fake::with(&Layer::new(gzip(&image)));
    let word = By::Tag.word(&fake.address(), fake.layer());
    let _registry = fake.serve();
    let target = Target::new(DISK);
    let done = install_with(&word, &["ocidd.dry_run"], &target, &Heard::default()).unwrap();
    assert_eq!(done.outcome, Outcome::DryRun);
    for part in ["would install ", "layer sha256:", "dry run: nothing was written"] {
        assert!(done.message.contains(part), "{}", done.message);
    }
    target.assert_left("a dry run", Left::Untouched, &image);
    // It fails as the install would.
    let small = Target::new(MIB / 2);
    let failure = install_with(&word, &["ocidd.dry_run"], &small, &Heard::default()).unwrap_err();
    assert_eq!(failure.cause, Cause::DISK_TOO_SMALL, "{failure}");
}

#[test]
fn a_disk_that_carries_the_image_is_left_alone_and_no_other() {
    let (one, other) = (image(MIB + 1), image(MIB + 2));
    let target = Target::new(DISK);
    let skip = ["ocidd.skip_if_installed"];
    for (rule, image, outcome) in [
        ("first", &one, Outcome::Installed),
        ("again", &one, Outcome::AlreadyInstalled),
        ("another image", &other, Outcome::Installed),
        ("the first again", &one, Outcome::Installed),
    ] {
        let fake = Fake::with(&Layer::new(gzip(image)));
        let word = By::Tag.word(&fake.address(), fake.layer());
        let registry = fake.serve();
        let done = install_with(&word, &skip, &target, &Heard::default()).unwrap();
        assert_eq!(done.outcome, outcome, "{rule}");
        target.assert_installed_over(rule, image);
        let fetched = registry.requests().iter().any(|request| request.path.contains("/blobs/"));
        assert_eq!(fetched, outcome == Outcome::Installed, "{rule}");
    }
    // Without the word it is installed again.
    let fake = Fake::with(&Layer::new(gzip(&one)));
    let word = By::Tag.word(&fake.address(), fake.layer());
    let _registry = fake.serve();
    let done = install_with(&word, &[], &target, &Heard::default()).unwrap();
    assert_eq!(done.outcome, Outcome::Installed);
}

#[test]
fn a_failed_install_takes_the_marker_of_the_one_before_with_it() {
    let (one, other) = (image(2 * MIB), image(3 * MIB));
    let target = Target::new(DISK);
    let good = Fake::with(&Layer::new(gzip(&one)));
    let word = By::Tag.word(&good.address(), good.layer());
    let _good = good.serve();
    install_with(&word, &[], &target, &Heard::default()).unwrap();
    assert!(target.marker().is_some());
    let mut broken = Fake::with(&Layer::new(gzip(&other)));
    broken.spoil(Part::Blob, |right| right.flip(2 * MIB));
    let word = By::Tag.word(&broken.address(), broken.layer());
    let _broken = broken.serve();
    install_with(&word, &[], &target, &Heard::default()).unwrap_err();
    assert_eq!(target.marker(), None);
}

#[test]
fn an_image_is_read_back_where_that_is_asked_for() {
    let image = image(3 * MIB + 77);
    let fake = Fake::with(&Layer::new(gzip(&image)));
    let word = By::Blob.word(&fake.address(), fake.layer());
    let _registry = fake.serve();
    let target = Target::new(DISK);
    install_with(&word, &["dd.verify=readback"], &target, &Heard::default()).unwrap();
    target.assert_installed("read back", &image);
}

#[test]
fn certificates_that_nobody_checks_are_warned_of() {
    let image = image(MIB);
    let layer = Layer::new(gzip(&image));
    let mut fake = Fake::with(&layer);
    fake.tls = Some(Authority::new("unknown").server(&NAMES, VALID));
    let word = By::Tag.word(&fake.address(), &layer);
    let _registry = fake.serve();
    let (target, heard) = (Target::new(DISK), Heard::default());
    let certificates = || no_certificates(target.folder.path());
    let failure = install(&[&word], &target, certificates()).unwrap_err();
    assert_eq!(failure.cause, Cause::UNTRUSTED, "{failure}");
    let words = [word.as_str(), "oci.insecure_skip_verify"];
    install_heard(&words, &target, certificates(), &heard).unwrap();
    target.assert_installed("unchecked", &image);
    assert!(heard.warnings()[0].starts_with("CERTIFICATES ARE NOT CHECKED"));
}

#[test]
fn a_proxy_is_used_for_the_hosts_that_it_is_for() {
    for (words, through) in [
        (&["http_proxy=http://PROXY"][..], true),
        (&["https_proxy=http://PROXY"][..], false),
        (&["http_proxy=http://PROXY", "no_proxy=127.0.0.1"][..], false),
    ] {
        let image = image(MIB);
        let fake = Fake::with(&Layer::new(gzip(&image)));
        let word = By::Tag.word(&fake.address(), fake.layer());
        let (registry, proxy) = (fake.serve(), Proxy::start());
        let words: Vec<String> =
            words.iter().map(|word| word.replace("PROXY", &proxy.address)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let target = Target::new(DISK);
        install_with(&word, &words, &target, &Heard::default()).unwrap();
        target.assert_installed("through a proxy", &image);
        let wanted = if through { vec![registry.address.clone()] } else { vec![] };
        let mut found = proxy.connected();
        found.dedup();
        assert_eq!(found, wanted, "{words:?}");
    }
}
