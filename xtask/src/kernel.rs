//! Builds Linux reproducibly from a source, a configuration and a timestamp, and stores image and
//! configuration in the cache.

mod check;
mod compile;
mod configure;
mod key;
mod make;
mod options;
mod plan;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
pub use check::check_configurations;
pub use make::{Place, Surroundings};
pub use plan::KernelRequest;

use crate::{
    kernel::{key::Key, plan::Plan},
    sources::Source,
};

/// The stored files of a kernel.
pub const IMAGE: &str = "image";
pub const CONFIG: &str = "config";
/// The inputs of the key, to find out why two keys differ.
pub const INPUTS: &str = "inputs";

/// A kernel in the cache, its files hashed in this run.
#[derive(Clone, Debug)]
pub struct KernelBuild {
    pub image: PathBuf,
    /// The final configuration.
    pub config: PathBuf,
    pub source: Source,
    /// The compiler's name and version, as it prints them.
    pub compiler: String,
    /// Its key in the cache: the digest of all inputs.
    pub key: String,
}

/// The requested kernel, from the cache if it was built before.
pub fn build(request: &KernelRequest<'_>) -> Result<KernelBuild> {
    let (plan, key) = inputs(request)?;
    let cache = &request.sources.cache;
    let folder = match cache.kernel(&key.digest)? {
        Some(folder) => folder,
        None => compile::compile(&plan, &key, cache)
            .with_context(|| format!("building the kernel for {}", request.arch))?,
    };
    Ok(KernelBuild {
        image: folder.join(IMAGE),
        config: folder.join(CONFIG),
        source: plan.source,
        compiler: plan.compiler,
        key: key.digest,
    })
}

/// The inputs of the requested kernel, and their key. Builds nothing.
pub fn inputs<'a>(request: &KernelRequest<'a>) -> Result<(Plan<'a>, Key)> {
    let plan = plan::plan(request)?;
    let key = Key::of(&plan);
    Ok((plan, key))
}

/// Builds the requested kernel in `place`, without reading or writing kernels in the cache. Returns
/// the paths of its image and configuration.
pub fn build_anew(request: &KernelRequest<'_>, place: Place) -> Result<(PathBuf, PathBuf)> {
    compile::compile_in(&plan::plan(request)?, place)
        .with_context(|| format!("rebuilding the kernel for {}", request.arch))
}
