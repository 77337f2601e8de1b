//! The tools of busybox as programs on the path: links in `/bin`, made when something first needs them. Runs none of the tools.

use crate::console::Console;
use crate::report;
use crate::supervise;

pub(crate) const BUSYBOX: &str = "/bin/busybox";

/// Links the applets into `/bin`. Those that are there stay; a fault is told, for what needs them may get along without.
pub(crate) fn install(console: &Console) {
    let mut command = supervise::command(BUSYBOX, "dumb");
    let outcome =
        supervise::run_relayed("busybox", command.args(["--install", "-s", "/bin"]), console);
    if !outcome.is_success() {
        report::warn(format_args!("linking the tools of busybox: {outcome}"));
    }
}
