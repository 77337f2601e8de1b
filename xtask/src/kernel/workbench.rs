//! A kernel's source unpacked for configuring and nothing else: by the menu, and by the check of every profile. It lies in a temporary folder of
//! the cache and vanishes when dropped, so that it is in the way of no build, and no build in its own.

use crate::cache::Cache;
use crate::kernel::Plan;
use crate::kernel::make::Make;
use crate::kernel::make::Place;
use crate::kernel::make::Surroundings;
use crate::kernel::unpack;
use crate::project;
use crate::report;
use crate::sources::Source;
use anyhow::Context as _;
use anyhow::Result;
use tempfile::TempDir;

#[derive(Debug)]
pub(super) struct Workbench {
    folder: TempDir,
}

impl Workbench {
    pub(super) fn unpack(source: &Source, cache: &Cache) -> Result<Self> {
        let bench = Self { folder: cache.temporary_folder()? };
        report::step(format_args!("unpacking the source of linux {}", source.version));
        unpack::unpack(source, &bench.make_folder("source")?)?;
        Ok(bench)
    }

    /// A place to configure in. One after the other: all of them share the tools that the kernel builds for it, which costs the most time.
    pub(super) fn place<'a>(&self, plan: &'a Plan<'a>) -> Result<Make<'a>> {
        let log = project::logs().join(format!("kernel-config-{}-{}.log", plan.arch, plan.profile));
        let (source, objects) = (self.make_folder("source")?, self.make_folder("objects")?);
        for name in [".config", ".config.old", "given.config", "defconfig"] {
            let path = objects.join(name);
            if path.exists() {
                std::fs::remove_file(&path)
                    .with_context(|| format!("removing {}", path.display()))?;
            }
        }
        let surroundings = Surroundings::default();
        Make::new(plan, Place { source, objects, log, compiler_cache: None, surroundings })
    }

    fn make_folder(&self, name: &str) -> Result<std::path::PathBuf> {
        let folder = self.folder.path().join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(folder)
    }
}
