//! Pinned sources.

/// A file on the internet and its digest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pin {
    /// Its name in errors and in the manifest: `linux`, `alpine`.
    pub name: String,
    pub version: String,
    pub url: String,
    /// 64 lower-case hexadecimal digits.
    pub sha256: String,
}

impl Pin {
    /// The last segment of the URL: the file name in the cache and in a source directory.
    pub fn file_name(&self) -> &str {
        let path = self.url.split(['?', '#']).next().unwrap_or(&self.url);
        path.rsplit('/').next().unwrap_or(path)
    }
}
