//! Valid and invalid `initramfs.toml` files.

use clap::ValueEnum as _;

use super::*;
use crate::config::read_image_config;

const GOOD: &str = r#"
[upstream.alpine]
version = "3.1"
url = "https://example.org/{version}/root-{cpu}-{oci}.tar.gz"
[upstream.alpine.sha256]
x86_64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
arm64 = "ABCDEF6789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

[[dir]]
path = "/proc"
mode = "0555"

[[symlink]]
path = "/bin/sh"
target = "busybox"

[[device]]
path = "/dev/null"
mode = "0666"
number = "1:3"

[[binary]]
path = "/init"
mode = "0755"
package = "init"

[[file]]
path = "/lib/ld-musl-{cpu}.so.1"
mode = "0755"
upstream = { source = "alpine", member = "./lib/ld-musl-{cpu}.so.1" }

[[file]]
path = "/etc/certs"
mode = "0644"
upstream = { source = "alpine", member = "./etc/certs" }
debian = { package = "certs", members = "./usr/share/*.crt" }

[[file]]
path = "/etc/words"
mode = "0644"
local = "site/words"
"#;

fn parse(text: &str, arch: Arch) -> Result<ImageConfig> {
    let root = tempfile::tempdir().unwrap();
    let workspace = "[workspace]\nmembers = [\"crates/*\", \"init\", \"ocidd\", \"xtask\"]\n";
    std::fs::write(root.path().join("Cargo.toml"), workspace).unwrap();
    std::fs::create_dir(root.path().join("site")).unwrap();
    std::fs::write(root.path().join("site/words"), "").unwrap();
    ImageConfig::parse(text, arch, root.path())
}

#[test]
fn reads_the_project_file_for_every_architecture() {
    for arch in Arch::value_variants() {
        let config = read_image_config(*arch).unwrap();
        let paths: Vec<&str> = config.binaries.iter().map(|binary| binary.path.as_str()).collect();
        assert_eq!(paths, ["init", "bin/ocidd"]);
    }
}

#[test]
fn expands_names_of_the_architecture() {
    let config = parse(GOOD, Arch::Arm64).unwrap();
    let pin = &config.upstream["alpine"];
    assert_eq!(pin.url, "https://example.org/3.1/root-aarch64-arm64.tar.gz");
    assert!(pin.sha256.starts_with("abcdef67"));
    assert_eq!(config.parts[0].path, "lib/ld-musl-aarch64.so.1");
    assert_eq!(config.parts[0].debian, None);
    let members = Members::Joined { prefix: "./usr/share/".to_owned(), suffix: ".crt".to_owned() };
    assert_eq!(config.parts[1].debian, Some(Piece { from: "certs".to_owned(), members }));
    assert_eq!(
        config.locals,
        [Local { path: "etc/words".to_owned(), mode: 0o644, file: "site/words".into() }]
    );
    let null = Device { path: "dev/null".to_owned(), mode: 0o666, number: (1, 3) };
    assert_eq!(config.devices, [null]);
    assert_eq!(config.folders, [Folder { path: "proc".to_owned(), mode: 0o555 }]);
}

#[test]
fn reports_problems_with_their_key() {
    for (good, bad, facts) in [
        (
            "[[dir]]",
            "[[dri]]",
            &[
                "parsing initramfs.toml: ",
                "line 9, column 3",
                "unknown field `dri`, expected one of ",
            ][..],
        ),
        (
            "path = \"/proc\"",
            "pth = \"/proc\"",
            &["line 10, column 1", "unknown field `pth`, expected `path` or `mode`"],
        ),
        ("\"/proc\"", "\"proc\"", &["initramfs.toml: dir[0].path: 'proc' is relative"]),
        ("\"/proc\"", "\"/a/../../b\"", &["dir[0].path: '/a/../../b' contains '..'"]),
        (
            "\"/proc\"",
            "\"/init\"",
            &["binary[0].path: duplicate path '/init', already used by dir[0].path"],
        ),
        (
            "\"0555\"",
            "\"0999\"",
            &["line 11, column 8", "invalid mode '0999': expected octal digits"],
        ),
        ("\"1:3\"", "\"13\"", &["line 20", "invalid device number '13': expected MAJOR"]),
        ("number = \"1:3\"", "", &["line 17", "missing field `number`"]),
        (
            "target = \"busybox\"",
            "taget = \"busybox\"",
            &["line 15", "unknown field `taget`, expected `path` or `target`"],
        ),
        (
            "\"init\"",
            "\"innit\"",
            &["binary[0].package: unknown 'innit' (did you mean 'init'?); known: init, ocidd"],
        ),
        (
            "\"alpine\", member = \"./lib",
            "\"alpin\", member = \"./lib",
            &["file[0].upstream.source: unknown 'alpin' (did you mean 'alpine'?)"],
        ),
        (
            "./lib/ld-musl-{cpu}",
            "./lib/ld-musl-{cpy}",
            &["file[0].upstream: placeholder in './lib", "did you mean 'cpu'"],
        ),
        (
            "member = \"./etc",
            "membre = \"./etc",
            &["line 35", "unknown field `membre`, expected one of `source`, `member`, `members`"],
        ),
        (
            "package = \"certs\"",
            "source = \"certs\"",
            &["line 36", "unknown field `source`, expected one of `package`, `member`, `members`"],
        ),
        ("/*.crt", "/*/*.crt", &["file[1].debian: invalid pattern './usr/share/*/*.crt'"]),
        ("local = \"site/words\"", "", &["file[2]: missing local, upstream or debian"]),
        (
            "site/words",
            "site/wrods",
            &["file[2].local: file 'site/wrods' not found in the project"],
        ),
        ("site/words", "/etc/shadow", &["file[2].local: '/etc/shadow' is absolute"]),
        ("x86_64 = \"0123", "x86_64 = \"12", &["line 6, column 10", "invalid SHA-256 '12456789"]),
        (
            "x86_64 = ",
            "x86-64 = ",
            &[
                "upstream.alpine.sha256: unknown 'x86-64' (did you mean 'x86_64'?)",
                "upstream.alpine.sha256.x86_64: missing",
            ],
        ),
    ] {
        assert_rejected(good, bad, facts);
    }
}

#[test]
fn rejects_missing_empty_and_ambiguous_values() {
    for (good, bad, facts) in [
        ("mode = \"0555\"", "", &["line 9", "missing field `mode`"][..]),
        ("{version}", "{verison}", &["upstream.alpine.url", "did you mean 'version'"]),
        ("target = \"busybox\"", "target = \"\"", &["line 15", "empty string"][..]),
        ("\"certs\"", "\"\"", &["line 36", "empty string"]),
        (
            "member = \"./etc/certs\"",
            "member = \"a\", members = \"b*\"",
            &["file[1].upstream: expected member or members, found both"],
        ),
        (
            "local = \"site/words\"",
            "local = \"site/words\"\ndebian = { package = \"a\", member = \"b\" }",
            &["file[2]: expected local or a source, found both"],
        ),
    ] {
        assert_rejected(good, bad, facts);
    }
}

/// Checks that the good file with `bad` in place of `good` is rejected for these reasons.
fn assert_rejected(good: &str, bad: &str, facts: &[&str]) {
    assert!(GOOD.contains(good), "{good}");
    let error = parse(&GOOD.replacen(good, bad, 1), Arch::X86_64).expect_err(bad);
    let text = format!("{error:#}");
    for fact in facts {
        assert!(text.contains(fact), "{bad}: {text}");
    }
}

#[test]
fn reports_problems_of_different_tables_at_once() {
    let text = GOOD
        .replace("\"/proc\"", "\"proc\"")
        .replace("\"init\"", "\"inti\"")
        .replace("site/words", "nowhere");
    let error = format!("{:#}", parse(&text, Arch::X86_64).unwrap_err());
    assert!(error.starts_with("initramfs.toml has 3 problems:\n"), "{error}");
}

#[test]
fn reports_the_line_of_a_wrong_type() {
    let error = format!("{:#}", parse(&GOOD.replace("\"0555\"", "555"), Arch::X86_64).unwrap_err());
    assert!(error.contains("initramfs.toml") && error.contains("line 11"), "{error}");
}
