//! Builds Linux. Goes in: a source, a configuration, the time to claim. Comes out: a bootable image and its configuration, in the cache, the same
//! bytes for the same inputs wherever and whenever they are built. It never writes to `out/`.

mod check;
mod compile;
mod configure;
mod excerpt;
mod key;
mod make;
mod menuconfig;
mod options;
mod unpack;
mod workbench;

pub use check::check_configurations;
pub use menuconfig::edit;

pub use make::Place;
pub use make::Surroundings;

use crate::arch::Arch;
use crate::cache::KERNEL_LOCK;
use crate::cmd;
use crate::config::KernelConfig;
use crate::config::Profile;
use crate::env::Settings;
use crate::kernel::key::Key;
use crate::kernel::options::Wanted;
use crate::project;
use crate::sources::Source;
use crate::sources::Sources;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use std::path::Path;
use std::path::PathBuf;

/// The stored files of a kernel.
pub const IMAGE: &str = "image";
pub const CONFIG: &str = "config";
/// What the key was made of, for whoever asks why two keys differ.
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
    /// The compiler's name and version, as it tells them.
    pub compiler: String,
    /// Its key in the cache: the digest of everything that went in.
    pub key: String,
}

/// What goes into a kernel.
#[derive(Clone, Debug)]
pub struct KernelInputs {
    pub source: Source,
    pub compiler: String,
    /// The digest of all that goes in.
    pub key: String,
}

/// Everything that decides the bytes of a kernel.
#[derive(Clone, Debug)]
struct Plan<'a> {
    arch: Arch,
    profile: Profile,
    source: Source,
    /// The kernel's own make target of the configuration to begin with.
    base: &'a str,
    /// The options of the fragments, the last word on each.
    fragments: Vec<Wanted>,
    /// `KERNEL_CONFIG`, as the kernel's `scripts/config` takes it, and the options it asks for.
    words: &'a [String],
    word_options: Vec<Wanted>,
    /// What goes before the names of the GNU tools: empty where they are the host's own.
    cross: &'static str,
    compiler: String,
    binutils: String,
    timestamp: String,
}

/// The kernel asked for, from the cache where it was built before.
pub fn build(request: &KernelRequest<'_>) -> Result<KernelBuild> {
    let plan = planned(request)?;
    let cache = request.sources.cache();
    let key = Key::of(&plan);
    if let Some(folder) = cache.kernel(&key.digest)? {
        return Ok(finished(&folder, plan, key));
    }
    let _lock = cache.lock(KERNEL_LOCK, "kernel build")?;
    // Another build may have made it while this one waited.
    let folder = match cache.kernel(&key.digest)? {
        Some(folder) => folder,
        None => compile::compile(&plan, &key, cache)
            .with_context(|| format!("building the kernel for {}", request.arch))?,
    };
    Ok(finished(&folder, plan, key))
}

/// What the kernel asked for is made of. Builds nothing.
pub fn inputs(request: &KernelRequest<'_>) -> Result<KernelInputs> {
    let plan = planned(request)?;
    let key = Key::of(&plan).digest;
    Ok(KernelInputs { source: plan.source, compiler: plan.compiler, key })
}

/// The kernel asked for, built in `place` whatever the cache holds, with nothing stored there. Gives the paths of its image and its configuration.
pub fn build_anew(request: &KernelRequest<'_>, place: Place) -> Result<(PathBuf, PathBuf)> {
    compile::compile_in(&planned(request)?, place)
        .with_context(|| format!("building the kernel for {} anew", request.arch))
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
        // The way `date` writes it, which is what people know from `uname -v`; in UTC and English whatever the builder's taste.
        timestamp: request
            .settings
            .kernel_timestamp
            .strftime("%a %b %e %H:%M:%S UTC %Y")
            .to_string(),
    })
}

/// The tarball from upstream, or the package of Debian's archive that holds one. Both unpack to the same kind of tree.
fn source(request: &KernelRequest<'_>) -> Result<Source> {
    if let Some(source) = request.sources.upstream(&request.config.upstream)? {
        return Ok(source);
    }
    // The package is for all architectures. The host's own lists are the likeliest to be there already.
    let arch = Arch::host().unwrap_or(request.arch);
    let mut packages = request.sources.debian(&[&request.config.debian_package], arch)?;
    packages.pop().ok_or_else(|| anyhow!("apt gave no package '{}'", request.config.debian_package))
}

/// Where the log of a build lies.
fn log_path(plan: &Plan<'_>) -> PathBuf {
    project::logs().join(format!("kernel-{}-{}.log", plan.arch, plan.profile))
}
