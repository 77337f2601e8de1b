//! What a kernel is built from: its source, requested options, compilers and timestamp.

use anyhow::{Context as _, Result, anyhow};

use crate::{
    config::{KernelConfig, Profile, env::Settings},
    host::{arch::Arch, cmd, project},
    kernel::{options, options::Requested},
    sources::{Source, Sources},
};

#[derive(Clone, Copy, Debug)]
pub struct KernelRequest<'a> {
    pub arch: Arch,
    pub profile: Profile,
    pub sources: &'a Sources,
    pub settings: &'a Settings,
    pub config: &'a KernelConfig,
}

/// Everything that determines the bytes of a kernel.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    pub arch: Arch,
    pub profile: Profile,
    pub source: Source,
    /// The kernel's make target of the base configuration.
    pub base: &'a str,
    /// The options of all fragments, in order; the last value of an option wins.
    pub fragments: Vec<Requested>,
    /// `KERNEL_CONFIG`, checked arguments of the kernel's `scripts/config`, and the options in it.
    pub arguments: &'a [String],
    pub argument_options: Vec<Requested>,
    /// Prefix of the GNU tools' names; empty for the host's own.
    pub cross: &'static str,
    pub compiler: String,
    pub binutils: String,
    pub timestamp: String,
}

/// The plan of the requested kernel, with its source in the cache.
pub fn plan<'a>(request: &KernelRequest<'a>) -> Result<Plan<'a>> {
    checked(request).with_context(|| format!("planning the kernel for {}", request.arch))
}

fn checked<'a>(request: &KernelRequest<'a>) -> Result<Plan<'a>> {
    let profile = request.config.profiles.get(&request.profile);
    let profile = profile
        .ok_or_else(|| anyhow!("kernel/kernel.toml has no profile '{}'", request.profile))?;
    let mut fragments = Vec::new();
    for fragment in profile.fragments(request.arch) {
        let path = project::root().join(fragment);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("reading {}", path.display()))?;
        fragments.extend(options::parse_fragment(&fragment.display().to_string(), &text)?);
    }
    let cross = request.arch.cross_prefix();
    let timestamp = request.settings.kernel_timestamp;
    Ok(Plan {
        arch: request.arch,
        profile: request.profile,
        source: source(request)?,
        base: &profile.base,
        fragments,
        arguments: &request.settings.kernel_config,
        argument_options: options::parse_arguments(&request.settings.kernel_config)?,
        cross,
        compiler: cmd::version(&format!("{cross}gcc"))?,
        binutils: cmd::version(&format!("{cross}ld"))?,
        // The format of `date`, as in `uname -v`; always UTC and English.
        timestamp: timestamp.strftime("%a %b %e %H:%M:%S UTC %Y").to_string(),
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
    packages.pop().context("apt returned no package")
}
