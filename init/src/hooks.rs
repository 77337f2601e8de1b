//! A site's own programs around an install, from `/etc/ocidd/hooks/` of an archive behind ours. What they are for is the site's business.
//!
//! | program | is run |
//! |---|---|
//! | `before` | before ocidd. When it fails nothing is installed, and the install counts as failed |
//! | `after` | after a successful install, before the machine reboots. That it fails is told and changes nothing |
//! | `failed` | after a failed install. `$1` is the exit code of ocidd, or of a `before` that failed: 128 and the signal when it was killed,
//! |          | 127 when it could not be started |
//!
//! Each is an executable file; a missing one is passed over. They are run with busybox's tools on the path, read from the active console,
//! and what they print goes to every console and to the kernel's log, as ocidd's lines do: one that begins with `<0>` to `<7>` has that
//! level. init waits for their end, however long that takes.

use crate::applets;
use crate::console::Console;
use crate::supervise;
use crate::supervise::Outcome;
use std::path::Path;

const FOLDER: &str = "/etc/ocidd/hooks";

/// When a hook is run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Hook {
    Before,
    After,
    Failed,
}

impl Hook {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
            Self::Failed => "failed",
        }
    }
}

/// Runs a hook to its end. None where the site has none.
pub(crate) fn run(hook: Hook, arguments: &[String], console: &Console) -> Option<Outcome> {
    run_in(Path::new(FOLDER), hook, arguments, console, || applets::install(console))
}

fn run_in(
    folder: &Path,
    hook: Hook,
    arguments: &[String],
    console: &Console,
    prepare: impl FnOnce(),
) -> Option<Outcome> {
    let program = folder.join(hook.name());
    // A link that leads nowhere is a hook, too: one that cannot be started.
    program.symlink_metadata().ok()?;
    prepare();
    let mut command = supervise::command(program, "dumb");
    let name = format!("the hook '{}'", hook.name());
    Some(supervise::run_relayed(name, command.args(arguments), console))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::tests::alone;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    fn folder_with(hook: &str, script: &str, mode: u32) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(hook);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        folder
    }

    fn run_hook(folder: &TempDir, hook: Hook, arguments: &[&str]) -> Option<Outcome> {
        let _alone = alone();
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let console = Console { device: "/dev/null".into(), ..Console::fallback() };
        run_in(folder.path(), hook, &arguments, &console, || {})
    }

    #[test]
    fn a_hook_gets_its_arguments_and_its_end_is_told() {
        let folder = folder_with("failed", "#!/bin/sh\necho \"$*\" > $0.out\nexit 3\n", 0o755);
        let outcome = run_hook(&folder, Hook::Failed, &["4"]).unwrap();
        assert_eq!(outcome.to_string(), "the hook 'failed' ended with exit code 3");
        assert_eq!(fs::read_to_string(folder.path().join("failed.out")).unwrap(), "4\n");
    }

    #[test]
    fn a_hook_that_succeeds_is_a_success() {
        let folder =
            folder_with("before", "#!/bin/sh\ntest -n \"$PATH$OCIDD_LINE_LEVELS\"\n", 0o755);
        assert!(run_hook(&folder, Hook::Before, &[]).unwrap().is_success());
    }

    #[test]
    fn a_missing_hook_is_passed_over_and_nothing_is_prepared() {
        let _alone = alone();
        let folder = tempfile::tempdir().unwrap();
        let console = Console::fallback();
        for folder in [folder.path(), &folder.path().join("nosuch")] {
            let unneeded = || panic!("prepared for nothing");
            assert!(run_in(folder, Hook::After, &[], &console, unneeded).is_none());
        }
    }

    #[test]
    fn a_hook_that_cannot_be_started_has_failed() {
        let folder = folder_with("before", "exit 0\n", 0o644);
        let text = run_hook(&folder, Hook::Before, &[]).unwrap().to_string();
        assert!(text.starts_with("the hook 'before' could not be started: starting /"), "{text}");
        symlink("nowhere", folder.path().join("after")).unwrap();
        let outcome = run_hook(&folder, Hook::After, &[]).unwrap();
        assert_eq!((outcome.is_success(), outcome.code()), (false, 127));
    }
}
