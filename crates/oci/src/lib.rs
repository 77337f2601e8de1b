//! OCI names and documents: digests, references, manifests, indexes, image layouts on disk and signature payloads. Opens no socket.

pub mod bundle;
pub mod digest;
pub mod document;
pub mod index;
#[cfg(feature = "sign")]
pub mod layout;
pub mod manifest;
pub mod names;
pub mod platform;
pub mod platforms;
pub mod progress;
pub mod reference;
pub mod signature;
pub mod size;
pub mod tally;

use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::GeneralPurpose;
use base64::engine::GeneralPurposeConfig;

/// The standard alphabet. Padding is optional: hand-written credential files often lack it.
pub const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
