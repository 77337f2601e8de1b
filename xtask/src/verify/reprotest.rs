//! Builds the initramfs again with Debian's `reprotest`, which also varies the order of directory
//! entries and the kernel version.

use std::{fs::File, path::Path};

use anyhow::{Context as _, Result};
use xshell::Shell;

use crate::{
    config::env::Settings,
    host::{arch::Arch, cmd, output, report},
    sources::SourceOptions,
    verify::{conditions, project_copy, twice::first_initramfs},
};

/// Builds the initramfs here, and again under `reprotest`. Fails if the two differ.
pub fn reprotest(arch: Arch, options: &SourceOptions) -> Result<()> {
    let (settings, image, options) = first_initramfs(arch, options)?;
    let directory = tempfile::tempdir().context("creating a directory for reprotest")?;
    let project = directory.path().join("project");
    project_copy::copy_project(&project)?;
    let artifact = Path::new("out").join(image.path.file_name().unwrap_or_default());
    // reprotest compares with the build that it finds here instead of a build without variations.
    let control = directory.path().join("control");
    output::publish(&image.path, &control.join("source-root").join(&artifact))?;
    let variations = variations()?;
    report::step(format_args!("running reprotest with the variations {variations}"));
    let shell = Shell::new()?;
    shell
        .cmd("reprotest")
        .args(["--no-diffoscope", "--min-cpus", "1", "--variations", &variations])
        .arg("--control-build")
        .arg(control)
        .arg("-s")
        .arg(&project)
        .arg(script(directory.path(), arch, &settings, &options)?)
        .arg(artifact)
        .quiet()
        .ignore_stdout()
        .run()
        .context("building again under reprotest")
}

/// All variations that this machine permits. rustc does not start under reprotest's libfaketime, so
/// the script varies the date. Another user would need sudo; `verify` without reprotest varies it.
fn variations() -> Result<String> {
    let has_fuse = File::options().read(true).write(true).open("/dev/fuse").is_ok();
    let mut variations = "+all,-time,-user_group".to_owned();
    for (name, is_possible) in [
        ("fileordering", has_fuse && cmd::find("disorderfs").is_some()),
        ("domain_host", conditions::can_change_host_name()?),
    ] {
        if !is_possible {
            report::warn(format_args!("reprotest cannot vary {name} on this machine"));
            variations = format!("{variations},-{name}");
        }
    }
    Ok(variations)
}

/// The build command that `reprotest` runs in its copy of the project.
fn script(
    directory: &Path,
    arch: Arch,
    settings: &Settings,
    options: &SourceOptions,
) -> Result<String> {
    let (cargo, target) = (directory.join("cargo"), directory.join("target"));
    std::fs::create_dir(&target).with_context(|| format!("creating {}", target.display()))?;
    let day = conditions::compile_day(directory)?;
    project_copy::write_on_another_day(&cargo, &cmd::cargo(), &day)?;
    let mut variables = project_copy::variables(settings)?;
    variables.push(("CARGO", cargo.into()));
    variables.push(("CARGO_HOME", project_copy::home_of("CARGO_HOME", ".cargo")?.into()));
    let mut words: Vec<String> =
        variables.iter().map(|(name, value)| format!("{name}={}", value.display())).collect();
    // The first build used every processor, and reprotest does not reduce their number.
    let [processor, _] = project_copy::allowed_processors()?;
    words.extend(["taskset".to_owned(), "-c".to_owned(), processor]);
    words.push(project_copy::copy_this_program(directory)?.display().to_string());
    words.extend(project_copy::arguments(arch, options)?);
    let words: Vec<String> = words.iter().map(|word| cmd::quoted(word)).collect();
    // cargo's output stays outside of disorderfs, which is slow.
    Ok(format!(
        "ln -s {} target && exec env CARGO_MANIFEST_DIR=\"$PWD/xtask\" {}",
        cmd::quoted(&target.display().to_string()),
        words.join(" ")
    ))
}
