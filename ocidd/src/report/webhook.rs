//! Sends events as JSON by HTTP POST (`ocidd.report`). A slow or broken receiver never stops an
//! install: events that cannot be sent in time are dropped.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime},
};

use registry::{http::Client, observer::Retry};
use serde_json::{Value, json};

use crate::{
    machine::Machine,
    report::{
        event::{Done, Event, Listener, RateLimit, Snapshot},
        failure::Cause,
    },
};

/// Version of the documents. Changes if a field is removed or changes its meaning.
pub const SCHEMA: u32 = 1;

const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);
/// Timeout of one event.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum number of waiting events.
const QUEUE: usize = 64;
/// Maximum wait for the last events at the end of an install.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Sends events from its own thread.
#[derive(Debug)]
pub struct Webhook {
    sender: SyncSender<String>,
    machine: Value,
    rate_limit: RateLimit,
    thread: Option<JoinHandle<()>>,
}

impl Webhook {
    /// `on_failure` is called once, when the receiver first fails.
    pub fn start(
        client: Client,
        url: String,
        machine: &Machine,
        on_failure: impl FnOnce(String) + Send + 'static,
    ) -> Self {
        let (sender, events) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("post".to_owned())
            .spawn(move || send_events(&client, &url, &events, on_failure))
            .ok();
        Self {
            sender,
            machine: machine.describe(),
            rate_limit: RateLimit::new(PROGRESS_INTERVAL),
            thread,
        }
    }

    /// Waits briefly for unsent events.
    pub fn finish(self) {
        let deadline = Instant::now() + LAST_WAIT;
        // The thread ends when the sender is gone.
        drop(self.sender);
        let Some(thread) = self.thread else { return };
        while !thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Listener for Webhook {
    fn on_event(&self, event: &Event) {
        if matches!(event, Event::Progress(_)) && !self.rate_limit.is_due() {
            return;
        }
        let Some(mut document) = document(event) else { return };
        if let Some(fields) = document.as_object_mut() {
            fields.insert("schema".to_owned(), SCHEMA.into());
            fields.insert("time".to_owned(), unix_seconds().into());
            fields.insert("machine".to_owned(), self.machine.clone());
        }
        // If the queue is full, the event is dropped.
        self.sender.try_send(document.to_string()).ok();
    }
}

fn send_events(
    client: &Client,
    url: &str,
    events: &Receiver<String>,
    on_failure: impl FnOnce(String),
) {
    let mut on_failure = Some(on_failure);
    for event in events {
        let error = match client.post(url, "application/json", &event) {
            Ok(response) if response.status().is_success() => continue,
            Ok(response) => format!("it answered {}", response.status()),
            Err(error) => error.to_string(),
        };
        if let Some(on_failure) = on_failure.take() {
            on_failure(format!(
                "sending events (ocidd.report) failed: {error}; continuing without the receiver"
            ));
        }
    }
}

/// The own fields of an event. Notes are not sent.
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
        Event::Failed { cause: Cause { id, exit_code, remedy }, diagnostic, disk } => json!({
            "event": "failed", "id": id, "exit_code": exit_code, "message": diagnostic.message,
            "hint": diagnostic.hint, "remedy": remedy, "disk_state": disk.id(),
        }),
        Event::Done(Done { outcome, layer, image_bytes, elapsed, .. }) => json!({
            "event": "done", "outcome": outcome, "layer": layer.to_string(),
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
    use std::collections::BTreeSet;

    use oci::digest::Digest;

    use super::*;
    use crate::report::{diagnostic::Diagnostic, event::Outcome, failure::DiskState};

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
                cause: Cause::INTERNAL,
                diagnostic: Diagnostic { message: text(), hint: None },
                disk: DiskState::Untouched,
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
    fn documents_every_field_of_every_event() {
        let reference = include_str!("../../../docs/reference.md");
        let names = ["started", "progress", "retry", "warning", "failed", "done"];
        for (event, name) in events().iter().zip(names) {
            let document = document(event).unwrap();
            assert_eq!(document["event"], name);
            let start = format!("| `{name}` | ");
            let fields = reference.lines().find_map(|line| line.strip_prefix(&start)).unwrap();
            let documented = fields.split('`').skip(1).step_by(2);
            let sent = document.as_object().unwrap().keys().filter(|key| *key != "event");
            let (documented, sent): (BTreeSet<_>, BTreeSet<_>) =
                (documented.collect(), sent.map(String::as_str).collect());
            assert_eq!(documented, sent, "{name}");
        }
        let outcomes = [Outcome::Installed, Outcome::AlreadyInstalled, Outcome::DryRun];
        assert_eq!(json!(outcomes), json!(["installed", "already-installed", "dry-run"]));
        assert!(document(&Event::Note("for people".to_owned())).is_none());
    }
}
