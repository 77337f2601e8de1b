//! Whole installs by library call, from words to a disk, and what they have to end with.

use crate::fake::Fake;
use crate::fake::Request;
use crate::fake::identity::Authority;
use crate::images::Layer;
use crate::target::Left;
use crate::target::Target;
use ocidd::args::Request as Asked;
use ocidd::args::parse_words;
use ocidd::failure::DiskState;
use ocidd::failure::Failure;
use ocidd::failure::Kind;
use ocidd::install::Machine;
use ocidd::install::Summary;
use ocidd::plan::Plan;
use ocidd::registry::CertificateFiles;
use ocidd::report::Report;
use std::fs;
use std::path::Path;

/// How an install names its image.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum By {
    Tag,
    Blob,
}

pub(crate) const TAG: &[By] = &[By::Tag];
pub(crate) const BLOB: &[By] = &[By::Blob];
pub(crate) const BOTH: &[By] = &[By::Tag, By::Blob];

impl By {
    /// The word that names the image of a registry at `address`.
    pub(crate) fn word(self, address: &str, layer: &Layer) -> String {
        match self {
            Self::Tag => format!("oci.tag={address}/os:1"),
            Self::Blob => format!("oci.blob={address}/os@{}", layer.digest),
        }
    }
}

/// Certificate authorities of a machine that trusts nobody.
pub(crate) fn no_certificates(folder: &Path) -> CertificateFiles {
    CertificateFiles { bundle: folder.join("bundle.pem"), folder: folder.join("ca.d") }
}

/// The machine's certificate files below `folder`, with `authority` in the bundle.
pub(crate) fn trust(folder: &Path, authority: &Authority) -> CertificateFiles {
    let certificates = no_certificates(folder);
    fs::write(&certificates.bundle, authority.pem()).unwrap();
    certificates
}

/// The same, with `text` as a file that the site has added.
pub(crate) fn add(certificates: CertificateFiles, text: &str) -> CertificateFiles {
    fs::create_dir_all(&certificates.folder).unwrap();
    fs::write(certificates.folder.join("site.pem"), text).unwrap();
    certificates
}

/// Installs by these words to `target`.
pub(crate) fn install(
    words: &[&str],
    target: &Target,
    certificates: CertificateFiles,
) -> Result<Summary, Failure> {
    let disk = format!("dd.of={}", target.path.display());
    let Asked::Install(options) = parse_words(words.iter().copied().chain([&*disk])).unwrap()
    else {
        panic!("{words:?} ask for no install");
    };
    let plan = Plan::try_from(&options).unwrap();
    let machine = Machine { sys: "/sys".into(), certificates };
    ocidd::install::install(&plan, &machine, Report::Plain, || panic!("asked, without 'wait'"))
}

/// Installs from `fake` over plain HTTP. Gives what the registry was asked, too.
pub(crate) fn install_from(
    fake: Fake,
    by: By,
    target: &Target,
) -> (Result<Summary, Failure>, Vec<Request>) {
    let word = by.word(&fake.address(), fake.layer());
    let registry = fake.serve();
    let certificates = no_certificates(target.folder.path());
    let outcome = install(&[&word, "oci.allow_no_tls"], target, certificates);
    (outcome, registry.requests())
}

/// What a failed install has to end with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) kind: Kind,
    /// Parts of the message. `REGISTRY` stands for the registry's address, `LAYER` for the layer's digest.
    pub(crate) says: &'a [&'a str],
    pub(crate) left: Left,
}

/// The install failed as `wanted`, in kind, message and on the disk.
#[track_caller]
pub(crate) fn assert_failed(
    rule: &str,
    outcome: Result<Summary, Failure>,
    wanted: Wanted<'_>,
    stand_ins: (&str, &Layer),
    (target, image): (&Target, &[u8]),
) {
    let failure = outcome.map(|summary| summary.to_string()).expect_err(rule);
    let text = failure.to_string();
    assert_eq!(failure.kind, wanted.kind, "{rule}: {text}");
    for part in wanted.says {
        let part =
            part.replace("REGISTRY", stand_ins.0).replace("LAYER", &stand_ins.1.digest.to_string());
        assert!(text.contains(&part), "{rule}: the message\n  {text}\nlacks\n  {part}");
    }
    let disk = target.path.display().to_string();
    let (state, end) = match wanted.left {
        Left::Untouched => (DiskState::Untouched, "; nothing was written".to_owned()),
        Left::Cleared | Left::Garbled => {
            let end = format!("; the start and the end of '{disk}' were cleared, it will not boot");
            (DiskState::Cleared { disk }, end)
        }
    };
    assert_eq!(failure.disk, state, "{rule}: {text}");
    assert!(text.ends_with(&end), "{rule}: the message\n  {text}\ndoes not end with\n  {end}");
    target.assert_left(rule, wanted.left, image);
}
