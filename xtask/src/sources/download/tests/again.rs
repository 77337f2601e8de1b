//! Runs a test of this program once more, in a process with another environment: variables are read where they count, and what is told can be read.

use xshell::Shell;

/// Set in the second process.
const AGAIN: &str = "XTASK_TEST_AGAIN";

/// What `test`, a full name, printed on standard error in a process with these variables and no proxies but theirs. It has to pass there.
pub fn run(test: &str, variables: &[(&str, &str)]) -> String {
    let shell = Shell::new().unwrap();
    let program = std::env::current_exe().unwrap();
    let mut again = shell.cmd(program).args(["--exact", test, "--nocapture"]).quiet();
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        again = again.env_remove(name).env_remove(name.to_ascii_uppercase());
    }
    let output =
        again.envs(variables.iter().copied()).env(AGAIN, "1").ignore_status().output().unwrap();
    let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (result, errors) = (told(&output.stdout), told(&output.stderr));
    assert!(
        output.status.success() && result.contains(" 1 passed"),
        "{test} in another process: {result}\n{errors}"
    );
    errors
}

/// Whether this is the second process.
pub fn is_second() -> bool {
    std::env::var_os(AGAIN).is_some()
}

/// A variable that the first process has set for the second.
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap()
}
