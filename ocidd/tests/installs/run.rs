//! Whole installs by library call, from words to a disk, and what they have to end with.

use std::{fs, path::Path, sync::Mutex, time::Duration};

use ocidd::{
    machine::Machine,
    plan::Plan,
    report::{
        event::{Done, Event, Listener},
        failure::{DiskState, Failure},
    },
    request::{Request as Asked, parse_request},
};
use registry::http::CertificateFiles;

use crate::{
    fake::{Fake, Request, identity::Authority},
    images::Layer,
    target::{Left, Target},
};

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
) -> Result<Done, Failure> {
    install_heard(words, target, certificates, &Heard::default())
}

/// The same, with somebody who listens. Broken requests are sent again twice, where the words do not say otherwise.
pub(crate) fn install_heard(
    words: &[&str],
    target: &Target,
    certificates: CertificateFiles,
    heard: &Heard,
) -> Result<Done, Failure> {
    let disk = format!("dd.of={}", target.path.display());
    let words = ["oci.retries=2"].iter().chain(words).copied().chain([&*disk]);
    let Asked::Install(options) = parse_request(words.clone()).unwrap() else {
        panic!("{:?} ask for no install", words.collect::<Vec<_>>());
    };
    let plan = Plan::try_from(&*options).unwrap();
    let machine = Machine {
        sys: "/sys".into(),
        proc: "/proc".into(),
        certificates,
        // Beside the disk, where a test may put one.
        auth_file: target.auth_file(),
        keys_folder: target.keys_folder(),
        first_retry_delay: Duration::from_millis(1),
    };
    ocidd::install::install(&plan, &machine, heard, |_| panic!("asked, without 'wait'"))
}

/// Listens to an install, and remembers everything but its progress.
#[derive(Default)]
pub(crate) struct Heard(Mutex<Vec<Event>>);

impl Listener for Heard {
    fn on_event(&self, event: &Event) {
        if !matches!(event, Event::Progress(_)) {
            self.0.lock().unwrap().push(event.clone());
        }
    }
}

impl Heard {
    /// Why requests were sent again, in order.
    pub(crate) fn retries(&self) -> Vec<String> {
        let events = self.0.lock().unwrap();
        let reason = |event: &Event| match event {
            Event::Retry(retry) => Some(retry.reason.clone()),
            _ => None,
        };
        events.iter().filter_map(reason).collect()
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        let events = self.0.lock().unwrap();
        let text = |event: &Event| match event {
            Event::Note(text) => Some(text.clone()),
            _ => None,
        };
        events.iter().filter_map(text).collect()
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        let events = self.0.lock().unwrap();
        let text = |event: &Event| match event {
            Event::Warning(text) => Some(text.clone()),
            _ => None,
        };
        events.iter().filter_map(text).collect()
    }
}

/// Installs from `fake` over plain HTTP. Gives what the registry was asked, too.
pub(crate) fn install_from(
    fake: Fake,
    by: By,
    target: &Target,
) -> (Result<Done, Failure>, Vec<Request>) {
    let word = by.word(&fake.address(), fake.layer());
    let registry = fake.serve();
    let certificates = no_certificates(target.folder.path());
    let outcome = install(&[&word, "oci.allow_no_tls"], target, certificates);
    (outcome, registry.requests())
}

/// What a failed install has to end with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// The exit code.
    pub(crate) code: u8,
    /// Parts of the message and the hint. `REGISTRY` stands for the registry's address, `LAYER` for the layer's digest.
    pub(crate) says: &'a [&'a str],
    pub(crate) left: Left,
}

/// The install failed as `wanted`, in exit code, message and on the disk.
#[track_caller]
pub(crate) fn assert_failed(
    rule: &str,
    outcome: Result<Done, Failure>,
    wanted: Wanted<'_>,
    stand_ins: (&str, &Layer),
    (target, image): (&Target, &[u8]),
) {
    let failure = outcome.map(|done| done.message).expect_err(rule);
    let text = failure.diagnostic().to_string();
    assert_eq!(failure.cause.exit_code, wanted.code, "{rule}: {text}");
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
    let text = failure.to_string();
    assert!(text.ends_with(&end), "{rule}: the message\n  {text}\ndoes not end with\n  {end}");
    target.assert_left(rule, wanted.left, image);
}
