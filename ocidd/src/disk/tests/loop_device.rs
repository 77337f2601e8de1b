//! Third-party tools and loop devices. Both may be missing.

use std::{path::Path, process::Command};

/// Runs a program and gives what it printed, where it was there and content.
pub(crate) fn run(words: &[&str]) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the one place that runs other people's tools")]
    let output = Command::new(words[0]).args(&words[1..]).output().ok()?;
    let printed = [output.stdout, output.stderr].concat();
    output.status.success().then(|| String::from_utf8(printed).unwrap().trim().to_owned())
}

/// A block device that is let go when dropped.
pub(crate) struct LoopDevice {
    pub(crate) path: String,
}

impl LoopDevice {
    /// `None` without the right to make one, which a container may lack even for root.
    pub(crate) fn new(file: &Path, sector_bytes: u64) -> Option<Self> {
        let sector = sector_bytes.to_string();
        let file = file.to_str()?;
        let words = ["losetup", "--find", "--show", "--partscan", "--sector-size", &sector, file];
        run(&words).map(|path| Self { path })
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        run(&["losetup", "--detach", &self.path]);
    }
}
