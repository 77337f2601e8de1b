//! What happens in an install, as values: whoever wants to tell it, a console or a receiver of events, listens. Nothing here prints or sends.

use crate::diagnostic::Diagnostic;
use crate::failure::Failure;
use crate::progress::Progress;
use oci::digest::Digest;
use oci::size::Counter;
use oci::size::Transfer;
use registry::observer::Observer;
use registry::observer::Retry;
use std::sync::Mutex;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use std::time::Instant;

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// From here on the disk is written to.
    Started {
        image: String,
        disk: String,
        layer: Digest,
        size_bytes: Option<u64>,
    },
    Note(String),
    Warning(String),
    /// A request failed and is sent again after `delay`.
    Retry(Retry),
    Progress(Snapshot),
    Failed {
        id: &'static str,
        exit_code: u8,
        remedy: &'static str,
        diagnostic: Diagnostic,
        disk: &'static str,
    },
    Done(Done),
}

impl From<&Failure> for Event {
    fn from(failure: &Failure) -> Self {
        Self::Failed {
            id: failure.cause.id(),
            exit_code: failure.cause.exit_code(),
            remedy: failure.cause.remedy(),
            diagnostic: failure.diagnostic(),
            disk: failure.disk.id(),
        }
    }
}

/// How far an install has come.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot {
    pub elapsed: Duration,
    pub fetched_bytes: u64,
    /// Of the layer, where it is known.
    pub total_bytes: Option<u64>,
    pub written_bytes: u64,
}

/// The end of an install that went well.
#[derive(Clone, Debug)]
pub struct Done {
    pub outcome: Outcome,
    /// For people.
    pub message: String,
    pub layer: Digest,
    pub image_bytes: u64,
    pub elapsed: Duration,
}

/// What a good end means for the disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    Installed,
    AlreadyInstalled,
    DryRun,
}

impl Outcome {
    /// One word for machines.
    pub fn id(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::AlreadyInstalled => "already-installed",
            Self::DryRun => "dry-run",
        }
    }
}

/// Somebody who is told. Must not block for long, and cannot fail: an install goes on whoever listens.
pub trait Listener: Sync {
    fn hear(&self, event: &Event);

    fn note(&self, text: String) {
        self.hear(&Event::Note(text));
    }

    fn warn(&self, text: String) {
        self.hear(&Event::Warning(text));
    }
}

/// The registry client reports to the same listeners. An install shows its progress by itself.
impl Observer for &dyn Listener {
    fn retry(&self, retry: Retry) {
        self.hear(&Event::Retry(retry));
    }

    fn warn(&self, text: String) {
        self.hear(&Event::Warning(text));
    }

    fn note(&self, text: String) {
        self.hear(&Event::Note(text));
    }

    fn transfer(&self, _label: &str, _total_bytes: u64) -> Box<dyn Transfer + '_> {
        Box::new(Counter::default())
    }
}

impl<const N: usize> Listener for [&dyn Listener; N] {
    fn hear(&self, event: &Event) {
        for listener in self {
            listener.hear(event);
        }
    }
}

/// Lets a listener take a part of what it hears: once in an interval.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    last: Mutex<Option<Instant>>,
}

impl Pace {
    pub fn new(interval: Duration) -> Self {
        Self { interval, last: Mutex::default() }
    }

    /// True the first time, and whenever an interval has passed since it was true.
    pub fn is_due(&self) -> bool {
        let Ok(mut last) = self.last.lock() else { return false };
        let due = last.is_none_or(|last| last.elapsed() >= self.interval);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

/// How often progress is told; listeners that want less of it leave some out.
const INTERVAL: Duration = Duration::from_millis(250);

/// Tells the progress of `work` until it ends. `total_bytes` is the number of bytes to fetch.
pub fn follow<T>(
    listener: &dyn Listener,
    progress: &Progress,
    total_bytes: Option<u64>,
    work: impl FnOnce() -> T,
) -> T {
    let tell = |elapsed| {
        listener.hear(&Event::Progress(Snapshot {
            elapsed,
            fetched_bytes: progress.fetched.get(),
            total_bytes,
            written_bytes: progress.written.get(),
        }));
    };
    while_telling(tell, work)
}

/// Calls `tell` with the time since the start, again and again until `work` ends.
pub(crate) fn while_telling<T>(tell: impl Fn(Duration) + Send, work: impl FnOnce() -> T) -> T {
    let (sender, ended) = sync_channel::<()>(0);
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                tell(start.elapsed());
            }
        });
        let outcome = work();
        drop(sender);
        outcome
    })
}
