//! Waits for a target disk. Disks appear late on bare metal: spin-up, USB, SAS expanders.

use crate::disk::choice::ChoiceError;
use crate::disk::device::DeviceError;
use crate::disk::probe::FoundDisk;
use crate::disk::probe::read_disks;
use crate::disk::selector::Selector;
use crate::disk::selector::Target;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;
use thiserror::Error;

/// Interval of polling.
pub const INTERVAL: Duration = Duration::from_millis(250);

/// How long a choice must stay the same if another disk could change it. The kernel starts init
/// before all disks are found (USB, `NVMe`), and the smallest so far must not be overwritten.
pub const SETTLE: Duration = Duration::from_secs(1);

/// A clock that a test can replace.
pub trait Clock {
    fn elapsed(&self) -> Duration;
    fn sleep(&mut self, duration: Duration);
}

/// The real clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(Instant);

impl SystemClock {
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&mut self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// Result of one poll.
#[derive(Debug)]
pub enum Look<T, E> {
    Found(T),
    /// Found, but another poll may find something else. Accepted after the timeout, but not before
    /// [`SETTLE`].
    Unsettled(T),
    /// Not found. The error is returned after the timeout.
    NotYet(E),
    /// Waiting does not help.
    Never(E),
}

/// Why no target disk was found.
#[derive(Debug, Error)]
pub enum TargetError {
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// Calls `poll` with the elapsed time until it finds something, fails, or `timeout` has passed. The
/// last poll is at the end of the timeout; a timeout of zero polls once. `on_wait` is called once,
/// after the first poll that finds nothing.
pub fn wait_for<T, E>(
    timeout: Duration,
    clock: &mut impl Clock,
    mut poll: impl FnMut(Duration) -> Look<T, E>,
    on_wait: impl FnOnce(),
) -> Result<T, E> {
    let mut on_wait = Some(on_wait);
    loop {
        let now = clock.elapsed();
        let (end, outcome) = match poll(now) {
            Look::Found(found) => return Ok(found),
            Look::Never(reason) => return Err(reason),
            Look::Unsettled(found) => (timeout.max(SETTLE), Ok(found)),
            Look::NotYet(reason) => (timeout, Err(reason)),
        };
        if now >= end {
            return outcome;
        }
        if outcome.is_err()
            && let Some(report) = on_wait.take()
        {
            report();
        }
        clock.sleep(INTERVAL.min(end.saturating_sub(now)));
    }
}

/// Returns the path of the target disk. Waits for a missing device or a matching disk; several
/// matching disks are an error at once. `sys` and `proc` are a mounted sysfs and procfs. `on_wait`
/// receives one line when waiting begins.
pub fn find_target(
    target: &Target,
    sys: &Path,
    proc: &Path,
    timeout: Duration,
    on_wait: impl FnMut(&str),
) -> Result<PathBuf, TargetError> {
    let disks = || read_disks(sys, proc);
    find_among(target, Path::new("/dev"), disks, timeout, &mut SystemClock::start(), on_wait)
}

/// Like [`find_target`], with the device directory, the disks and the clock as arguments.
fn find_among(
    target: &Target,
    dev: &Path,
    mut disks: impl FnMut() -> Vec<FoundDisk>,
    timeout: Duration,
    clock: &mut impl Clock,
    mut on_wait: impl FnMut(&str),
) -> Result<PathBuf, TargetError> {
    let mut report =
        |what: &str| on_wait(&format!("waiting up to {} s for {what}", timeout.as_secs()));
    match target {
        Target::Path(path) => {
            let on_wait = || report(&format!("'{target}' to appear"));
            wait_for(timeout, clock, |_| look_for_path(path, dev), on_wait)
        }
        Target::Selector(selector) => {
            let on_wait = || report(&format!("a disk that matches '{target}'"));
            let mut settling = Settling::default();
            let poll = |now| settling.look(selector, &disks(), now);
            wait_for(timeout, clock, poll, on_wait)
        }
    }
}

fn look_for_path(path: &Path, dev: &Path) -> Look<PathBuf, TargetError> {
    let Err(error) = path.metadata() else {
        return Look::Found(path.to_owned());
    };
    // Only device nodes appear later. A missing regular file stays missing.
    let may_appear = error.kind() == io::ErrorKind::NotFound && path.starts_with(dev);
    let error = DeviceError::of(path, error).into();
    if may_appear { Look::NotYet(error) } else { Look::Never(error) }
}

/// The last chosen disk, and since when.
#[derive(Debug, Default)]
struct Settling {
    chosen: Option<(String, Duration)>,
}

impl Settling {
    fn look(
        &mut self,
        selector: &Selector,
        disks: &[FoundDisk],
        now: Duration,
    ) -> Look<PathBuf, TargetError> {
        let disk = match selector.choose(disks) {
            Ok(disk) => disk,
            Err(error @ ChoiceError::NoMatch { .. }) => {
                self.chosen = None;
                return Look::NotYet(error.into());
            }
            Err(error @ ChoiceError::Ambiguous { .. }) => return Look::Never(error.into()),
        };
        let since = match &self.chosen {
            Some((path, since)) if *path == disk.path => *since,
            _ => now,
        };
        self.chosen = Some((disk.path.clone(), since));
        let path = PathBuf::from(&disk.path);
        if selector.is_unique() || now.saturating_sub(since) >= SETTLE {
            Look::Found(path)
        } else {
            Look::Unsettled(path)
        }
    }
}

#[cfg(test)]
mod tests;
