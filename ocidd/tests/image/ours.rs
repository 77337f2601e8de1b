//! `ocidd image` as its authors run it: in a home of its own, with none of the variables of whoever runs the tests.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// What a run of a program ended with.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// An author: a home with a store and files, and options that each command gets.
pub(crate) struct Author {
    pub(crate) folder: TempDir,
    options: Vec<String>,
    variables: Vec<(String, String)>,
}

impl Author {
    /// One who talks plain HTTP.
    pub(crate) fn new() -> Self {
        Self::with(&["--plain-http"])
    }

    pub(crate) fn with(options: &[&str]) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            variables: Vec::new(),
        }
    }

    pub(crate) fn set(&mut self, variable: &str, value: impl Into<String>) {
        self.variables.push((variable.to_owned(), value.into()));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The store that is used where none is named.
    pub(crate) fn store(&self) -> PathBuf {
        self.path(".local/share/ocidd")
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn write_program(&self, name: &str, script: &str) {
        self.write(name, script);
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Runs `ocidd image` in the folder.
    pub(crate) fn run(&self, words: &[&str]) -> Ended {
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        self.run_other(
            Path::new(env!("CARGO_BIN_EXE_ocidd")),
            &[&["image"], &*options, words].concat(),
        )
    }

    /// Runs another program in the folder.
    pub(crate) fn run_other(&self, program: &Path, words: &[&str]) -> Ended {
        #[expect(clippy::disallowed_methods, reason = "the one place that starts programs")]
        let mut command = Command::new(program);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let command = command.env_clear().env("PATH", path).env("HOME", self.folder.path());
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        let output =
            command.envs(variables).current_dir(&self.folder).args(words).output().unwrap();
        Ended {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs a command that has to succeed. Gives its result.
    #[track_caller]
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let ended = self.run(words);
        assert_eq!(ended.code, 0, "{words:?}: {}", ended.stderr);
        ended.stdout
    }

    /// Runs a command that has to fail and to say this.
    #[track_caller]
    pub(crate) fn fails(&self, words: &[&str], says: &str) {
        let ended = self.run(words);
        assert_eq!(ended.code, 1, "{words:?}: {}{}", ended.stdout, ended.stderr);
        assert!(
            ended.stderr.contains(says),
            "{words:?}: the console\n{}\nlacks\n{says}",
            ended.stderr
        );
    }

    /// Pushes a file. Gives the digest of what the tag then leads to.
    #[track_caller]
    pub(crate) fn push(&self, words: &[&str]) -> String {
        let said = self.ok(&[&["push"], words].concat());
        let (target, digest) = said.trim().split_once('@').unwrap();
        assert_eq!(target, *words.last().unwrap());
        digest.to_owned()
    }

    /// The JSON that a command prints.
    #[track_caller]
    pub(crate) fn json(&self, words: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.ok(words)).unwrap()
    }
}
