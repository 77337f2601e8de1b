//! What the files of a site must be, so that a mistake shows where it is made and not on a machine that boots. Bytes in, the fact that is wrong
//! out; never a secret in it. Knows the form of the installer's words and not their list: that is the installer's.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use serde_json::Value;
use ureq::tls::PemItem;

/// What the installer's words begin with.
const PREFIXES: [&str; 3] = ["oci.", "dd.", "ocidd."];
/// And those that begin otherwise.
const OTHER_WORDS: [&str; 4] = ["wait", "http_proxy", "https_proxy", "no_proxy"];

/// One word a line, as the installer reads them: white space around it is taken off and nothing else.
pub fn words(bytes: &[u8]) -> Result<(), String> {
    let text = text(bytes)?;
    for (line, number) in text.lines().map(str::trim).zip(1..) {
        if !line.is_empty() && !line.starts_with('#') {
            word(line).map_err(|fact| format!("line {number}: {fact}"))?;
        }
    }
    Ok(())
}

fn word(line: &str) -> Result<(), String> {
    let (key, value) = line.split_once('=').unwrap_or((line, ""));
    if !is_known(key) {
        return Err(format!(
            "'{key}' is no word; hint: a word is {} or begins with {}",
            OTHER_WORDS.join(", "),
            PREFIXES.join(", ")
        ));
    }
    // The value may hold spaces, but hardly a further word of ours.
    let next = value
        .split_whitespace()
        .skip(1)
        .find(|next| is_known(next.split_once('=').map_or(*next, |(key, _)| key)));
    if let Some(next) = next {
        let second = next.split_once('=').map_or(next, |(key, _)| key);
        return Err(format!("'{key}' and '{second}' in one line; hint: one word a line"));
    }
    if value.starts_with('"') {
        return Err(format!(
            "the value of '{key}' is in quotes, which would count as part of it; hint: a line is taken as it is, spaces included"
        ));
    }
    Ok(())
}

fn is_known(key: &str) -> bool {
    let is_name = |rest: &str| {
        !rest.is_empty()
            && rest.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.'))
    };
    OTHER_WORDS.contains(&key)
        || PREFIXES.iter().any(|prefix| key.strip_prefix(prefix).is_some_and(is_name))
}

/// Docker's `config.json`, with a login for each registry in it.
pub fn logins(bytes: &[u8]) -> Result<(), String> {
    // The library's errors tell line and column, and of the text at most a single character.
    let config: Value =
        serde_json::from_slice(bytes).map_err(|error| format!("no JSON: {error}"))?;
    let auths = config.get("auths").and_then(Value::as_object).filter(|auths| !auths.is_empty());
    let auths = auths.ok_or(
        "it names no registry under 'auths'; hint: as in ~/.docker/config.json after `docker login`",
    )?;
    let is_login = |entry: &Value| {
        let has =
            |key| entry.get(key).and_then(Value::as_str).is_some_and(|value| !value.is_empty());
        has("auth")
            || has("identitytoken")
            || has("registrytoken")
            || (has("username") && has("password"))
    };
    match auths.iter().find(|(_, entry)| !is_login(entry)) {
        Some((registry, _)) => Err(format!(
            "auths.{registry} holds no login; hint: where a credential helper keeps it, log in with `docker --config FOLDER login`, FOLDER being empty"
        )),
        None => Ok(()),
    }
}

/// PEM with at least one certificate and nothing secret.
pub fn authorities(bytes: &[u8]) -> Result<(), String> {
    let mut store = RootCertStore::empty();
    for item in ureq::tls::parse_pem(bytes) {
        match item {
            // The client would pass over a certificate it cannot read, without a word.
            Ok(PemItem::Certificate(certificate)) => store
                .add(CertificateDer::from(certificate.der()))
                .map_err(|error| format!("certificate {} is broken: {error}", store.len() + 1))?,
            Ok(PemItem::PrivateKey(_)) => {
                return Err("a private key is in it, which no machine needs; hint: leave the certificates and take the key away".to_owned());
            }
            Ok(_) => {}
            Err(error) => return Err(format!("it cannot be read: {error}")),
        }
    }
    if store.is_empty() {
        return Err(
            "no certificate is in it; hint: PEM, which begins with -----BEGIN CERTIFICATE-----"
                .to_owned(),
        );
    }
    Ok(())
}

/// A script that the kernel can start.
pub fn hook(bytes: &[u8]) -> Result<(), String> {
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if !first.starts_with(b"#!") {
        return Err("it does not begin with '#!'; hint: #!/bin/sh".to_owned());
    }
    if first.ends_with(b"\r") {
        return Err("its lines end as on Windows, and the kernel would look for '/bin/sh\\r'; hint: dos2unix".to_owned());
    }
    Ok(())
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes)
        .map_err(|error| format!("byte {} is no UTF-8", error.valid_up_to() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::project;
    use crate::testbed::authority::ServerFiles;

    fn assert_facts(check: fn(&[u8]) -> Result<(), String>, table: &[(&str, &str)]) {
        for (text, fact) in table {
            let found = check(text.as_bytes()).err().unwrap_or_default();
            assert!(
                found.starts_with(fact) && found.is_empty() == fact.is_empty(),
                "{text:?}: {found}"
            );
        }
    }

    #[test]
    fn words_are_one_a_line() {
        assert_facts(
            words,
            &[
                ("", ""),
                ("# oci.tag=a dd.of=b\n\n  wait  \r\noci.tag=registry.example/os:1\n", ""),
                ("dd.of=model:Samsung SSD 980\nno_proxy=a.example,b.example", ""),
                ("https_proxy=http://proxy.example:3128", ""),
                ("wait\noci.tag=a dd.of=/dev/sda", "line 2: 'oci.tag' and 'dd.of' in one line"),
                ("oci.tag=a wait", "line 1: 'oci.tag' and 'wait' in one line"),
                ("wait oci.tag=a", "line 1: 'wait oci.tag' is no word"),
                ("quiet", "line 1: 'quiet' is no word; hint: a word is wait,"),
                ("oci.=a", "line 1: 'oci.' is no word"),
                ("=a", "line 1: '' is no word"),
                ("oci.tag = a", "line 1: 'oci.tag ' is no word"),
                ("dd.of=\"model:a b\"", "line 1: the value of 'dd.of' is in quotes"),
            ],
        );
        assert_eq!(words(b"wait\n\xff"), Err("byte 6 is no UTF-8".to_owned()));
    }

    #[test]
    fn every_parameter_of_the_reference_is_known() {
        let reference = std::fs::read_to_string(project::root().join("docs/reference.md")).unwrap();
        let table = reference
            .split("\n## Parameters\n")
            .nth(1)
            .unwrap()
            .split("\n| part |")
            .next()
            .unwrap();
        let keys: Vec<_> = table
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split(['`', '=']).next())
            .collect();
        assert!(keys.len() > 5, "{keys:?}");
        for key in keys {
            assert!(is_known(key), "{key}");
        }
    }

    #[test]
    fn logins_are_in_dockers_form_and_stay_secret() {
        assert_facts(
            logins,
            &[
                (r#"{"auths":{"registry.example":{"auth":"c2VjcmV0"}}}"#, ""),
                (
                    r#"{"auths":{"a":{"identitytoken":"x"},"b":{"username":"u","password":"p"}}}"#,
                    "",
                ),
                (r#"{"auths":{"a":{"auth":"c2VjcmV0"},"b":{}}}"#, "auths.b holds no login"),
                (r#"{"auths":{"a":{"username":"secret"}}}"#, "auths.a holds no login"),
                (r#"{"auths":{}}"#, "it names no registry"),
                (r#"{"credsStore":"pass"}"#, "it names no registry"),
                ("[]", "it names no registry"),
                ("", "no JSON: EOF"),
                (r#"{"auths":{"a":{"auth":"c2VjcmV0}}}"#, "no JSON: "),
                (r#"{"auths":{"a":{"auth":c2VjcmV0}}}"#, "no JSON: "),
            ],
        );
        for text in [
            r#"{"auths":{"a":{"auth":"c2VjcmV0}}}"#,
            r#"{"auth":c2VjcmV0}"#,
            r#"{"auth":{"password":"c2VjcmV0"}}"#,
        ] {
            assert!(!logins(text.as_bytes()).unwrap_err().contains("c2Vj"), "{text}");
        }
    }

    #[test]
    fn authorities_are_certificates_that_can_be_read() {
        let files = ServerFiles::make().unwrap();
        let good = files.authority.as_str();
        let key = std::fs::read_to_string(&files.key).unwrap();
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_facts(
            authorities,
            &[
                (good, ""),
                (&format!("Our authority, until 2040\n{good}{good}"), ""),
                ("", "no certificate is in it"),
                ("some text", "no certificate is in it"),
                (&format!("{good}{junk}"), "certificate 2 is broken"),
                (&format!("{good}{key}"), "a private key is in it"),
                (
                    "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
                    "it cannot be read",
                ),
                ("-----BEGIN CERTIFICATE-----\nAAAA\n", "it cannot be read"),
            ],
        );
    }

    #[test]
    fn hooks_are_scripts() {
        assert_facts(
            hook,
            &[
                ("#!/bin/sh\necho hello\n", ""),
                ("#!/bin/sh", ""),
                ("echo hello\n", "it does not begin with '#!'"),
                ("\u{feff}#!/bin/sh\n", "it does not begin with '#!'"),
                ("", "it does not begin with '#!'"),
                ("#!/bin/sh\r\necho\r\n", "its lines end as on Windows"),
            ],
        );
    }
}
