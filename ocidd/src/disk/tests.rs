//! Fixtures for tests of disks.

pub(crate) mod fake_machine;
pub(crate) mod loop_device;
