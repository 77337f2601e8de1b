//! Doors to the parsers for whatever tries them with any bytes: `cargo xtask fuzz`, and the test below. Each gives its bytes to one parser and panics where
//! something does not hold that has to. In no program: only fuzzing and tests compile this.
//!
//! A new door is a function, a line in `DOORS`, a target in `fuzz/fuzz_targets`, and a folder of seeds; the test names what is missing.

use crate::args::parse_words;
use crate::disk::gpt;
use crate::disk::marker;
use crate::disk::selector::Target;
use crate::format;
use crate::format::Decoder;
use crate::trust::Trust;
use oci::digest::Digest;
use oci::index;
use oci::manifest;
use oci::manifest::Content;
use oci::platform::Platform;
use oci::reference::BlobReference;
use oci::reference::ManifestReference;
use oci::reference::Repository;
use oci::signature;
use oci::signature::Key;
use oci::size::Bytes;
use oci::size::length_of;
use oci::size::parse_size;
use registry::auth::parse_challenges;
use registry::blob::parse_content_range;
use registry::credentials::Credentials;
use std::fmt::Debug;
use std::fmt::Display;
use std::io;
use std::io::Read as _;
use std::path::Path;
use std::str::FromStr;

/// Words, one a line.
pub fn words(bytes: &[u8]) {
    if let Err(faults) = parse_words(text(bytes).lines()) {
        assert!(!faults.is_empty() && faults.iter().all(|fault| !fault.is_empty()), "{faults:?}");
    }
}

pub fn reference(bytes: &[u8]) {
    read_or_refuse::<ManifestReference>(&text(bytes));
    read_or_refuse::<BlobReference>(&text(bytes));
}

pub fn digest(bytes: &[u8]) {
    read_or_refuse::<Digest>(&text(bytes));
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
    if let Some(range) = parse_content_range(&text(bytes)) {
        assert!(range.first <= range.last && range.size.is_none_or(|size| range.last < size));
    }
}

/// A manifest or an image index, and the choice from that.
pub fn manifest(bytes: &[u8]) {
    for media_type in ["application/vnd.oci.image.manifest.v1+json", "text/html", ""] {
        if let Ok(Content::Index(index)) = manifest::parse(bytes, media_type) {
            index::select(&index, &Platform::of_host()).ok();
        }
    }
}

/// A file of logins. Whatever it holds, an error never repeats a line of it.
pub fn logins(bytes: &[u8]) {
    let repository = Repository { registry: "r.example".to_owned(), name: "os".to_owned() };
    if let Ok(credentials) = Credentials::parse(bytes, Path::new("auth.json")) {
        credentials.login_for(&repository).ok();
    }
}

/// What lists signatures, what refers to an image, and what is signed.
pub fn signature(bytes: &[u8]) {
    for claim in signature::parse_manifest(bytes).into_iter().flatten().flatten() {
        assert!(claim.verify(bytes, &Digest::of(bytes), &[]).is_err(), "nobody is trusted");
    }
    signature::parse_referrers(bytes).ok();
    if let Err(unfit) = signature::parse_payload(bytes) {
        assert!(!unfit.to_string().is_empty());
    }
}

/// A file of keys, one key, and a word of them.
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
    read_or_refuse::<Target>(&text(bytes));
}

/// The first bytes of a disk, for disks of several sizes and both sizes of sectors.
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

/// A packed stream, up to as much of what is in it as fits into memory many times over.
pub fn decoder(bytes: &[u8]) {
    if let Ok(format) = format::recognise(bytes) {
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

/// What is read prints as something that reads as the same; what is refused is refused in words.
fn read_or_refuse<T>(text: &str)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::fs;

    type Door = fn(&[u8]);

    const DOORS: [(&str, Door); 14] = [
        ("challenge", challenge),
        ("content_range", content_range),
        ("decoder", decoder),
        ("digest", digest),
        ("gpt", gpt),
        ("key", key),
        ("logins", logins),
        ("manifest", manifest),
        ("marker", marker),
        ("reference", reference),
        ("selector", selector),
        ("signature", signature),
        ("size", size),
        ("words", words),
    ];

    /// The seeds that a door's target starts from.
    fn seeds(name: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
        let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{name}: {error}"));
        files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
    }

    #[test]
    fn every_door_has_a_target_and_seeds() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        for (name, _) in DOORS {
            assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}");
            let target = fs::read_to_string(folder.join(format!("fuzz_targets/{name}.rs")));
            assert!(target.unwrap().contains(&format!("ocidd::fuzzing::{name}(bytes)")), "{name}");
            assert!(!seeds(name).is_empty(), "{name}");
        }
        let targets = fs::read_dir(folder.join("fuzz_targets")).unwrap();
        assert_eq!(targets.count(), DOORS.len());
    }

    #[test]
    fn every_door_takes_its_seeds_and_what_becomes_of_them() {
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
        for (name, door) in DOORS {
            let seeds = seeds(name);
            for seed in &seeds {
                door(seed);
            }
            let seed = prop::sample::select(seeds);
            // A seed cut in two, with a few other bytes in between.
            let changed = (seed, any::<prop::sample::Index>(), vec(any::<u8>(), 0..4), 0..4_usize);
            let outcome = proptest::test_runner::TestRunner::new(config.clone()).run(
                &changed,
                |(mut seed, at, bytes, lost)| {
                    let at = at.index(seed.len() + 1);
                    let end = (at + lost).min(seed.len());
                    seed.splice(at..end, bytes);
                    door(&seed);
                    Ok(())
                },
            );
            outcome.unwrap_or_else(|fault| panic!("{name}: {fault}"));
        }
    }
}
