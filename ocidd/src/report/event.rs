//! Events of an install, and the listeners that receive them.

use std::{
    sync::{
        Mutex,
        mpsc::{RecvTimeoutError, sync_channel},
    },
    time::{Duration, Instant},
};

use oci::{
    digest::Digest,
    size::{Counter, Transfer},
};
use registry::observer::{Observer, Retry};
use serde::Serialize;

use crate::report::{
    diagnostic::Diagnostic,
    failure::{Cause, DiskState},
};

#[derive(Clone, Debug)]
pub enum Event {
    /// The disk is written from here on.
    Started {
        image: String,
        disk: String,
        layer: Digest,
        size_bytes: Option<u64>,
    },
    Note(String),
    Warning(String),
    /// A request failed and is repeated after a delay.
    Retry(Retry),
    Progress(Snapshot),
    Failed {
        cause: Cause,
        diagnostic: Diagnostic,
        disk: DiskState,
    },
    Done(Done),
}

/// Counters that the threads of an install share with the console.
#[derive(Debug, Default)]
pub struct Progress {
    /// Compressed bytes received.
    pub fetched: Counter,
    /// Bytes of the disk image written.
    pub written: Counter,
}

/// How far an install has come.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot {
    pub elapsed: Duration,
    pub fetched_bytes: u64,
    /// Size of the layer, if known.
    pub total_bytes: Option<u64>,
    pub written_bytes: u64,
}

/// A successful install.
#[derive(Clone, Debug)]
pub struct Done {
    pub outcome: Outcome,
    /// Text for the console.
    pub message: String,
    pub layer: Digest,
    pub image_bytes: u64,
    pub elapsed: Duration,
}

/// Result of a successful install. The names in events are stable.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Installed,
    AlreadyInstalled,
    DryRun,
}

/// Receives install events. Implementations must not block.
pub trait Listener: Sync {
    fn on_event(&self, event: &Event);

    fn note(&self, text: String) {
        self.on_event(&Event::Note(text));
    }

    fn warn(&self, text: String) {
        self.on_event(&Event::Warning(text));
    }
}

/// Adapter for the registry client. The install reports its progress by itself.
impl Observer for &dyn Listener {
    fn retry(&self, retry: Retry) {
        self.on_event(&Event::Retry(retry));
    }

    fn warn(&self, text: String) {
        self.on_event(&Event::Warning(text));
    }

    fn note(&self, text: String) {
        self.on_event(&Event::Note(text));
    }

    fn transfer(&self, _label: &str, _total_bytes: u64) -> Box<dyn Transfer + '_> {
        Box::new(Counter::default())
    }
}

impl<const N: usize> Listener for [&dyn Listener; N] {
    fn on_event(&self, event: &Event) {
        for listener in self {
            listener.on_event(event);
        }
    }
}

/// Limits a listener to one event per interval.
#[derive(Debug)]
pub struct RateLimit {
    interval: Duration,
    last: Mutex<Option<Instant>>,
}

impl RateLimit {
    pub fn new(interval: Duration) -> Self {
        Self { interval, last: Mutex::default() }
    }

    /// True the first time, and when an interval has passed since the last time.
    pub fn is_due(&self) -> bool {
        let Ok(mut last) = self.last.lock() else { return false };
        let due = last.is_none_or(|last| last.elapsed() >= self.interval);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

/// Interval of progress events; listeners may skip some.
const INTERVAL: Duration = Duration::from_millis(250);

/// Runs `work` and reports its progress. `total_bytes` is the number of bytes to fetch.
pub fn follow<T>(
    listener: &dyn Listener,
    progress: &Progress,
    total_bytes: Option<u64>,
    work: impl FnOnce() -> T,
) -> T {
    let (sender, ended) = sync_channel::<()>(0);
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                listener.on_event(&Event::Progress(Snapshot {
                    elapsed: start.elapsed(),
                    fetched_bytes: progress.fetched.get(),
                    total_bytes,
                    written_bytes: progress.written.get(),
                }));
            }
        });
        let outcome = work();
        drop(sender);
        outcome
    })
}
