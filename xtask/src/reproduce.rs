//! Checks the claim that the same inputs give the same bytes: builds a second time with everything varied that must not matter, and compares.
//! Goes in: what to build. Comes out: nothing, or the first difference: an entry of the initramfs, a part of the kernel.

mod conditions;
mod content;
mod difference;
mod elsewhere;
mod evidence;
mod kernel;
mod objects;
mod reprotest;

pub use content::difference as content_difference;
pub use difference::packed as initramfs_difference;
pub use evidence::keep;
pub use kernel::First;
pub use kernel::check_kernel;
pub use kernel::rebuilt as rebuilt_kernel;
pub use reprotest::reprotest;
pub use reprotest::reprotest_kernel;

use crate::arch::Arch;
use crate::build_initramfs;
use crate::config;
use crate::env::Settings;
use crate::output;
use crate::report;
use crate::reproduce::conditions::Conditions;
use crate::reproduce::elsewhere::Elsewhere;
use crate::setup;
use crate::setup::Need;
use crate::sources::SourceOptions;
use crate::sources::Sources;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use std::time::Instant;

/// Builds the initramfs here, and again from a copy elsewhere; fails where the two differ.
pub fn check(arch: Arch, options: &SourceOptions) -> Result<()> {
    let config = config::read_image_config(arch)?;
    let settings = Settings::read()?;
    setup::require(&[Need::Binaries, Need::Compiler(arch), Need::Test])?;
    let started = Instant::now();
    let image = build_initramfs::build(arch, &config, &settings, &Sources::open(options)?)?;
    let first =
        std::fs::read(&image.path).with_context(|| format!("reading {}", image.path.display()))?;
    let first_took = crate::kernel::minutes(started.elapsed());

    let started = Instant::now();
    let options = SourceOptions { sources: Some(image.parts.set), ..options.clone() };
    let second = rebuilt_initramfs(arch, &settings, &options)?;
    let Some(difference) = difference::packed(&first, &second)? else {
        report::step(format_args!(
            "both initramfs are the same bytes: {}; the first took {first_took}, the second {}",
            output::digest_of(&first),
            crate::kernel::minutes(started.elapsed())
        ));
        return Ok(());
    };
    let kept = keep(&format!("initramfs-{}", arch.oci()), &first, &second)?;
    bail!("two builds of the initramfs differ: {difference}; {kept}")
}

/// An initramfs that is built elsewhere under other conditions, and never comes to `out/`.
pub fn rebuilt_initramfs(
    arch: Arch,
    settings: &Settings,
    options: &SourceOptions,
) -> Result<Vec<u8>> {
    let folder = tempfile::Builder::new()
        .prefix("ocidd again ")
        .tempdir()
        .context("making a folder for another build")?;
    let elsewhere = Elsewhere::new(folder.path())?;
    // Through the library's path no space may come: LD_PRELOAD ends at it.
    let library = tempfile::tempdir().context("making a folder for a library")?;
    let conditions = Conditions::other(library.path())?;
    report::step(format_args!(
        "building the initramfs again in {}; other than before: {}",
        folder.path().display(),
        conditions.told("number of processors")
    ));
    elsewhere
        .build(arch, settings, options, &conditions)
        .context("building the initramfs a second time")
}
