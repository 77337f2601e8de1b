//! Kernel parameters of ocidd and init: one table, its parser, and where parameters come from.

pub mod cmdline;
mod options;
mod parse;
pub mod site;
mod size;
mod table;

pub use options::{After, Ending, OnError, Options, Retries, Server, TimeServers};
pub use parse::{ParameterError, parse_init_parameters, parse_parameters};
pub use size::parse_size;
pub use table::{PARAMETERS, Parameter};
