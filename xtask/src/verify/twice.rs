//! Builds a second time under other conditions and compares: the same inputs must give the same
//! bytes.

use anyhow::{Context as _, Result, bail};

use crate::{
    config,
    config::env::Settings,
    host::{arch::Arch, output, report, setup, setup::Need},
    initramfs,
    initramfs::Image,
    sources::{SourceOptions, Sources},
    verify::{
        conditions::Conditions,
        difference::{initramfs_difference, keep},
        project_copy,
    },
};

/// Builds the initramfs here, and again from a copy of the project. Fails if the two differ.
pub fn check_initramfs(arch: Arch, options: &SourceOptions) -> Result<()> {
    let (settings, image, options) = first_initramfs(arch, options)?;
    let first =
        std::fs::read(&image.path).with_context(|| format!("reading {}", image.path.display()))?;
    let second = rebuilt_initramfs(arch, &settings, &options)?;
    if let Some(difference) = initramfs_difference(&first, &second)? {
        let kept = keep(&format!("initramfs-{}", arch.oci()), &first, &second)?;
        bail!("two builds of the initramfs differ: {difference}; {kept}");
    }
    report::step(format_args!("both initramfs are the same bytes: {}", output::digest_of(&first)));
    Ok(())
}

/// Builds the initramfs here. Also returns settings and options for a second build of it.
pub fn first_initramfs(
    arch: Arch,
    options: &SourceOptions,
) -> Result<(Settings, Image, SourceOptions)> {
    let settings = Settings::read()?;
    setup::require(&[Need::Binaries, Need::Compiler(arch), Need::Test])?;
    let config = config::read_image_config(arch)?;
    let image = initramfs::build(arch, &config, &settings, &Sources::open(options)?)?;
    let options = SourceOptions { sources: Some(image.parts.set), ..options.clone() };
    Ok((settings, image, options))
}

/// Builds the initramfs in a copy of the project under other conditions. `out/` does not change.
pub fn rebuilt_initramfs(
    arch: Arch,
    settings: &Settings,
    options: &SourceOptions,
) -> Result<Vec<u8>> {
    let directory = tempfile::Builder::new()
        .prefix("ocidd again ")
        .tempdir()
        .context("creating a directory for another build")?;
    // LD_PRELOAD separates libraries by spaces, so this path must not contain one.
    let library = tempfile::tempdir().context("creating a directory for a library")?;
    let conditions = Conditions::detect(library.path())?;
    report::step(format_args!(
        "building the initramfs again in {}; changed: {}, number of processors",
        directory.path().display(),
        conditions.varied.join(", ")
    ));
    project_copy::build(directory.path(), arch, settings, options, &conditions)
        .context("building the initramfs a second time")
}
