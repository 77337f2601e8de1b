//! The `ocidd` binary: words and typed answers in; exit code, console and disk out.

mod console;
mod events;
mod unattended;

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use crate::{
    fake::{Fake, Running},
    images::{Layer, MIB, gzip, image},
    run::By,
    target::{DISK, Target},
};

/// What a run of the binary ended with.
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs `ocidd` with these words; `typed` is all that its console ever gives.
fn run(words: &[&str], typed: &str) -> Ended {
    run_with(&[], words, typed)
}

/// The same with these variables.
fn run_with(variables: &[(&str, &str)], words: &[&str], typed: &str) -> Ended {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that starts the program under test"
    )]
    let mut command = Command::new(env!("CARGO_BIN_EXE_ocidd"));
    // Without the variables of whoever runs the tests: a proxy or certificates of theirs must not matter.
    let command = command.env_clear().envs(variables.iter().copied()).args(words);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    // Who asks nothing may have ended before; then nobody reads it.
    child.stdin.take().unwrap().write_all(typed.as_bytes()).ok();
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ended {
    #[track_caller]
    fn assert(&self, rule: &str, code: i32, says: &[&str]) {
        let Self { stderr, stdout, .. } = self;
        assert_eq!(self.code, code, "{rule}: {stderr}");
        for part in says {
            assert!(stderr.contains(part), "{rule}: the console\n{stderr}\nlacks\n{part}");
        }
        assert_eq!(stdout, "", "{rule}: only help and version are results");
    }
}

/// A registry that runs, its image, and a disk.
struct Scene {
    image: Vec<u8>,
    layer: Layer,
    registry: Running,
    target: Target,
    /// `dd.of=…`
    disk: String,
}

impl Scene {
    fn new(fault: fn(&mut Fake)) -> Self {
        let image = image(3 * MIB + 5);
        let layer = Layer::new(gzip(&image));
        let mut fake = Fake::with(&layer);
        fault(&mut fake);
        let target = Target::new(DISK);
        let disk = format!("dd.of={}", target.path.display());
        Self { image, layer, registry: fake.serve(), target, disk }
    }

    fn word(&self, by: By) -> String {
        by.word(&self.registry.address, &self.layer)
    }

    /// Runs with the words of an unattended install by tag, and some more.
    fn run(&self, more: &[&str], typed: &str) -> Ended {
        let tag = self.word(By::Tag);
        let words =
            [&["quiet", &tag, "oci.allow_no_tls", "oci.retries=0", &self.disk], more].concat();
        run(&words, typed)
    }
}
