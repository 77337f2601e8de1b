//! Waits for a target disk: looks again until it is there or the time is over. A slow disk is usual on bare metal: spin-up, USB, SAS expanders.

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

/// Between two looks.
pub const INTERVAL: Duration = Duration::from_millis(250);

/// How long a choice that a further disk could change has to stay the same. The kernel starts init before all disks are found (USB and `NVMe`
/// are looked for in the background), and the smallest of those found so far must not be overwritten.
pub const SETTLE: Duration = Duration::from_secs(1);

/// Time since a start, and a way to let it pass. A test has its own.
pub trait Clock {
    fn elapsed(&self) -> Duration;
    fn sleep(&mut self, duration: Duration);
}

/// The real one, from when it was made.
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

/// What one look found.
#[derive(Debug)]
pub enum Look<T, E> {
    Found(T),
    /// Found, and yet another look may find something else. It is taken when the time is over, which is never before [`SETTLE`].
    Unsettled(T),
    /// The reason is given when the time is over.
    NotYet(E),
    /// Waiting would be in vain.
    Never(E),
}

/// Why there is no target disk.
#[derive(Debug, Error)]
pub enum TargetError {
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// Calls `poll` with the time passed until it has found something, knows that it never will, or `timeout` is over. There is always a last look
/// at the very end, and with a `timeout` of zero only one. `on_wait` is called once, when the first look found nothing.
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
            && let Some(tell) = on_wait.take()
        {
            tell();
        }
        clock.sleep(INTERVAL.min(end.saturating_sub(now)));
    }
}

/// The path of the target disk, waited for where it is missing: a device that does not exist, a selector that no disk matches. Several
/// matching disks are an error at once. `sys` and `proc` are a mounted sysfs and procfs; `on_wait` gets one line when waiting begins.
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

/// Like [`find_target`], with its surroundings as arguments: where devices appear, what disks there are, what time it is.
fn find_among(
    target: &Target,
    dev: &Path,
    mut disks: impl FnMut() -> Vec<FoundDisk>,
    timeout: Duration,
    clock: &mut impl Clock,
    mut on_wait: impl FnMut(&str),
) -> Result<PathBuf, TargetError> {
    let mut tell =
        |what: &str| on_wait(&format!("waiting up to {} s for {what}", timeout.as_secs()));
    match target {
        Target::Path(path) => {
            let on_wait = || tell(&format!("'{target}' to appear"));
            wait_for(timeout, clock, |_| look_for_path(path, dev), on_wait)
        }
        Target::Selector(selector) => {
            let on_wait = || tell(&format!("a disk that matches '{target}'"));
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
    // Only the kernel makes files while we look, and only in /dev. A regular file that is missing stays so.
    let may_appear = error.kind() == io::ErrorKind::NotFound && path.starts_with(dev);
    let refusal = DeviceError::of(path, error).into();
    if may_appear { Look::NotYet(refusal) } else { Look::Never(refusal) }
}

/// The disk chosen last, and since when.
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
