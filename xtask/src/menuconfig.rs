//! `cargo xtask menuconfig`: the kernel's own menu of its options, begun where a build would begin. What was changed there comes out as a fragment.

use crate::arch::Arch;
use crate::config;
use crate::config::Profile;
use crate::env::Settings;
use crate::kernel;
use crate::kernel::KernelRequest;
use crate::output;
use crate::project;
use crate::report;
use crate::setup;
use crate::setup::Need;
use crate::sources::SourceOptions;
use crate::sources::Sources;
use anyhow::Result;
use anyhow::bail;
use std::io::IsTerminal as _;
use std::path::PathBuf;

/// The menu that the kernel opens where nothing else is said.
const MENU: &str = "menuconfig";

/// Change the kernel's options in its own menu
///
/// Opens the menu with the configuration of a profile, as a build would make it. What was changed there is printed as lines of a fragment,
/// without what follows from it by the kernel's own rules, and was tried: laid over the profile, the lines give what the menu showed.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask menuconfig --profile hw
      See what the kernel for real servers has, and change it. Save in the menu before leaving it
  cargo xtask menuconfig --arch arm64 --output my.config
      Write the lines where you want them. They may go into kernel/*.config, each with its reason above it
  cargo xtask menuconfig --with nconfig
      With another of the kernel's menus")]
pub struct Args {
    /// The machine to configure for [default: this one's]
    #[arg(long)]
    arch: Option<Arch>,
    /// Which configuration of kernel/kernel.toml to begin with
    #[arg(long, value_enum, default_value = "default")]
    profile: Profile,
    /// Where to write the changes [default: target/xtask/menuconfig-ARCH-PROFILE.config]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The kernel's make target that does the changing
    #[arg(long, value_name = "TARGET", default_value = MENU, value_parser = config_target)]
    with: String,
    #[command(flatten)]
    sources: SourceOptions,
}

/// A make target that leaves a configuration behind; no other would end as a menu does.
fn config_target(target: &str) -> Result<String, String> {
    let is_word =
        target.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
    if is_word && target.ends_with("config") {
        return Ok(target.to_owned());
    }
    Err("wanted is a target like menuconfig or nconfig".to_owned())
}

pub fn run(args: &Args) -> Result<()> {
    let (arch, profile) = (Arch::or_host(args.arch)?, args.profile);
    let config = config::read_kernel_config()?;
    let settings = Settings::read()?;
    let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if args.with == MENU && !is_terminal {
        bail!(
            "the menu needs a terminal  hint: for use in scripts there is KERNEL_CONFIG, see .env.example"
        );
    }
    setup::require(&[Need::Kernel, Need::Compiler(arch), Need::Menuconfig])?;
    let sources = Sources::open(&args.sources)?;
    let request =
        KernelRequest { arch, profile, sources: &sources, settings: &settings, config: &config };
    let edited = kernel::edit(&request, &args.with)?;
    if edited.fragment.is_empty() {
        report::step("nothing was changed");
        return Ok(());
    }
    let place = args
        .output
        .clone()
        .unwrap_or_else(|| project::logs().join(format!("menuconfig-{arch}-{profile}.config")));
    let header = format!("# Changed in the kernel's menu, for {arch} and profile {profile}.\n");
    output::write(&place, format!("{header}{}\n", edited.fragment).as_bytes())?;
    report::result(&edited.fragment);
    report::step(format_args!(
        "written to {}; a fragment of kernel/kernel.toml takes these lines, each with its reason above it",
        place.display()
    ));
    for doubt in &edited.doubts {
        report::warn(doubt);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_targets_that_configure_and_nothing_else() {
        for (target, good) in [
            ("menuconfig", true),
            ("nconfig", true),
            ("olddefconfig", true),
            ("kvm_guest.config", true),
            ("bzImage", false),
            ("", false),
            ("-f/tmp/Makefile config", false),
            ("O=/tmp/config", false),
        ] {
            assert_eq!(config_target(target).is_ok(), good, "{target}");
        }
    }
}
