//! A real registry and other people's programs, as `cargo xtask setup` installs them.

mod copies;
mod cuts;
mod images;
mod installs;
mod logins;
mod pages;
mod platforms;
mod skopeo;
mod story;
mod ways;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::ours::{Author, Ended};

/// `tester` and `not-a-secret`, as bcrypt at the least cost, which every request pays: the only kind of hash that the server takes.
const HTPASSWD: &str = "tester:$2b$05$ocidd.lab.login.fixedu.uJEoTEbwbBzMkWsvrfgO6LMtVYWURK\n";
/// The same as docker's configuration file has it.
const LOGIN: &str = "dGVzdGVyOm5vdC1hLXNlY3JldA==";

/// Where a program is, under the first of its names that is known.
fn find(names: &[&str]) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut places = names.iter().flat_map(|name| folders.iter().map(move |f| f.join(name)));
    places.find(|place| place.is_file()).unwrap_or_else(|| {
        panic!("this machine has no {}; hint: cargo xtask setup", names.join(" or "))
    })
}

/// How a registry is spoken to.
enum Serve<'a> {
    Plain,
    /// Nothing without the login.
    Private,
    /// With this certificate and this key.
    Tls(&'a Path, &'a Path),
}

/// A registry that runs until it is dropped, and forgets everything then.
struct Registry {
    /// `host:port`, as in references.
    address: String,
    child: Child,
    _folder: TempDir,
}

impl Registry {
    fn start(serve: &Serve<'_>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let htpasswd = folder.path().join("htpasswd");
        fs::write(&htpasswd, HTPASSWD).unwrap();
        let none = serde_json::json!({});
        let (auth, tls) = match serve {
            Serve::Plain => (none.clone(), none),
            Serve::Private => {
                (serde_json::json!({ "htpasswd": { "realm": "tests", "path": htpasswd } }), none)
            }
            Serve::Tls(certificate, key) => {
                (none, serde_json::json!({ "certificate": certificate, "key": key }))
            }
        };
        // YAML takes JSON as it is. The system chooses a free port.
        let config = serde_json::json!({
            "version": 0.1,
            "log": { "level": "info" },
            "storage": {
                "filesystem": { "rootdirectory": folder.path().join("data") },
                "delete": { "enabled": true },
            },
            "http": { "addr": "127.0.0.1:0", "tls": tls },
            "auth": auth,
        });
        let path = folder.path().join("config.yml");
        fs::write(&path, config.to_string()).unwrap();
        // Debian's name for the program, and its makers'.
        let program = find(&["docker-registry", "registry"]);
        #[expect(clippy::disallowed_methods, reason = "the one place that starts a server")]
        let mut command = Command::new(program);
        let command = command.env_clear().arg("serve").arg(path);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut seen = String::new();
        let address = loop {
            assert!(log.read_line(&mut seen).unwrap() > 0, "the registry has ended: {seen}");
            if let Some((_, rest)) = seen.split_once("listening on ") {
                let end = rest.find([',', '"']).unwrap_or(rest.len());
                break rest[..end].trim().to_owned();
            }
        };
        // It would stand still in front of a full pipe.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { address, child, _folder: folder }
    }

    fn reference(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A registry that lets everybody in over plain HTTP, and somebody who uses it.
fn scene() -> (Registry, Author) {
    (Registry::start(&Serve::Plain), Author::new())
}

/// Runs one of those programs in the author's folder; it has to succeed.
#[track_caller]
fn other(author: &Author, name: &str, words: &[&str]) -> String {
    let Ended { code, stdout, stderr } = author.run_other(&find(&[name]), words);
    assert_eq!(code, 0, "{name} {words:?}: {stderr}");
    stdout
}

/// `skopeo`, which asks nobody for a policy here.
#[track_caller]
fn skopeo(author: &Author, words: &[&str]) -> String {
    other(author, "skopeo", &[&["--insecure-policy"], words].concat())
}
