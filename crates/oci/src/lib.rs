//! OCI names and documents: digests, references, manifests, indexes, image layouts on disk and
//! signatures. Opens no sockets.

pub mod bundle;
pub mod digest;
pub mod document;
mod error;
pub mod index;
#[cfg(feature = "sign")]
pub mod layout;
pub mod manifest;
#[cfg(feature = "sign")]
pub mod partial;
pub mod platform;
pub mod reference;
pub mod signature;
#[cfg(feature = "sign")]
pub mod signing_key;
pub mod size;

use base64::{
    alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
pub use error::Error;

/// The standard alphabet with optional padding, which hand-written credential files often lack.
pub const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
