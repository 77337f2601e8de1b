//! Target disks: finding and choosing them, opening one, writing an image to it. Nothing outside this folder opens a device.

pub mod buffer;
pub mod bus;
pub mod choice;
pub mod device;
#[cfg(test)]
mod fake_machine;
pub mod gpt;
pub mod holders;
mod identity;
#[cfg(test)]
mod loop_device;
pub mod marker;
pub mod probe;
mod property;
pub mod refusal;
pub mod reread;
pub mod selector;
pub mod sink;
pub mod wait;
