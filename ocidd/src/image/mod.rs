//! `ocidd image`: the author's side. Puts disk images and boot files into registries and OCI image layouts, and reads what is there. The
//! initramfs is built without it.
//!
//! command → session → remote or store → copy; what is made is a document and blobs, never written before it is whole.

mod bundle;
pub mod command;
mod commands;
pub mod copy;
mod disk;
pub mod document;
mod helper;
mod meter;
pub mod names;
mod options;
mod place;
mod platforms;
pub mod remote;
pub mod session;
pub mod sign;
pub mod store;
mod tally;

pub use bundle::Bundle;
pub use bundle::Flavour;
pub use bundle::Part;
pub use place::Place;
pub use session::Session;
pub use session::Settings;
