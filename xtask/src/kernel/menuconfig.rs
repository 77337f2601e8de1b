//! Lets a person change a kernel's configuration in one of the kernel's own menus. Goes in: what a build would take, and the menu. Comes out: the
//! options changed, as few as give the same configuration again. It builds no kernel and leaves none of the project's files changed.

mod changes;

use crate::cmd;
use crate::kernel;
use crate::kernel::KernelRequest;
use crate::kernel::Plan;
use crate::kernel::configure;
use crate::kernel::make::Make;
use crate::kernel::menuconfig::changes::Setting;
use crate::kernel::menuconfig::changes::State;
use crate::kernel::options;
use crate::kernel::workbench::Workbench;
use crate::report;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use std::process::Stdio;

/// What a menu takes from its surroundings: how the terminal is drawn on. Nothing of it reaches the configuration.
const TERMINAL: [&str; 5] = ["TERM", "LANG", "LC_CTYPE", "MENUCONFIG_COLOR", "MENUCONFIG_MODE"];

/// How often what was missing from the fragment is added and tried again. Once is enough as a rule.
const ROUNDS: usize = 3;

/// What a person did in the menu.
#[derive(Clone, Debug)]
pub struct Edited {
    /// The lines of the fragment, in the order of the menu. Empty where nothing was changed.
    pub fragment: String,
    /// What the user should know of them, a line each.
    pub doubts: Vec<String>,
}

/// Configures as a build of `request` would, runs the kernel's make target `menu`, and finds what it changed.
pub fn edit(request: &KernelRequest<'_>, menu: &str) -> Result<Edited> {
    let configuring =
        || format!("configuring the kernel for {}, profile {}", request.arch, request.profile);
    let plan = kernel::plan(request).with_context(configuring)?;
    let bench = Workbench::unpack(&plan.source, request.sources.cache())?;
    let make = bench.place(&plan)?;
    configure::configure(&plan, &make).with_context(configuring)?;
    let before = state(&make)?;
    show(&make, menu)?;
    // A menu writes what it showed; this settles what it left open.
    make.make("olddefconfig", &[], "configuring")?;
    let after = state(&make)?;
    let wanted = [plan.fragments.as_slice(), plan.word_options.as_slice()].concat();
    let mut settings = changes::changes(&before, &after, &wanted);
    let mut doubts = changes::modules(&settings);
    if !settings.is_empty() {
        report::step("trying the changes");
        doubts.extend(settle(&plan, &bench, &after, &mut settings));
    }
    Ok(Edited { fragment: changes::fragment(&settings), doubts })
}

/// Runs the menu on the user's terminal.
fn show(make: &Make<'_>, menu: &str) -> Result<()> {
    let mut command = cmd::clean_env(make.call()).arg("--silent").arg(menu);
    for name in TERMINAL {
        if let Some(value) = std::env::var_os(name) {
            command = command.env(name, value);
        }
    }
    let running = || format!("running the kernel's {menu}");
    // Its input is the user's too, which xshell would close.
    let mut shown = cmd::Background::start(command, |command| {
        command.stdin(Stdio::inherit());
    })
    .with_context(running)?;
    let status = shown.child.wait().with_context(running)?;
    if !status.success() {
        bail!("the kernel's {menu} ended with {status}, and nothing of what was changed is kept");
    }
    Ok(())
}

fn state(make: &Make<'_>) -> Result<State> {
    make.make("savedefconfig", &[], "configuring")?;
    let read = |name: &str| {
        let path = make.build.join(name);
        std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    };
    State::new(&read(".config")?, &read("defconfig")?)
}

/// Lays the fragment over the profile as a build would, and adds to it what that does not give. What is left is told, since what a person did in
/// the menu should not be lost for it.
fn settle(
    plan: &Plan<'_>,
    bench: &Workbench,
    after: &State,
    settings: &mut Vec<Setting>,
) -> Vec<String> {
    for _round in 0..ROUNDS {
        let found = match applied(plan, bench, settings) {
            Ok(found) => found,
            Err(error) => return vec![format!("the profile refuses these changes: {error:#}")],
        };
        let missing = changes::missing(&found, after);
        let more: Vec<_> = missing
            .iter()
            .filter(|(setting, _)| !settings.contains(setting))
            .map(|(setting, _)| setting.clone())
            .collect();
        if more.is_empty() {
            let tell = |(setting, found): &(Setting, String)| {
                format!("the menu had '{setting}', and a build would have '{found}'")
            };
            return missing.iter().map(tell).collect();
        }
        settings.extend(more);
    }
    vec![format!("after {ROUNDS} rounds the changes still do not give what the menu had")]
}

/// The configuration of a build with `settings` in a fragment of its own, behind the profile's.
fn applied(plan: &Plan<'_>, bench: &Workbench, settings: &[Setting]) -> Result<State> {
    let mut fragments = plan.fragments.clone();
    fragments.extend(options::parse_fragment("the menu", &changes::fragment(settings))?);
    let plan = Plan { fragments, ..plan.clone() };
    let make = bench.place(&plan)?;
    configure::configure(&plan, &make)?;
    state(&make)
}
