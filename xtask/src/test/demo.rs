//! `cargo xtask demo`: installs from a local registry in QEMU on this terminal and boots the
//! result.

use std::fs;

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

use crate::{
    build,
    build::Wanted,
    config::Profile,
    host::{
        arch::{Arch, ArchOption, Archs},
        project, report, setup,
        setup::Need,
    },
    sources::SourceOptions,
    testbed::{
        qemu,
        qemu::{Boot, Hardware, Machine},
        registry::{Registry, Serve},
        sample,
    },
};

/// Install a small system in QEMU from a local registry, and boot it
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask demo                   unattended\n  \
    cargo xtask demo --ask             the installer asks for image and disk\n\n\
    The guest's console is your terminal. Ctrl-C ends everything.")]
pub struct Args {
    /// Let the installer ask for image and disk
    #[arg(long)]
    ask: bool,
    /// Kernel to boot
    #[arg(long, value_enum, default_value = "default")]
    profile: Profile,
    #[command(flatten)]
    sources: SourceOptions,
}

/// The image contains a PC boot sector.
const ARCH: Arch = Arch::X86_64;
const GREETING: &str =
    "\r\n*** Hello! This disk was installed by ocidd and has just booted. ***\r\n\r\n";
const IMAGE_BYTES: usize = 64 << 20;

pub fn run(args: &Args) -> Result<()> {
    setup::require(&[Need::Boot])?;
    let wanted = Wanted {
        arch: ArchOption { arch: Some(Archs::X86_64) },
        profile: args.profile,
        sources: args.sources.clone(),
    };
    let built = build::build(&wanted)?.pop().context("nothing was built")?;
    let registry = Registry::start(Serve::Plain)?;
    let image = sample::greeting_image(GREETING, IMAGE_BYTES);
    let digest = registry.push_disk("demo/os:1", &sample::gzip(&image)?)?;
    report::step(format_args!(
        "pushed a disk image of {} MiB as {}/demo/os:1, layer {digest}",
        IMAGE_BYTES >> 20,
        registry.local()
    ));

    fs::create_dir_all(project::logs()).context("creating a directory for the demo's disk")?;
    let disk = project::logs().join("demo.raw");
    sample::write_used_disk(&disk, 2 * IMAGE_BYTES)?;
    let reference = format!("{}/demo/os:1", registry.guest());
    let parameters = if args.ask {
        report::step(format_args!("when it asks for the image, type {reference}"));
        "quiet oci.allow_no_tls".to_owned()
    } else {
        format!("quiet oci.tag={reference} oci.allow_no_tls dd.of=/dev/vda dd.bs=1M")
    };
    report::step("booting the installer");
    let (kernel, initramfs) = (&built.kernel, &built.initramfs);
    let boot = Boot::Installer { kernel, initramfs, parameters: &parameters };
    let hardware = Hardware { drives: &[(disk.as_path(), None)], ..Hardware::default() };
    show(&Machine { arch: ARCH, boot, hardware })?;
    sample::verify_disk(&disk, sample::Expected::Installed(&image))
        .context("comparing the disk with the image")?;
    report::step("the disk is identical to the image; booting it");
    show(&Machine { arch: ARCH, boot: Boot::Disk, hardware })?;
    fs::remove_file(&disk).context("removing the demo's disk")
}

/// Runs a machine on this terminal until it ends.
fn show(machine: &Machine<'_>) -> Result<()> {
    let shell = Shell::new()?;
    let (program, words) = (qemu::program(machine.arch), machine.command_line());
    let status = std::process::Command::from(cmd!(shell, "{program} {words...}"))
        .status()
        .context("starting QEMU")?;
    anyhow::ensure!(status.success(), "QEMU ended with {status}");
    Ok(())
}
