//! Target disks: find, select and open them. Only this directory opens devices.

pub mod buffer;
pub mod bus;
pub mod choice;
pub mod device;
pub mod holders;
pub mod probe;
pub mod reread;
pub mod selector;
pub(crate) mod sysfs;
#[cfg(test)]
pub(crate) mod tests;
pub mod wait;
