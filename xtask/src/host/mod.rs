//! What xtask needs of its host: names of architectures, programs, files, paths, reports and installed tools.

pub mod arch;
pub mod cmd;
pub mod output;
pub mod project;
pub mod report;
pub mod setup;
