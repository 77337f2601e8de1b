//! Errors of image layouts. A module of its own, because every program names them in hints, but only
//! the tools of authors contain the layouts themselves.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::{
    digest::{Digest, DigestError},
    document::DocumentError,
};

/// Marks a layout. A shared lock on it protects blobs that no name refers to yet.
pub(crate) const MARKER: &str = "oci-layout";
pub(crate) const INDEX: &str = "index.json";

#[derive(Debug, Error)]
pub enum LayoutError {
    #[error("{doing} {}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("reading {}", path.display())]
    Index { path: PathBuf, source: DocumentError },
    #[error("'{}' is not an OCI image layout: it has {INDEX} but not {MARKER}", .0.display())]
    NotALayout(PathBuf),
    #[error("{} is damaged: its digest is {found}", path.display())]
    Damaged { path: PathBuf, found: Digest },
    #[error(
        "{} is damaged: it has {}, expected {expected} bytes",
        path.display(),
        found.map_or("no content".to_owned(), |found| format!("{found} bytes"))
    )]
    Size { path: PathBuf, found: Option<u64>, expected: u64 },
    #[error("{count} images have a digest that begins with '{digits}'")]
    Ambiguous { count: usize, digits: String },
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error(transparent)]
    Digest(#[from] DigestError),
}
