//! Lines of init and of the programs it runs, on every console and in the kernel's log.

pub(crate) mod kmsg;
pub(crate) mod relay;
pub(crate) mod report;
