//! Programs of a site that run before and after an install: executable files in `/etc/ocidd/hooks`.
//!
//! They run without a time limit, with busybox's applets in `PATH`. They read from the active
//! console; their output is relayed like that of ocidd.

use std::path::Path;

use crate::{console::Console, shell, supervise, supervise::Outcome};

const FOLDER: &str = "/etc/ocidd/hooks";

/// Runs before ocidd. If it fails, ocidd does not run and the install has failed.
pub(crate) const BEFORE: &str = "before";
/// Runs after a successful install. A failure is only reported.
pub(crate) const AFTER: &str = "after";
/// Runs after a failed install. `$1` is the exit code of ocidd or of `before`, like in a shell.
pub(crate) const FAILED: &str = "failed";

/// Runs a hook, if the site has it.
pub(crate) fn run(hook: &str, arguments: &[String], console: &Console) -> Option<Outcome> {
    run_in(Path::new(FOLDER), hook, arguments, console, || shell::install_applets(console))
}

fn run_in(
    folder: &Path,
    hook: &str,
    arguments: &[String],
    console: &Console,
    prepare: impl FnOnce(),
) -> Option<Outcome> {
    let program = folder.join(hook);
    // A dangling link is a hook that cannot be started.
    program.symlink_metadata().ok()?;
    prepare();
    let mut command = supervise::command(program, "dumb");
    let name = format!("the hook '{hook}'");
    Some(supervise::run_relayed(name, command.args(arguments), console))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use tempfile::TempDir;

    use super::*;
    use crate::supervise::tests::alone;

    fn folder_with(hook: &str, script: &str, mode: u32) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(hook);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        folder
    }

    fn run_hook(folder: &TempDir, hook: &str, arguments: &[&str]) -> Option<Outcome> {
        let _alone = alone();
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let console = Console { device: "/dev/null".into(), ..Console::fallback() };
        run_in(folder.path(), hook, &arguments, &console, || {})
    }

    #[test]
    fn passes_arguments_and_reports_the_exit_code() {
        let folder = folder_with("failed", "#!/bin/sh\necho \"$*\" > $0.out\nexit 3\n", 0o755);
        let outcome = run_hook(&folder, FAILED, &["4"]).unwrap();
        assert_eq!(outcome.to_string(), "the hook 'failed' ended with exit code 3");
        assert_eq!(fs::read_to_string(folder.path().join("failed.out")).unwrap(), "4\n");
    }

    #[test]
    fn reports_success() {
        let folder =
            folder_with("before", "#!/bin/sh\ntest -n \"$PATH$OCIDD_LINE_LEVELS\"\n", 0o755);
        assert!(run_hook(&folder, BEFORE, &[]).unwrap().is_success());
    }

    #[test]
    fn ignores_a_missing_hook_and_prepares_nothing() {
        let _alone = alone();
        let folder = tempfile::tempdir().unwrap();
        let console = Console::fallback();
        for folder in [folder.path(), &folder.path().join("nosuch")] {
            let unneeded = || panic!("prepared for nothing");
            assert!(run_in(folder, AFTER, &[], &console, unneeded).is_none());
        }
    }

    #[test]
    fn a_hook_that_cannot_be_started_has_failed() {
        let folder = folder_with("before", "exit 0\n", 0o644);
        let text = run_hook(&folder, BEFORE, &[]).unwrap().to_string();
        assert!(text.starts_with("the hook 'before' could not be started: starting /"), "{text}");
        symlink("nowhere", folder.path().join("after")).unwrap();
        let outcome = run_hook(&folder, AFTER, &[]).unwrap();
        assert_eq!((outcome.is_success(), outcome.code()), (false, 127));
    }
}
