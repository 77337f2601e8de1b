//! The console of `ocidd image`: messages, and a progress bar on a terminal.

use std::{env, io, io::IsTerminal as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use oci::size::Transfer;
use registry::observer::{Observer, Retry};

use crate::report::{
    console::{Report, Style},
    diagnostic::Diagnostic,
    event::{Event, Listener as _},
};

#[derive(Debug)]
pub(super) struct Console {
    report: Report,
    style: Style,
}

impl Console {
    pub(super) fn new() -> Self {
        let term = env::var("TERM").ok();
        let style = Style::for_terminal(io::stderr().is_terminal(), term.as_deref());
        Self { report: Report::new(style), style }
    }

    pub(super) fn fail(&self, diagnostic: &Diagnostic) {
        self.report.fail(diagnostic);
    }
}

impl Observer for Console {
    fn retry(&self, retry: Retry) {
        self.report.on_event(&Event::Retry(retry));
    }

    fn warn(&self, text: String) {
        self.report.on_event(&Event::Warning(text));
    }

    fn note(&self, text: String) {
        self.report.on_event(&Event::Note(text));
    }

    fn transfer(&self, label: &str, total_bytes: u64) -> Box<dyn Transfer + '_> {
        let target = match self.style {
            Style::Live => ProgressDrawTarget::stderr(),
            Style::Plain | Style::Levels => ProgressDrawTarget::hidden(),
        };
        #[expect(clippy::literal_string_with_formatting_args, reason = "keys of indicatif")]
        let template =
            "ocidd: {msg}: {percent}%, {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(total_bytes), target).with_style(style);
        Box::new(Bar(bar.with_message(label.to_owned())))
    }
}

/// Disappears when it is dropped.
struct Bar(ProgressBar);

impl Transfer for Bar {
    fn add(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
