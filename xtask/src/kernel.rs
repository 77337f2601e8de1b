//! Builds Linux reproducibly from a source, a configuration and a timestamp, and stores image and
//! configuration in the cache.

mod check;
mod compile;
mod configure;
mod key;
mod make;
mod options;

pub use check::check_configurations;

pub use make::Place;
pub use make::Surroundings;

use crate::config::KernelConfig;
use crate::config::Profile;
use crate::config::env::Settings;
use crate::host::arch::Arch;
use crate::host::cmd;
use crate::host::project;
use crate::kernel::key::Key;
use crate::kernel::options::Requested;
use crate::sources::Source;
use crate::sources::Sources;
use crate::sources::cache::KERNEL_LOCK;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use std::path::Path;
use std::path::PathBuf;

/// The stored files of a kernel.
pub const IMAGE: &str = "image";
pub const CONFIG: &str = "config";
/// The inputs of the key, to find out why two keys differ.
pub const INPUTS: &str = "inputs";

#[derive(Clone, Copy, Debug)]
pub struct KernelRequest<'a> {
    pub arch: Arch,
    pub profile: Profile,
    pub sources: &'a Sources,
    pub settings: &'a Settings,
    pub config: &'a KernelConfig,
}

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

/// The inputs of a kernel.
#[derive(Clone, Debug)]
pub struct KernelInputs {
    pub source: Source,
    pub compiler: String,
    /// The digest of all inputs.
    pub key: String,
}

/// Everything that determines the bytes of a kernel.
#[derive(Clone, Debug)]
struct Plan<'a> {
    arch: Arch,
    profile: Profile,
    source: Source,
    /// The kernel's make target of the base configuration.
    base: &'a str,
    /// The options of all fragments, in order; the last value of an option wins.
    fragments: Vec<Requested>,
    /// `KERNEL_CONFIG`, as arguments of the kernel's `scripts/config`, and the options in it.
    words: &'a [String],
    word_options: Vec<Requested>,
    /// Prefix of the GNU tools' names; empty for the host's own.
    cross: &'static str,
    compiler: String,
    binutils: String,
    timestamp: String,
}

/// The requested kernel, from the cache if it was built before.
pub fn build(request: &KernelRequest<'_>) -> Result<KernelBuild> {
    let plan = planned(request)?;
    let cache = request.sources.cache();
    let key = Key::of(&plan);
    if let Some(folder) = cache.kernel(&key.digest)? {
        return Ok(finished(&folder, plan, key));
    }
    let _lock = cache.lock(KERNEL_LOCK, "kernel build")?;
    // Another build may have stored it meanwhile.
    let folder = match cache.kernel(&key.digest)? {
        Some(folder) => folder,
        None => compile::compile(&plan, &key, cache)
            .with_context(|| format!("building the kernel for {}", request.arch))?,
    };
    Ok(finished(&folder, plan, key))
}

/// The inputs of the requested kernel. Builds nothing.
pub fn inputs(request: &KernelRequest<'_>) -> Result<KernelInputs> {
    let plan = planned(request)?;
    let key = Key::of(&plan).digest;
    Ok(KernelInputs { source: plan.source, compiler: plan.compiler, key })
}

/// Builds the requested kernel in `place`, without reading or writing kernels in the cache. Returns
/// the paths of its image and configuration.
pub fn build_anew(request: &KernelRequest<'_>, place: Place) -> Result<(PathBuf, PathBuf)> {
    compile::compile_in(&planned(request)?, place)
        .with_context(|| format!("rebuilding the kernel for {}", request.arch))
}

fn finished(folder: &Path, plan: Plan<'_>, key: Key) -> KernelBuild {
    KernelBuild {
        image: folder.join(IMAGE),
        config: folder.join(CONFIG),
        source: plan.source,
        compiler: plan.compiler,
        key: key.digest,
    }
}

fn planned<'a>(request: &KernelRequest<'a>) -> Result<Plan<'a>> {
    plan(request).with_context(|| format!("planning the kernel for {}", request.arch))
}

fn plan<'a>(request: &KernelRequest<'a>) -> Result<Plan<'a>> {
    let profile = request
        .config
        .profiles
        .get(&request.profile)
        .ok_or_else(|| anyhow!("kernel/kernel.toml has no profile '{}'", request.profile))?;
    let mut fragments = Vec::new();
    for fragment in profile.fragments(request.arch) {
        let path = project::root().join(fragment);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("reading {}", path.display()))?;
        fragments.extend(options::parse_fragment(&fragment.display().to_string(), &text)?);
    }
    let word_options = options::parse_words(&request.settings.kernel_config)?;
    let cross = if Arch::host() == Some(request.arch) { "" } else { request.arch.cross_prefix() };
    Ok(Plan {
        arch: request.arch,
        profile: request.profile,
        source: source(request)?,
        base: &profile.base,
        fragments,
        words: &request.settings.kernel_config,
        word_options,
        cross,
        compiler: cmd::version(&format!("{cross}gcc"))?,
        binutils: cmd::version(&format!("{cross}ld"))?,
        // The format of `date`, as in `uname -v`; always UTC and English.
        timestamp: request
            .settings
            .kernel_timestamp
            .strftime("%a %b %e %H:%M:%S UTC %Y")
            .to_string(),
    })
}

/// The upstream tarball, or the Debian package that contains one.
fn source(request: &KernelRequest<'_>) -> Result<Source> {
    if let Some(source) = request.sources.upstream(&request.config.upstream)? {
        return Ok(source);
    }
    // The package is for all architectures; the lists for the host are most likely cached.
    let arch = Arch::host().unwrap_or(request.arch);
    let mut packages = request.sources.debian(&[&request.config.debian_package], arch)?;
    packages
        .pop()
        .ok_or_else(|| anyhow!("apt returned no package '{}'", request.config.debian_package))
}

/// The log of a build.
fn log_path(plan: &Plan<'_>) -> PathBuf {
    project::logs().join(format!("kernel-{}-{}.log", plan.arch, plan.profile))
}
