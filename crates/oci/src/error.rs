//! The error of this crate, except for keys and signatures, which a caller checks one by one.

use std::{fmt, io, path::PathBuf};

use oci_spec::OciSpecError;
use thiserror::Error;

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Error)]
pub enum Error {
    #[error("invalid digest '{0}': expected 'sha256:' and 64 lower-case hexadecimal digits")]
    Digest(String),
    #[error("invalid platform '{0}': expected OS/ARCHITECTURE[/VARIANT], such as linux/amd64")]
    Platform(String),

    #[error("invalid reference '{reference}': unexpected scheme '{scheme}'")]
    Scheme { reference: String, scheme: &'static str },
    #[error(
        "'{0}' does not name a registry: expected a host with a domain or a port, \
         such as registry.example/os:1 or localhost:5000/os:1"
    )]
    NoRegistry(String),
    #[error("invalid {part} '{found}' in '{reference}': expected {expected}")]
    ReferencePart { reference: String, part: &'static str, found: String, expected: &'static str },
    #[error("'{0}' has neither tag nor digest: expected a tag, such as {0}:latest")]
    NoVersion(String),
    #[error("'{0}' has no digest: expected registry/repository@sha256:…")]
    NoDigest(String),
    #[error("'{0}' has a tag and a digest: expected registry/repository@sha256:…")]
    TagOnBlob(String),

    #[error("the registry answered with a web page ('{0}'), not a manifest")]
    WebPage(String),
    #[error("reading the manifest, which was sent as '{content_type}'")]
    NotJson { content_type: String, source: serde_json::Error },
    #[error("reading the {name}")]
    Document { name: &'static str, source: serde_json::Error },
    #[error("'{0}' is neither an image manifest nor an image index")]
    UnknownType(String),
    #[error("invalid media type '{0}': expected two names, such as build/log")]
    MediaType(String),
    #[error("writing a document")]
    Write(#[from] OciSpecError),

    #[error("invalid annotation {key} of layer {layer}: '{text}' is not a {expected}")]
    Annotation { layer: String, key: &'static str, text: String, expected: &'static str },
    #[error("the reference names a container image, not a disk image; its layers are: {layers}")]
    Container { layers: String },
    #[error("the manifest has no disk layer; its layers are: {layers}")]
    NoDisk { layers: String },
    #[error(
        "the manifest has {count} layers of media type {types}, expected one; \
         its layers are: {layers}"
    )]
    SeveralDisks { count: usize, types: String, layers: String },
    /// `has_platforms`: whether another platform can be requested instead.
    #[error("the image index has no manifest for {platform}; it has: {available}")]
    NoMatch { platform: String, available: String, has_platforms: bool },
    #[error("the image index has {count} manifests for {platform}: {manifests}")]
    SeveralMatches { platform: String, count: usize, manifests: String },
    #[error("{0} is an image index")]
    Nested(oci_spec::image::Digest),

    #[error("{doing} {}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("reading {}", path.display())]
    LayoutIndex { path: PathBuf, source: Box<Error> },
    #[error("'{}' is not an OCI image layout: it has index.json but not oci-layout", .0.display())]
    NotALayout(PathBuf),
    #[error("{} is damaged: its digest is {found}", path.display())]
    Damaged { path: PathBuf, found: String },
    #[error("{} is damaged: it has {found} bytes, expected {expected}", path.display())]
    DamagedSize { path: PathBuf, found: u64, expected: u64 },
    #[error("{count} images have a digest that begins with '{digits}'")]
    AmbiguousDigits { count: usize, digits: String },
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
}

/// Not derived: the derived code has 8 kB, and the installer would contain it twice.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
