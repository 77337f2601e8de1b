//! Reports of a run: events, the console, the receiver of events, failures and their causes.

pub(crate) mod classify;
pub mod console;
pub mod diagnostic;
pub mod event;
pub mod failure;
pub mod webhook;
