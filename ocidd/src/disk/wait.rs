//! Waits for a target disk. Disks appear late on bare metal: spin-up, USB, SAS expanders.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::disk::{
    choice::TargetError,
    device::DeviceError,
    probe::{FoundDisk, read_disks},
    selector::{Selector, Target},
};

/// Interval of polling.
pub const INTERVAL: Duration = Duration::from_millis(250);

/// How long a choice must stay the same if another disk could change it. The kernel starts init
/// before all disks are found (USB, `NVMe`), and the smallest so far must not be overwritten.
pub const SETTLE: Duration = Duration::from_secs(1);

/// Returns the path of the target disk. Waits for a missing device or a matching disk; several
/// matching disks are an error at once. `sys` and `proc` are a mounted sysfs and procfs. `on_wait`
/// receives one line when waiting begins.
pub fn find_target(
    target: &Target,
    sys: &Path,
    proc: &Path,
    timeout: Duration,
    on_wait: impl FnOnce(&str),
) -> Result<PathBuf, TargetError> {
    let start = Instant::now();
    let pause = |duration| {
        std::thread::sleep(duration);
        start.elapsed()
    };
    let disks = || read_disks(sys, proc);
    find_among(target, Path::new("/dev"), disks, timeout, pause, on_wait)
}

/// Like [`find_target`], with the device directory, the disks and the clock as arguments. `pause`
/// waits and returns the time since the start. Looks once if `timeout` is zero, and for the last
/// time at its end.
fn find_among(
    target: &Target,
    dev: &Path,
    mut disks: impl FnMut() -> Vec<FoundDisk>,
    timeout: Duration,
    mut pause: impl FnMut(Duration) -> Duration,
    on_wait: impl FnOnce(&str),
) -> Result<PathBuf, TargetError> {
    let mut on_wait = Some(on_wait);
    // The last disk found, and since when.
    let mut last: Option<(PathBuf, Duration)> = None;
    let mut now = Duration::ZERO;
    loop {
        let (found, is_final) = match target {
            Target::Path(path) => look_for_path(path, dev),
            Target::Selector(selector) => look_for_disk(selector, &disks()),
        };
        last = found.as_ref().ok().map(|path| match last.take() {
            Some((same, since)) if same == *path => (same, since),
            _ => (path.clone(), now),
        });
        let end = match &last {
            Some((_, since)) => timeout.max(SETTLE).min(*since + SETTLE),
            None => timeout,
        };
        if is_final || now >= end {
            return found;
        }
        if found.is_err()
            && let Some(on_wait) = on_wait.take()
        {
            let what = match target {
                Target::Path(_) => format!("'{target}' to appear"),
                Target::Selector(_) => format!("a disk that matches '{target}'"),
            };
            on_wait(&format!("waiting up to {} s for {what}", timeout.as_secs()));
        }
        now = pause(INTERVAL.min(end.saturating_sub(now)));
    }
}

/// The result of one look, and whether waiting cannot change it.
type Look = (Result<PathBuf, TargetError>, bool);

fn look_for_path(path: &Path, dev: &Path) -> Look {
    let Err(error) = path.metadata() else {
        return (Ok(path.to_owned()), true);
    };
    // Only device nodes appear later. A missing regular file stays missing.
    let may_appear = error.kind() == io::ErrorKind::NotFound && path.starts_with(dev);
    (Err(DeviceError::of(path, error).into()), !may_appear)
}

fn look_for_disk(selector: &Selector, disks: &[FoundDisk]) -> Look {
    match selector.choose(disks) {
        Ok(disk) => (Ok(PathBuf::from(&disk.path)), selector.is_unique()),
        Err(error) => {
            let is_final = matches!(error, TargetError::Ambiguous { .. });
            (Err(error), is_final)
        }
    }
}

#[cfg(test)]
mod tests;
