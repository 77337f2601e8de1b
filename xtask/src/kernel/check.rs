//! Checks that every profile can be configured for every architecture as its fragments ask, without building anything. The kernel drops, without
//! a word, what it does not know and what lacks something; a build would only tell of the profile that it builds.

use crate::arch::Arch;
use crate::config;
use crate::config::Profile;
use crate::env::Settings;
use crate::kernel;
use crate::kernel::KernelRequest;
use crate::kernel::configure;
use crate::kernel::workbench::Workbench;
use crate::report;
use crate::setup;
use crate::setup::Need;
use crate::sources::SourceOptions;
use crate::sources::Sources;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;

/// Configures all of them out of one unpacked source, and fails where the kernel dropped an option of any, naming every one.
pub fn check_configurations(options: &SourceOptions) -> Result<()> {
    let config = config::read_kernel_config()?;
    let settings = Settings::read()?;
    let compilers = Arch::ALL.map(Need::Compiler);
    setup::require(&[&[Need::Kernel][..], &compilers].concat())?;
    let sources = Sources::open(options)?;
    let mut faults = Vec::new();
    let mut bench = None;
    for arch in Arch::ALL {
        for profile in Profile::ALL {
            let request = KernelRequest {
                arch,
                profile,
                sources: &sources,
                settings: &settings,
                config: &config,
            };
            match check(&request, &mut bench) {
                Ok(count) => report::result(format_args!(
                    "test kernel::config::{arch}_{profile} ... ok ({count} options)"
                )),
                Err(fault) => {
                    report::result(format_args!(
                        "test kernel::config::{arch}_{profile} ... FAILED"
                    ));
                    faults.push(format!("{fault:#}"));
                }
            }
        }
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(())
}

/// Configures one kernel as its build would. How many options were asked for, all of which it has.
fn check(request: &KernelRequest<'_>, bench: &mut Option<Workbench>) -> Result<usize> {
    let KernelRequest { arch, profile, .. } = request;
    let configuring = || format!("configuring the kernel for {arch}, profile {profile}");
    let plan = kernel::plan(request).with_context(configuring)?;
    // All of them have the same source.
    let bench = match bench {
        Some(bench) => bench,
        None => bench.insert(Workbench::unpack(&plan.source, request.sources.cache())?),
    };
    configure::configure(&plan, &bench.place(&plan)?).with_context(configuring)
}
