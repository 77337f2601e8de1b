//! Configures, starts and stops the server program of a registry.

use crate::host::cmd;
use crate::host::cmd::Background;
use crate::testbed::registry::Serve;
use crate::testbed::registry::USER;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use serde_json::json;
use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use tempfile::TempDir;
use xshell::Shell;

/// bcrypt hash of [`crate::testbed::registry::PASSWORD`], the only supported type. Its cost is the minimum,
/// because the server checks it for every request.
const PASSWORD_HASH: &str = "$2b$05$ocidd.lab.login.fixedu.uJEoTEbwbBzMkWsvrfgO6LMtVYWURK";

/// A server and the folder it keeps everything in.
#[derive(Debug)]
pub struct Server {
    folder: TempDir,
    port: u16,
    tls: serde_json::Value,
    auth: serde_json::Value,
    running: Option<Background>,
}

impl Server {
    /// Starts on a free port and waits until it listens.
    pub fn start(serve: Serve<'_>) -> Result<Self> {
        let folder = tempfile::tempdir().context("making the registry's folder")?;
        let tls = match serve {
            Serve::Plain => json!({}),
            Serve::Tls(files) | Serve::Private(files) => {
                json!({ "certificate": files.certificate, "key": files.key })
            }
        };
        let auth = match serve {
            Serve::Plain | Serve::Tls(_) => json!({}),
            Serve::Private(_) => {
                let path = folder.path().join("htpasswd");
                fs::write(&path, format!("{USER}:{PASSWORD_HASH}\n"))
                    .context("writing the registry's login")?;
                json!({ "htpasswd": { "realm": "tests", "path": path } })
            }
        };
        // The system chooses a free port the first time.
        let mut server = Self { folder, port: 0, tls, auth, running: None };
        server.restart()?;
        Ok(server)
    }

    /// Starts a server that does not run, with what it had.
    pub fn restart(&mut self) -> Result<()> {
        let config = self.folder.path().join("config.yml");
        fs::write(&config, self.configuration()).context("writing the registry's configuration")?;
        // Debian's name for the program, and its makers'.
        let program = ["docker-registry", "registry"].into_iter().find_map(cmd::find);
        let program = program.context("finding a registry server; hint: cargo xtask setup")?;
        let shell = Shell::new()?;
        let mut running = Background::start(
            cmd::clean_env(xshell::cmd!(shell, "{program} serve {config}")),
            |command| {
                command.stdout(Stdio::null()).stderr(Stdio::piped());
            },
        )?;
        let stderr = running.child.stderr.take().context("opening the registry's log")?;
        self.port = read_port(BufReader::new(stderr))?;
        self.running = Some(running);
        Ok(())
    }

    /// Kills the server, as a crash would.
    pub fn stop(&mut self) {
        // Dropped, and with that killed and waited for.
        self.running = None;
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where repositories and blobs are kept.
    pub fn storage(&self) -> PathBuf {
        data(self.folder.path())
    }

    fn configuration(&self) -> String {
        // YAML takes JSON as it is. The blob cache is off, so that a damaged file is served as it lies.
        json!({
            "version": 0.1,
            "log": { "level": "info" },
            "storage": { "filesystem": { "rootdirectory": data(self.folder.path()) } },
            "http": { "addr": format!("127.0.0.1:{}", self.port), "tls": self.tls },
            "auth": self.auth,
        })
        .to_string()
    }
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// Waits for the log line with the port. A thread reads on, so that the pipe does not fill up.
fn read_port(mut log: impl BufRead + Send + 'static) -> Result<u16> {
    let mut seen = String::new();
    loop {
        let from = seen.len();
        if log.read_line(&mut seen).context("reading the registry's log")? == 0 {
            bail!("docker-registry ended before it listened: {}", seen.trim());
        }
        let Some(at) =
            seen.get(from..).and_then(|line| line.split("listening on 127.0.0.1:").nth(1))
        else {
            continue;
        };
        let digits: String = at.chars().take_while(char::is_ascii_digit).collect();
        let port = digits
            .parse()
            .with_context(|| format!("reading the registry's port from '{}'", at.trim()))?;
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        return Ok(port);
    }
}
