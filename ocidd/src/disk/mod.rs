//! Target disks: find, select and open them. Only this directory opens devices.

pub mod buffer;
pub mod bus;
pub mod choice;
pub mod device;
#[cfg(test)]
mod fake_machine;
pub mod holders;
#[cfg(test)]
pub(crate) mod loop_device;
pub mod probe;
pub mod reread;
pub mod selector;
pub(crate) mod sysfs;
pub mod wait;
