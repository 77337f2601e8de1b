//! Finds the crates that are linked into the programs of the image, with licences and digests.
//! Crates of tests and build scripts and procedural macros are not linked.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, anyhow};
use serde::Deserialize;
use xshell::Shell;

use crate::{host::project, initramfs::binaries};

/// A name and a version.
pub type Id = (String, String);

/// The crates of several programs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Crates {
    /// All crates in the programs, without the programs themselves.
    pub all: BTreeMap<Id, Crate>,
    /// The programs with their crates.
    pub programs: BTreeMap<String, Program>,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Crate {
    /// An SPDX expression, or empty if the crate declares none.
    pub licence: String,
    /// The digest of its file in the registry, if it is from one.
    pub sha256: Option<String>,
    /// Whether the registry is crates.io.
    pub is_public: bool,
}

/// A package of this workspace with a program of its name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Program {
    pub version: String,
    pub licence: String,
    pub crates: BTreeSet<Id>,
}

impl Crates {
    /// The crates that are linked into `programs`, built together for `target`.
    pub fn linked_into(programs: &[&str], target: &str) -> Result<Self> {
        let shell = Shell::new()?;
        // `cargo metadata` also includes the features that tests and xtask enable.
        let mut cargo = binaries::cargo(&shell)
            .args(["tree", "--locked", "--target", target, "--edges", "normal,no-proc-macro"])
            .args(["--prefix", "none", "--no-dedupe", "--format", "{p}\t{l}"])
            .arg("--no-default-features")
            .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static");
        for program in programs {
            cargo = cargo.args(["--package", program]);
        }
        let tree = cargo.read().context("listing the crates of the programs")?;
        let lock = std::fs::read_to_string(project::root().join("Cargo.lock"))
            .context("reading Cargo.lock")?;
        Self::parse(&tree, &lock)
    }

    /// Joins the output of `cargo tree` with `Cargo.lock`. A line is `NAME vVERSION …\tLICENCE`;
    /// an empty line separates programs, which are followed by their crates.
    fn parse(tree: &str, lock: &str) -> Result<Self> {
        let locked = parse_lock(lock)?;
        let mut crates = Self::default();
        for tree in tree.split("\n\n") {
            let mut lines = tree.lines().map(|line| {
                parse_line(line).ok_or_else(|| anyhow!("invalid line of cargo tree '{line}'"))
            });
            let Some(((name, version), licence)) = lines.next().transpose()? else { continue };
            let mut program = Program { version, licence, crates: BTreeSet::new() };
            for line in lines {
                let (id, licence) = line?;
                let (sha256, is_public) = locked.get(&id).cloned().unwrap_or_default();
                crates.all.insert(id.clone(), Crate { licence, sha256, is_public });
                program.crates.insert(id);
            }
            crates.programs.insert(name, program);
        }
        Ok(crates)
    }
}

fn parse_line(line: &str) -> Option<(Id, String)> {
    let (package, licence) = line.split_once('\t')?;
    let mut words = package.split(' ');
    let id = (words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned());
    // Old crates separate alternatives by a slash, which SPDX does not allow.
    Some((id, licence.replace('/', " OR ")))
}

/// The digest of each crate, and whether it is from crates.io.
fn parse_lock(text: &str) -> Result<BTreeMap<Id, (Option<String>, bool)>> {
    #[derive(Deserialize)]
    struct Lock {
        package: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        version: String,
        source: Option<String>,
        checksum: Option<String>,
    }
    const PUBLIC: &str = "registry+https://github.com/rust-lang/crates.io-index";
    let lock: Lock = toml::from_str(text).context("parsing Cargo.lock")?;
    let entry = |package: Package| {
        let is_public = package.source.as_deref() == Some(PUBLIC);
        ((package.name, package.version), (package.checksum, is_public))
    };
    Ok(lock.package.into_iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::arch::Arch;

    fn id(name: &str) -> Id {
        (name.to_owned(), "1.0.0".to_owned())
    }

    #[test]
    fn separates_the_crates_of_each_program() {
        let tree = "one v1.0.0 (/machine/one)\tMIT\na v1.0.0\tMIT/Apache-2.0\nb v1.0.0\tISC\n\
                    c v1.0.0\t\nb v1.0.0\tISC\n\n\
                    two v1.0.0 (/machine/two)\tMIT\nb v1.0.0\tISC\nc v1.0.0\t\nd v1.0.0\tMIT\n";
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"ab\"\n\
                    source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
        let crates = Crates::parse(tree, lock).unwrap();
        assert_eq!(crates.programs["one"].crates, BTreeSet::from(["a", "b", "c"].map(id)));
        assert_eq!(crates.programs["two"].crates, BTreeSet::from(["b", "c", "d"].map(id)));
        let a = Crate {
            licence: "MIT OR Apache-2.0".to_owned(),
            sha256: Some("ab".to_owned()),
            is_public: true,
        };
        assert_eq!(crates.all[&id("a")], a);
        assert_eq!(crates.all[&id("b")].licence, "ISC");
        assert_eq!(crates.all.len(), 4);
        assert!(Crates::parse("one v1.0.0", lock).is_err());
    }

    /// The names in a table of dependencies, and whether they are optional: no image has those.
    fn named(package: &str, table: &str) -> Vec<(String, bool)> {
        let path = project::root().join(package).join("Cargo.toml");
        let manifest: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
        let is_optional = |value: &toml::Value| value.get("optional").is_some();
        let table = manifest[table].as_table().unwrap();
        table.iter().map(|(name, value)| (name.clone(), is_optional(value))).collect()
    }

    #[test]
    fn finds_exactly_the_linked_crates() {
        let target = format!("{}-unknown-linux-gnu", Arch::host().unwrap_or(Arch::X86_64).cpu());
        let crates = Crates::linked_into(&["init", "ocidd"], &target).unwrap();
        let has = |name: &str| crates.all.keys().any(|(found, _)| found == name);
        for program in ["init", "ocidd"] {
            for (name, is_optional) in named(program, "dependencies") {
                let of_program = &crates.programs[program].crates;
                let is_linked = of_program.iter().any(|(found, _)| *found == name);
                assert_eq!(is_linked, !is_optional, "{program}: {name}");
            }
        }
        // Indirect dependencies.
        for name in ["rustls-webpki", "ring", "zlib-rs", "linux-raw-sys"] {
            assert!(has(name), "{name} is missing");
        }
        let of_tests = ["proptest", "rcgen", "tempfile", "zstd"];
        for name in of_tests {
            let dev = named("ocidd", "dev-dependencies");
            assert!(dev.iter().any(|(found, _)| found == name), "{name}");
        }
        let of_build_scripts = ["cc", "autocfg"];
        let macros = ["serde_derive", "thiserror-impl", "syn", "quote"];
        let of_xtask = ["clap", "jiff", "tar", "xshell", "walkdir", "toml"];
        let of_programs = ["init", "ocidd"];
        for name in of_tests.iter().chain(&of_build_scripts).chain(&macros).chain(&of_xtask) {
            assert!(!has(name), "{name} is linked into no program");
        }
        assert!(of_programs.iter().all(|name| !has(name)));
        for (id, found) in &crates.all {
            // Libraries of this workspace have no file in a registry.
            let is_local = ["oci", "params", "registry"].contains(&id.0.as_str());
            let has_file = found.is_public && found.sha256.is_some();
            assert!(has_file != is_local && !found.licence.is_empty(), "{id:?}: {found:?}");
        }
    }
}
