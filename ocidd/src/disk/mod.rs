//! Target disks: finding them, opening one, writing an image to it. Nothing outside this folder opens a device.

pub mod buffer;
pub mod device;
pub mod probe;
pub mod sink;
