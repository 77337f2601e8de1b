//! The media types and annotations that other programs go by, to the letter.

pub use crate::manifest::RAW_DIGEST;
pub use crate::manifest::RAW_SIZE;

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// What Docker calls the same two.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// The config of an artifact that needs none (OCI image spec, manifest.md, "Guidance for an Empty Descriptor").
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
pub const EMPTY_JSON: &[u8] = b"{}";

/// A disk image pushed by `ocidd image`.
pub const DISK_ARTIFACT: &str = "application/vnd.ocidd.disk.v1";
/// What oras calls files of which nobody says more.
pub const UNKNOWN_ARTIFACT: &str = "application/vnd.unknown.artifact.v1";
pub const BYTES: &str = "application/octet-stream";

/// OCI image spec, annotations.md.
pub const TITLE: &str = crate::manifest::TITLE;
pub const CREATED: &str = "org.opencontainers.image.created";
pub const VERSION: &str = "org.opencontainers.image.version";
pub const SOURCE: &str = "org.opencontainers.image.source";
pub const REVISION: &str = "org.opencontainers.image.revision";
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// What Ironic goes by.
pub const DISK_TYPE: (&str, &str) = ("disktype", "raw");
