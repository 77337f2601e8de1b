//! What publishers say of their files, as text in and values out. Pure, and nothing is believed: signatures are looked at elsewhere.

use anyhow::Result;
use anyhow::anyhow;
use std::collections::BTreeMap;

/// The lines of `sha256sum`: digests by file name. Other lines are passed over.
pub(super) fn digests(text: &str) -> BTreeMap<String, String> {
    let entry = |line: &str| {
        let (digest, name) = line.split_once(' ')?;
        // A second space, or a star where the file was read in binary.
        let name = name.strip_prefix([' ', '*']).unwrap_or(name).trim_end();
        let is_digest = digest.len() == 64
            && digest.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        (is_digest && !name.is_empty()).then(|| (name.to_owned(), digest.to_owned()))
    };
    text.lines().filter_map(entry).collect()
}

/// The files that Alpine's `latest-releases.yaml` names: of this format just what Alpine writes, a list of flat tables.
pub(super) fn files_of_yaml(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix("file:"))
        .map(|name| name.trim().trim_matches(['"', '\'']).to_owned())
        .collect()
}

/// The text inside a clear signature (RFC 9580, section 7), its signature unseen.
pub(super) fn text_of_clear_signed(signed: &str) -> Result<String> {
    let inside = || {
        let (_, rest) = signed.split_once("-----BEGIN PGP SIGNED MESSAGE-----")?;
        let (text, _) = rest.split_once("\n-----BEGIN PGP SIGNATURE-----")?;
        // Headers end with an empty line.
        let (_, text) =
            text.replace('\r', "").split_once("\n\n").map(|(a, b)| (a.to_owned(), b.to_owned()))?;
        Some(text)
    };
    let text = inside().ok_or_else(|| anyhow!("it is no clear-signed text"))?;
    // Lines that begin with a dash were given another one before it.
    Ok(text.lines().map(|line| line.strip_prefix("- ").unwrap_or(line).to_owned() + "\n").collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_of_digests() {
        let (a, b) = ("a1".repeat(32), "b2".repeat(32));
        let text = format!(
            "# a comment\n{a}  linux-6.12.tar.xz\n{b} *patch.xz\n{a}  \nA{a}  no\n\nHash: SHA256\n"
        );
        let wanted = [("linux-6.12.tar.xz".to_owned(), a), ("patch.xz".to_owned(), b)];
        assert_eq!(digests(&text), BTreeMap::from(wanted));
    }

    #[test]
    fn reads_the_files_of_a_release() {
        let text = "---\n-\n  title: \"Mini root filesystem\"\n  desc: |\n    For use in containers\n  version: 3.23.4\n  file: alpine-minirootfs-3.23.4-x86_64.tar.gz\n  iso: x.iso\n-\n  file: \"quoted.iso\"\n- file: inline.iso\n";
        assert_eq!(
            files_of_yaml(text),
            ["alpine-minirootfs-3.23.4-x86_64.tar.gz", "quoted.iso", "inline.iso"]
        );
    }

    #[test]
    fn takes_the_text_out_of_a_clear_signature() {
        let signed = "before\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\none\n- -two\n-----BEGIN PGP SIGNATURE-----\n\nxyz\n-----END PGP SIGNATURE-----\nafter\n";
        for signed in [signed.to_owned(), signed.replace('\n', "\r\n")] {
            assert_eq!(text_of_clear_signed(&signed).unwrap(), "one\n-two\n");
        }
        assert!(text_of_clear_signed("<html>").is_err());
    }
}
