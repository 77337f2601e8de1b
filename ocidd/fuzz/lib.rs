//! Fuzz entry points: each passes arbitrary bytes to one parser and panics if an invariant is
//! violated. `cargo xtask fuzz` calls them, and `ocidd/tests/fuzz_seeds.rs` with the seeds.
//!
//! A new one needs a function, a target in `fuzz_targets`, a directory of seeds and a line in the
//! table of that test, which reports what is missing.

use std::{
    fmt::{Debug, Display},
    io,
    io::Read as _,
    path::{Component, Path},
    str::FromStr,
};

use oci::{
    digest::Digest,
    document, index, manifest,
    manifest::{Content, list},
    platform::Platform,
    reference::{BlobReference, ManifestReference, Repository},
    signature,
    signature::{Key, dsse},
    size::{Bytes, length_of},
};
use ocidd::{
    disk::selector::Target,
    format,
    format::Decoder,
    request::parse_request,
    trust::Trust,
    write::{gpt, marker},
};
use params::{find_misspelled, parse_init_parameters, parse_size};
use registry::{
    auth::challenges,
    blob::parse_content_range,
    credentials::Credentials,
    error::{parse_reason, parse_retry_after},
    url::{origin_of, resolve, with_query},
};

/// Parameters, one per line.
pub fn parameters(bytes: &[u8]) {
    let text = text(bytes);
    if let Err(errors) = parse_request(text.lines()) {
        assert!(!errors.is_empty());
        for error in errors {
            check_message(&error.to_string());
        }
    }
    for warning in find_misspelled(text.lines()) {
        check_message(&warning);
    }
}

pub fn reference(bytes: &[u8]) {
    check_round_trip::<ManifestReference>(&text(bytes));
    check_round_trip::<BlobReference>(&text(bytes));
}

pub fn digest(bytes: &[u8]) {
    check_round_trip::<Digest>(&text(bytes));
}

pub fn size(bytes: &[u8]) {
    if let Some(size) = parse_size(&text(bytes)) {
        assert!(size > 0);
        assert!(Bytes(size).to_string().starts_with(&size.to_string()));
        assert_eq!(parse_size(&size.to_string()), Some(size));
    }
}

pub fn challenge(bytes: &[u8]) {
    let text = text(bytes);
    let texts: Vec<&str> = text.lines().collect();
    assert!(challenges(&texts).iter().all(|challenge| !challenge.scheme.is_empty()));
}

pub fn content_range(bytes: &[u8]) {
    if let Some((range, size)) = parse_content_range(&text(bytes)) {
        assert!(range.start() <= range.end() && size.is_none_or(|size| *range.end() < size));
    }
}

/// A manifest or an image index, and the selection from an index.
pub fn manifest(bytes: &[u8]) {
    for media_type in ["application/vnd.oci.image.manifest.v1+json", "text/html", ""] {
        match manifest::parse(bytes, media_type) {
            Ok(Content::Index(index)) => check_outcome(index::select(&index, &Platform::of_host())),
            outcome => check_outcome(outcome),
        }
    }
}

/// An image index that is extended, and the selection for several platforms.
pub fn index(bytes: &[u8]) {
    match document::parse_index(bytes) {
        Ok(index) => {
            let written = document::to_bytes(&index).unwrap_or_default();
            assert!(document::parse_index(&written).is_ok_and(|again| again == index));
            for platform in ["linux/amd64", "linux/arm64/v8", "windows/386"] {
                platform
                    .parse()
                    .map(|platform| check_outcome(index::select(&index, &platform)))
                    .ok();
            }
        }
        outcome => check_outcome(outcome),
    }
}

/// A URL and a `Location`, one per line.
pub fn url(bytes: &[u8]) {
    let text = text(bytes);
    let (base, location) = text.split_once('\n').unwrap_or(("https://r.example/v2/", &text));
    let next = resolve(base, location);
    if location.starts_with('/') && !location.starts_with("//") {
        assert_eq!(next, format!("{}{location}", origin_of(base)));
    }
    // User info can be a password.
    assert!(!origin_of(base).contains('@') && !origin_of(&next).contains('@'));
    assert!(with_query(&next, "a=b").ends_with("a=b"));
}

/// The body of an error, and a `Retry-After`.
pub fn answer(bytes: &[u8]) {
    let reason = parse_reason(bytes);
    assert!(reason.is_empty() || reason.starts_with(" ("));
    check_message(&format!("answered{reason}"));
    parse_retry_after(&text(bytes));
}

/// A kernel command line.
pub fn cmdline(bytes: &[u8]) {
    let parameters = params::cmdline::split(bytes);
    assert!(parameters.iter().map(|parameter| parameter.len()).sum::<usize>() <= bytes.len());
    parse_init_parameters(parameters.iter().map(|parameter| parameter.to_string_lossy()));
}

/// The file name of a layer.
pub fn title(bytes: &[u8]) {
    let text = text(bytes);
    match ocidd::parse_title(&text) {
        Ok(path) => {
            assert!(path.components().all(|part| matches!(part, Component::Normal(_))));
            assert!(!text.contains(char::is_control), "{text:?}");
        }
        Err(error) => check_message(&error.to_string()),
    }
}

/// A file of archives, such as an initramfs.
pub fn archive(bytes: &[u8]) {
    match archive::read::read(bytes) {
        Ok(parts) => assert!(parts.iter().map(|part| part.size).sum::<usize>() <= bytes.len()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A Docker auth file.
pub fn logins(bytes: &[u8]) {
    let repository = Repository { registry: "r.example".to_owned(), name: "os".to_owned() };
    match Credentials::parse(bytes, Path::new("auth.json")) {
        Ok(credentials) => check_outcome(credentials.login_for(&repository)),
        outcome => check_outcome(outcome),
    }
}

/// Signature manifests, lists of referrers, bundles and signed payloads.
pub fn signature(bytes: &[u8]) {
    for claim in signature::parse_manifest(bytes).into_iter().flatten().flatten() {
        assert!(claim.verify(bytes, &Digest::of(bytes), &[]).is_err(), "no key is trusted");
    }
    dsse::verify(bytes, &Digest::of(bytes), &[]).expect_err("no key is trusted");
    assert!(document::parse_referrers_tag(bytes, &Digest::of(bytes)).is_none(), "not a list");
    if let Err(unfit) = signature::parse_payload(bytes) {
        check_message(&list([unfit.to_string()].into_iter()));
    }
}

/// A file of keys, one key, and a parameter with keys.
pub fn key(bytes: &[u8]) {
    if let Ok(keys) = Key::parse_pem(bytes, "site.pub") {
        assert!(!keys.is_empty());
    }
    if let Ok(key) = Key::parse_der(bytes, "site.pub") {
        assert!(key.to_string().starts_with("site.pub (sha256:"));
    }
    if let Err(bad) = Trust::parse(&text(bytes)) {
        check_message(&bad.to_string());
    }
}

pub fn selector(bytes: &[u8]) {
    check_round_trip::<Target>(&text(bytes));
}

/// The first bytes of a disk, for several disk sizes and both sector sizes.
pub fn gpt(bytes: &[u8]) {
    for sector_bytes in [512, 4096] {
        for disk_bytes in [1 << 20, 8 << 20, 1 << 40, u64::MAX] {
            gpt::inspect(bytes, sector_bytes, disk_bytes, disk_bytes / 2).warning();
            let mut start = bytes.to_vec();
            match gpt::relocate(&mut start, sector_bytes, disk_bytes, marker::RESERVE_BYTES) {
                Ok(backup) => {
                    let end = backup.offset.checked_add(length_of(&backup.bytes));
                    assert!(end.is_some_and(|end| end <= disk_bytes), "{backup:?}");
                }
                Err(_) => assert!(start == bytes, "an error changes nothing"),
            }
        }
    }
    gpt::sector_size(bytes);
}

/// A compressed stream, up to 16 MiB of its content.
pub fn decoder(bytes: &[u8]) {
    if let Ok(format) = format::detect(bytes) {
        let limit = 16 << 20;
        io::copy(&mut Decoder::new(format, bytes, 1 << 20).take(limit), &mut io::sink()).ok();
    }
}

pub fn marker(bytes: &[u8]) {
    if let Some(found) = marker::decode(bytes, 1 << 30) {
        assert_eq!(marker::decode(&marker::encode(&found), found.disk_bytes), Some(found));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A parsed value prints as text that parses to the same value; an error has a message.
fn check_round_trip<T>(text: &str)
where
    T: FromStr<Err: Display> + Display + Debug + PartialEq,
{
    match text.parse::<T>() {
        Ok(value) => {
            let again = value.to_string().parse::<T>();
            assert!(again.is_ok_and(|again| again == value), "{text:?} reads as {value:?}");
        }
        Err(error) => check_message(&error.to_string()),
    }
}

fn check_outcome<T>(outcome: Result<T, impl Into<registry::Error>>) {
    if let Err(error) = outcome {
        check_message(&error.into().to_line());
    }
}

/// A message is text of at most 2 KiB that moves no cursor. Only our own hints are lines.
fn check_message(text: &str) {
    assert!(!text.is_empty(), "a message");
    assert!(text.split("\nhint: ").all(|line| line.len() <= 2048), "{text:?}");
    let is_line_end = |at| text.get(at..).is_some_and(|rest| rest.starts_with("\nhint: "));
    let mut unsafe_chars = text.char_indices().filter(|(_, c)| {
        c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    });
    assert!(unsafe_chars.all(|(at, _)| is_line_end(at)), "{text:?}");
}
