//! Runs the entry points of the fuzz targets with their seeds, and with mutations of them.

#![cfg(test)]

#[expect(unreachable_pub, reason = "a library of its own for the fuzz targets")]
#[path = "../fuzz/lib.rs"]
mod entry_points;

use std::{fs, path::Path};

use proptest::{collection::vec, prelude::*};

type EntryPoint = fn(&[u8]);

const ENTRY_POINTS: [(&str, EntryPoint); 14] = [
    ("challenge", entry_points::challenge),
    ("content_range", entry_points::content_range),
    ("decoder", entry_points::decoder),
    ("digest", entry_points::digest),
    ("gpt", entry_points::gpt),
    ("key", entry_points::key),
    ("logins", entry_points::logins),
    ("manifest", entry_points::manifest),
    ("marker", entry_points::marker),
    ("reference", entry_points::reference),
    ("selector", entry_points::selector),
    ("signature", entry_points::signature),
    ("size", entry_points::size),
    ("parameters", entry_points::parameters),
];

/// The seeds of a target.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{name}: {error}"));
    files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

#[test]
fn every_entry_point_has_a_target_and_seeds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    for (name, _) in ENTRY_POINTS {
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}");
        let target = fs::read_to_string(folder.join(format!("fuzz_targets/{name}.rs")));
        assert!(target.unwrap().contains(&format!("ocidd_fuzz::{name}(bytes)")), "{name}");
        assert!(!seeds(name).is_empty(), "{name}");
    }
    let targets = fs::read_dir(folder.join("fuzz_targets")).unwrap();
    assert_eq!(targets.count(), ENTRY_POINTS.len());
}

#[test]
fn entry_points_accept_seeds_and_mutated_seeds() {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    for (name, run) in ENTRY_POINTS {
        let seeds = seeds(name);
        for seed in &seeds {
            run(seed);
        }
        let seed = prop::sample::select(seeds);
        // A seed with a few bytes replaced.
        let changed = (seed, any::<prop::sample::Index>(), vec(any::<u8>(), 0..4), 0..4_usize);
        let outcome = proptest::test_runner::TestRunner::new(config.clone()).run(
            &changed,
            |(mut seed, at, bytes, lost)| {
                let at = at.index(seed.len() + 1);
                let end = (at + lost).min(seed.len());
                seed.splice(at..end, bytes);
                run(&seed);
                Ok(())
            },
        );
        outcome.unwrap_or_else(|fault| panic!("{name}: {fault}"));
    }
}
