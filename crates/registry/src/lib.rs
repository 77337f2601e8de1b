//! A client for OCI registries: resolves references, resumes broken downloads, finds signatures.
//! With the feature `push` it also writes. Only [`http`] opens sockets.

pub mod auth;
pub mod blob;
#[cfg(feature = "push")]
pub mod copy;
pub mod credentials;
pub mod endpoint;
pub mod error;
pub mod http;
#[cfg(feature = "push")]
pub mod location;
pub mod mirrors;
pub mod observer;
#[cfg(feature = "push")]
pub mod own;
#[cfg(feature = "push")]
pub mod repository;
pub mod retry;
#[cfg(feature = "push")]
pub mod session;
#[cfg(feature = "push")]
pub mod sign;
pub mod signatures;
mod tls;
#[cfg(feature = "push")]
mod update;
#[cfg(feature = "push")]
pub mod upload;

pub use error::Error;
