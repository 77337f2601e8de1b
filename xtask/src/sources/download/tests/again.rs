//! Runs a test again in a process with other environment variables, whose output can be read.

use xshell::Shell;

/// Set in the second process.
const AGAIN: &str = "XTASK_TEST_AGAIN";

/// Runs `test`, a full name, in a process with these variables and no other proxies. It must pass;
/// returns its standard error.
pub fn run(test: &str, variables: &[(&str, &str)]) -> String {
    let shell = Shell::new().unwrap();
    let program = std::env::current_exe().unwrap();
    let mut again = shell.cmd(program).args(["--exact", test, "--nocapture"]).quiet();
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        again = again.env_remove(name).env_remove(name.to_ascii_uppercase());
    }
    let output =
        again.envs(variables.iter().copied()).env(AGAIN, "1").ignore_status().output().unwrap();
    let utf8 = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (result, errors) = (utf8(&output.stdout), utf8(&output.stderr));
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
