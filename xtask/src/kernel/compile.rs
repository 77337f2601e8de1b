//! The build itself: unpack, configure, make, store. Everything happens in the cache's `build` folder, which is emptied before and after.

use crate::cache::Cache;
use crate::cmd;
use crate::kernel::CONFIG;
use crate::kernel::IMAGE;
use crate::kernel::INPUTS;
use crate::kernel::Key;
use crate::kernel::Plan;
use crate::kernel::configure;
use crate::kernel::log_path;
use crate::kernel::make;
use crate::kernel::make::Make;
use crate::kernel::unpack;
use crate::report;
use anyhow::Context as _;
use anyhow::Result;
use rustix::fs::Mode;
use std::path::PathBuf;
use std::time::Instant;

/// Builds and stores a kernel. The caller holds the lock on kernel builds.
pub(super) fn compile(plan: &Plan<'_>, key: &Key, cache: &Cache) -> Result<PathBuf> {
    let started = Instant::now();
    let log = log_path(plan);
    let title =
        format!("linux {} for {}, profile {}", plan.source.version, plan.arch, plan.profile);
    report::step(format_args!("building {title}; log in {}", log.display()));
    let _umask = Umask::set();
    let scratch = cache.folder("build")?;
    make::remove(&scratch)?;
    let compiler_cache = cmd::find("ccache").map(|_| cache.folder("ccache")).transpose()?;
    let (source, objects) = (cache.folder("build/source")?, cache.folder("build/objects")?);
    let tree = Make::new(plan, source, objects, log, compiler_cache)?;

    report::live("unpacking the kernel's source");
    unpack::unpack(&plan.source, &tree.source)?;
    configure::configure(plan, &tree)?;
    let (target, image) = plan.arch.kernel_image();
    tree.make(target, &[], &format!("building {title}"))?;

    let filled = cache.temporary_folder()?;
    for (from, to) in [(image, IMAGE), (".config", CONFIG)] {
        let from = tree.build.join(from);
        std::fs::copy(&from, filled.path().join(to))
            .with_context(|| format!("copying {}", from.display()))?;
    }
    let inputs = filled.path().join(INPUTS);
    std::fs::write(&inputs, &key.inputs)
        .with_context(|| format!("writing {}", inputs.display()))?;
    let folder = cache.store_kernel(filled, &key.digest)?;
    make::remove(&scratch)?;
    report::step(format_args!("built {title} in {}", make::minutes(started.elapsed())));
    Ok(folder)
}

/// Gives back the caller's umask when dropped.
struct Umask(Mode);

impl Umask {
    /// Files are made as most hosts make them, whatever the caller's umask.
    fn set() -> Self {
        Self(rustix::process::umask(Mode::from_raw_mode(0o022)))
    }
}

impl Drop for Umask {
    fn drop(&mut self) {
        rustix::process::umask(self.0);
    }
}
