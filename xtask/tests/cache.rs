//! Runs `xtask cache prune` with an environment of its own.

#![expect(clippy::unwrap_used, reason = "clippy allows it only in test functions")]

use std::{path::Path, time::Duration};

use tempfile::TempDir;
use xshell::Shell;

/// Standard output, or standard error after a failure.
fn prune(arguments: &[&str], environment: &[(&str, &Path)]) -> Result<String, String> {
    let shell = Shell::new().unwrap();
    let mut command =
        shell.cmd(env!("CARGO_BIN_EXE_xtask")).args(["cache", "prune"]).args(arguments).env_clear();
    for (name, value) in environment {
        command = command.env(name, value);
    }
    let output = command.quiet().ignore_status().output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Writes a file of 4 bytes that was last used so many days ago.
fn write(path: &Path, days: u64) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, "1234").unwrap();
    let file = std::fs::File::open(path).unwrap();
    let now = file.metadata().unwrap().modified().unwrap();
    file.set_modified(now - Duration::from_hours(24 * days)).unwrap();
}

#[test]
fn finds_the_cache_by_xdg_cache_home_or_home() {
    let (home, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (home, xdg) = (home.path(), elsewhere.path());
    let below_home = home.join(".cache");
    for (environment, wanted) in [
        (&[("HOME", home)][..], below_home.as_path()),
        (&[("HOME", home), ("XDG_CACHE_HOME", xdg)], xdg),
        (&[("XDG_CACHE_HOME", xdg)], xdg),
        // Relative values are ignored.
        (&[("HOME", home), ("XDG_CACHE_HOME", Path::new("elsewhere"))], &below_home),
        (&[("HOME", home), ("XDG_CACHE_HOME", Path::new(""))], &below_home),
    ] {
        let scratch = wanted.join("ocidd/build/Makefile");
        write(&scratch, 0);
        let printed = prune(&[], environment).unwrap();
        assert_eq!(printed, "removed build: 4 bytes\nfreed 4 bytes\n", "{environment:?}");
        assert!(!scratch.exists(), "{environment:?}");
    }
    let error = prune(&[], &[("XDG_CACHE_HOME", Path::new("elsewhere"))]).unwrap_err();
    assert!(error.contains("hint: set XDG_CACHE_HOME"), "{error}");
}

#[test]
fn removes_old_entries_and_nothing_foreign() {
    let home = TempDir::new().unwrap();
    let environment = [("XDG_CACHE_HOME", home.path())];
    let root = home.path().join("ocidd");
    let (first, second) = ("ab".repeat(32), "ac".repeat(32));
    let old = root.join(format!("sources/sha256/{first}/old.txt"));
    let new = root.join(format!("sources/sha256/{second}/new.txt"));
    let (scratch, foreign) = (root.join("build/source/Makefile"), root.join("notes.txt"));
    for (path, days) in [(&old, 40), (&new, 20), (&scratch, 0), (&foreign, 400)] {
        write(path, days);
    }

    let printed = prune(&["--older-than", "50"], &environment).unwrap();
    assert!(!scratch.exists() && old.exists() && new.exists(), "{printed}");
    let printed = prune(&[], &environment).unwrap();
    let line = format!("removed sources/sha256/{first}/old.txt: 4 bytes\nfreed 4 bytes\n");
    assert_eq!(printed, line);
    assert!(!old.parent().unwrap().exists() && new.exists());
    prune(&["--older-than", "0"], &environment).unwrap();
    assert!(!new.exists() && foreign.exists());
    prune(&["--older-than", "-1"], &environment).unwrap_err();
}
