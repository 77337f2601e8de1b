//! Kernel parameters of ocidd and init: one table, its parser, and where parameters come from.

pub mod cmdline;
mod options;
mod parse;
pub mod site;
mod size;
mod table;

pub use options::After;
pub use options::Ending;
pub use options::OnError;
pub use options::Options;
pub use options::Retries;
pub use options::Server;
pub use options::TimeServers;
pub use parse::ParameterError;
pub use parse::parse_init_parameters;
pub use parse::parse_parameters;
pub use size::parse_size;
pub use table::PARAMETERS;
pub use table::Parameter;
