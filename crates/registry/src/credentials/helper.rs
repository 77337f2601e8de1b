//! Docker's credential helpers: programs that keep logins, asked by `get` with the registry's name on standard input.

use crate::credentials::Proof;
use crate::credentials::Secret;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use serde::Deserialize;
use std::io::Write as _;
use std::process::Command;
use std::process::Stdio;

/// The user that stands for an identity token (docker's credential-helpers, "credentials.go").
const TOKEN_USER: &str = "<token>";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: Secret,
}

/// What `docker-credential-NAME` knows of a registry. None where it knows nothing. No error holds what it says.
pub fn ask(name: &str, registry: &str) -> Result<Option<Proof>> {
    if name.contains(['/', '\0']) {
        bail!("'{name}' is no name of a credential helper");
    }
    let program = format!("docker-credential-{name}");
    let doing = || format!("asking {program} for the login to {registry}");
    #[expect(clippy::disallowed_methods, reason = "xtask's way of running programs is not ours")]
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(doing)?;
    if let Some(mut input) = child.stdin.take() {
        // One that answers without reading closes its end.
        input.write_all(server(registry).as_bytes()).ok();
    }
    let output = child.wait_with_output().with_context(doing)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        if said.to_ascii_lowercase().contains("credentials not found") {
            return Ok(None);
        }
        return Err(anyhow::anyhow!("it ended with {}", output.status)).with_context(doing);
    }
    parse(&output.stdout).with_context(doing)
}

fn parse(answer: &[u8]) -> Result<Option<Proof>> {
    let answer: Answer = serde_json::from_slice(answer)
        .map_err(|error| crate::credentials::without_content(&error))?;
    if answer.secret.expose().is_empty() {
        return Ok(None);
    }
    Ok(Some(match answer.username.as_str() {
        TOKEN_USER => Proof::IdentityToken(answer.secret),
        _ => Proof::Password { user: answer.username, password: answer.secret },
    }))
}

/// Docker Hub goes by an old URL there.
fn server(registry: &str) -> &str {
    match registry {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => "https://index.docker.io/v1/",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_helper_says() {
        let secret = || Secret::new("s".to_owned());
        for (answer, wanted) in [
            (
                r#"{"ServerURL":"r.example","Username":"u","Secret":"s"}"#,
                Some(Proof::Password { user: "u".to_owned(), password: secret() }),
            ),
            (r#"{"Username":"<token>","Secret":"s"}"#, Some(Proof::IdentityToken(secret()))),
            (r#"{"Username":"","Secret":""}"#, None),
        ] {
            assert_eq!(parse(answer.as_bytes()).unwrap(), wanted);
        }
        let error = parse(br#"{"Username":"u","Secret":["hunter2"]}"#).unwrap_err();
        assert!(!format!("{error:#}").contains("hunter2"));
    }
}
