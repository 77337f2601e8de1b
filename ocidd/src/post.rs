//! Events for a receiver elsewhere: JSON documents by HTTP POST (`ocidd.report`). README documents them. A receiver that is slow, dead or wrong
//! never stops an install: what cannot be sent in time is dropped.

use crate::event::Done;
use crate::event::Event;
use crate::event::Listener;
use crate::event::Pace;
use crate::event::Snapshot;
use crate::machine::Machine;
use registry::http::Client;
use registry::observer::Retry;
use serde_json::Value;
use serde_json::json;
use std::sync::Mutex;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

/// The version of the documents. It changes when a field changes its meaning or goes, not when one is added.
pub const SCHEMA: u32 = 1;

/// Every event's name, and the fields it has besides those of all events.
pub const EVENTS: [(&str, &str); 6] = [
    ("started", "`image`, `disk`, `layer` (digest), `layer_bytes` or null"),
    ("progress", "`fetched_bytes`, `layer_bytes` or null, `written_bytes`, `seconds`"),
    ("retry", "`number`, `of` (null: infinite), `delay_seconds`, `reason`"),
    ("warning", "`message`"),
    (
        "failed",
        "`id`, `exit_code`, `message`, `hint` or null, `remedy`, `disk_state` (untouched, cleared, unknown)",
    ),
    (
        "done",
        "`outcome` (installed, already-installed, dry-run), `layer` (digest), `image_bytes`, `seconds`",
    ),
];

const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);
/// The receiver's time for one event.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// What may wait to be sent.
const QUEUE: usize = 64;
/// How long the end of an install waits for the last events.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Sends events from a thread of its own.
#[derive(Debug)]
pub struct Post {
    sender: Mutex<Option<SyncSender<String>>>,
    machine: Value,
    pace: Pace,
    thread: Option<JoinHandle<()>>,
}

impl Post {
    /// `complain` is told once, when the receiver first fails.
    pub fn start(
        client: Client,
        url: String,
        machine: &Machine,
        complain: impl FnOnce(String) + Send + 'static,
    ) -> Self {
        let (sender, events) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("post".to_owned())
            .spawn(move || send_all(&client, &url, &events, complain))
            .ok();
        Self {
            sender: Mutex::new(Some(sender)),
            machine: machine.describe(),
            pace: Pace::new(PROGRESS_INTERVAL),
            thread,
        }
    }

    /// Waits a little for what is still to be sent.
    pub fn finish(mut self) {
        // The thread ends when nobody can send it anything any more.
        if let Ok(mut sender) = self.sender.lock() {
            *sender = None;
        }
        let deadline = Instant::now() + LAST_WAIT;
        let Some(thread) = self.thread.take() else { return };
        while !thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Listener for Post {
    fn hear(&self, event: &Event) {
        if matches!(event, Event::Progress(_)) && !self.pace.is_due() {
            return;
        }
        let Some(mut document) = document(event) else { return };
        if let Some(fields) = document.as_object_mut() {
            fields.insert("schema".to_owned(), SCHEMA.into());
            fields.insert("time".to_owned(), unix_seconds().into());
            fields.insert("machine".to_owned(), self.machine.clone());
        }
        if let Ok(sender) = self.sender.lock()
            && let Some(sender) = sender.as_ref()
        {
            // Where the queue is full the receiver is dead or slow, and the event is dropped.
            sender.try_send(document.to_string()).ok();
        }
    }
}

fn send_all(client: &Client, url: &str, events: &Receiver<String>, complain: impl FnOnce(String)) {
    let mut complain = Some(complain);
    for event in events {
        let fault = match client.post(url, "application/json", &event) {
            Ok(response) if response.status().is_success() => continue,
            Ok(response) => format!("it answered {}", response.status()),
            Err(error) => error.to_string(),
        };
        if let Some(complain) = complain.take() {
            complain(format!(
                "the receiver of events (ocidd.report) fails: {fault}; going on without it"
            ));
        }
    }
}

/// What an event says, but for the fields that all have. A note is for people only.
fn document(event: &Event) -> Option<Value> {
    Some(match event {
        Event::Note(_) => return None,
        Event::Started { image, disk, layer, size_bytes } => json!({
            "event": "started", "image": image, "disk": disk, "layer": layer.to_string(), "layer_bytes": size_bytes,
        }),
        Event::Progress(Snapshot { elapsed, fetched_bytes, total_bytes, written_bytes }) => json!({
            "event": "progress", "fetched_bytes": fetched_bytes, "layer_bytes": total_bytes,
            "written_bytes": written_bytes, "seconds": seconds(*elapsed),
        }),
        Event::Retry(Retry { number, of, delay, reason }) => json!({
            "event": "retry", "number": number, "of": of, "delay_seconds": seconds(*delay), "reason": reason,
        }),
        Event::Warning(message) => json!({ "event": "warning", "message": message }),
        Event::Failed { id, exit_code, remedy, diagnostic, disk } => json!({
            "event": "failed", "id": id, "exit_code": exit_code, "message": diagnostic.message,
            "hint": diagnostic.hint, "remedy": remedy, "disk_state": disk,
        }),
        Event::Done(Done { outcome, layer, image_bytes, elapsed, .. }) => json!({
            "event": "done", "outcome": outcome.id(), "layer": layer.to_string(),
            "image_bytes": image_bytes, "seconds": seconds(*elapsed),
        }),
    })
}

/// To the millisecond.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

fn unix_seconds() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "an event happens now")]
    let now = SystemTime::now();
    now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Diagnostic;
    use crate::event::Outcome;
    use oci::digest::Digest;

    /// One event of each kind that is sent.
    fn events() -> Vec<Event> {
        let layer = Digest::of(b"");
        let snapshot = Snapshot {
            elapsed: Duration::from_millis(1500),
            fetched_bytes: 1,
            total_bytes: None,
            written_bytes: 2,
        };
        let text = || "text".to_owned();
        vec![
            Event::Started { image: text(), disk: text(), layer, size_bytes: Some(5) },
            Event::Progress(snapshot),
            Event::Retry(Retry { number: 1, of: None, delay: Duration::ZERO, reason: text() }),
            Event::Warning(text()),
            Event::Failed {
                id: "internal",
                exit_code: 1,
                remedy: "none",
                diagnostic: Diagnostic { message: text(), hint: None },
                disk: "untouched",
            },
            Event::Done(Done {
                outcome: Outcome::Installed,
                message: text(),
                layer,
                image_bytes: 3,
                elapsed: Duration::ZERO,
            }),
        ]
    }

    #[test]
    fn every_event_has_the_fields_that_are_documented() {
        let readme = include_str!("../../README.md");
        for (event, (name, fields)) in events().iter().zip(EVENTS) {
            let document = document(event).unwrap();
            assert_eq!(document["event"], name);
            for field in document.as_object().unwrap().keys().filter(|key| *key != "event") {
                assert!(fields.contains(&format!("`{field}`")), "{name} has {field}: {fields}");
            }
            let row = format!("| `{name}` | {fields} |");
            assert!(readme.contains(&row), "README.md lacks this row:\n{row}");
        }
        assert!(document(&Event::Note("for people".to_owned())).is_none());
    }
}
