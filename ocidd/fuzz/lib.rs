//! Fuzz entry points: each passes arbitrary bytes to one parser and panics if an invariant is
//! violated. `cargo xtask fuzz` calls them, and `ocidd/tests/fuzz_seeds.rs` with the seeds.
//!
//! A new one needs a function, a target in `fuzz_targets`, a directory of seeds and a line in the
//! table of that test, which reports what is missing.

use std::{
    fmt::{Debug, Display},
    io,
    io::Read as _,
    path::Path,
    str::FromStr,
};

use oci::{
    digest::Digest,
    index, manifest,
    manifest::Content,
    platform::Platform,
    reference::{BlobReference, ManifestReference, Repository},
    signature,
    signature::Key,
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
use params::parse_size;
use registry::{auth::parse_challenges, blob::parse_content_range, credentials::Credentials};

/// Parameters, one per line.
pub fn parameters(bytes: &[u8]) {
    if let Err(errors) = parse_request(text(bytes).lines()) {
        assert!(!errors.is_empty());
        assert!(errors.iter().all(|error| !error.to_string().is_empty()), "{errors:?}");
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
    if let Err(error) = parse_challenges(&texts) {
        assert!(!error.to_string().is_empty());
    }
}

pub fn content_range(bytes: &[u8]) {
    if let Some((range, size)) = parse_content_range(&text(bytes)) {
        assert!(range.start() <= range.end() && size.is_none_or(|size| *range.end() < size));
    }
}

/// A manifest or an image index, and the selection from an index.
pub fn manifest(bytes: &[u8]) {
    for media_type in ["application/vnd.oci.image.manifest.v1+json", "text/html", ""] {
        if let Ok(Content::Index(index)) = manifest::parse(bytes, media_type) {
            index::select(&index, &Platform::of_host()).ok();
        }
    }
}

/// A Docker auth file.
pub fn logins(bytes: &[u8]) {
    let repository = Repository { registry: "r.example".to_owned(), name: "os".to_owned() };
    if let Ok(credentials) = Credentials::parse(bytes, Path::new("auth.json")) {
        credentials.login_for(&repository).ok();
    }
}

/// Signature manifests, lists of referrers and signed payloads.
pub fn signature(bytes: &[u8]) {
    for claim in signature::parse_manifest(bytes).into_iter().flatten().flatten() {
        assert!(claim.verify(bytes, &Digest::of(bytes), &[]).is_err(), "no key is trusted");
    }
    signature::parse_referrers(bytes).ok();
    if let Err(unfit) = signature::parse_payload(bytes) {
        assert!(!unfit.to_string().is_empty());
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
        assert!(!bad.to_string().is_empty());
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
        io::copy(&mut Decoder::new(format, bytes).take(limit), &mut io::sink()).ok();
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
        Err(error) => assert!(!error.to_string().is_empty(), "{text:?}"),
    }
}
