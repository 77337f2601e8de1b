//! Runs `xtask cache` as people do, with an environment of its own.

#![expect(
    clippy::unwrap_used,
    reason = "clippy takes only what stands in a test function for a test"
)]

use std::path::Path;
use tempfile::TempDir;
use xshell::Shell;

/// What `xtask cache` printed, or complained of.
fn cache(arguments: &[&str], environment: &[(&str, &Path)]) -> Result<String, String> {
    let shell = Shell::new().unwrap();
    let mut command =
        shell.cmd(env!("CARGO_BIN_EXE_xtask")).arg("cache").args(arguments).env_clear();
    for (name, value) in environment {
        command = command.env(name, value);
    }
    let output = command.quiet().ignore_status().output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[test]
fn xdg_cache_home_says_where_it_lies() {
    let home = TempDir::new().unwrap();
    let (home, xdg) = (home.path(), home.path().join("elsewhere"));
    let below_home = home.join(".cache/ocidd");
    for (environment, wanted) in [
        (&[("HOME", home)][..], &below_home),
        (&[("HOME", home), ("XDG_CACHE_HOME", &xdg)], &xdg.join("ocidd")),
        (&[("XDG_CACHE_HOME", &xdg)], &xdg.join("ocidd")),
        // A relative value is none.
        (&[("HOME", home), ("XDG_CACHE_HOME", Path::new("elsewhere"))], &below_home),
        (&[("HOME", home), ("XDG_CACHE_HOME", Path::new(""))], &below_home),
    ] {
        let said = cache(&["ls"], environment).unwrap();
        assert_eq!(said, format!("{}\nnothing is in it\n", wanted.display()), "{environment:?}");
    }
    let said = cache(&["ls"], &[("XDG_CACHE_HOME", Path::new("elsewhere"))]).unwrap_err();
    assert!(said.contains("hint: set XDG_CACHE_HOME"), "{said}");
    assert_eq!(std::fs::read_dir(home).unwrap().count(), 0, "a look made something");
}

#[test]
fn what_is_named_goes_and_nothing_foreign() {
    let home = TempDir::new().unwrap();
    let environment = [("XDG_CACHE_HOME", home.path())];
    let root = home.path().join("ocidd");
    let put = |path: &str| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "1234").unwrap();
        path
    };
    let (first, second) = ("ab".repeat(32), "ac".repeat(32));
    let one = put(&format!("sources/sha256/{first}/one.txt"));
    let two = put(&format!("sources/sha256/{second}/two.txt"));
    let kernel = put(&format!("kernels/{first}/image"));
    let scratch = put("build/source/Makefile");
    let foreign = put("notes.txt");

    let said = cache(&["ls", "--full"], &environment).unwrap();
    assert!(said.contains(&first) && said.contains("one.txt") && !said.contains("notes"), "{said}");
    let said = cache(&["rm", "a"], &environment).unwrap_err();
    assert!(said.contains(&first) && said.contains(&second), "{said}");
    let said = cache(&["rm", "tow.txt"], &environment).unwrap_err();
    assert!(said.contains("did you mean 'two.txt'?"), "{said}");
    let said = cache(&["gc", "--dry-run"], &environment).unwrap();
    assert!(said.contains("would remove scratch build") && scratch.exists(), "{said}");

    cache(&["gc"], &environment).unwrap();
    assert!(!scratch.exists() && one.exists() && two.exists());
    let said = cache(&["rm", "ac"], &environment).unwrap();
    assert!(said.contains("freed 4 bytes") && one.exists() && !two.exists(), "{said}");
    cache(&["rm", "--all"], &environment).unwrap();
    assert!(!one.exists() && !kernel.exists() && foreign.exists());
    cache(&["rm"], &environment).unwrap_err();
}
