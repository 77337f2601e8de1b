//! `initramfs.toml`: the project's own, and every way one can be wrong.

use super::*;
use crate::config::read_image_config;
use clap::ValueEnum as _;

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
    let packages = ["init".to_owned(), "ocidd".to_owned()];
    ImageConfig::parse(
        text,
        arch,
        Project { packages: &packages, is_file: &|path| path == "site/words" },
    )
}

#[test]
fn reads_the_projects_own_file_for_every_architecture() {
    for arch in Arch::value_variants() {
        let config = read_image_config(*arch).unwrap();
        let paths: Vec<&str> = config.binaries.iter().map(|binary| binary.path.as_str()).collect();
        assert_eq!(paths, ["init", "bin/ocidd"]);
    }
}

#[test]
fn fills_in_what_depends_on_the_architecture() {
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
    let null = Device { path: "dev/null".to_owned(), mode: 0o666, major: 1, minor: 3 };
    assert_eq!(config.devices, [null]);
    assert_eq!(config.folders, [Folder { path: "proc".to_owned(), mode: 0o555 }]);
}

#[test]
fn tells_every_fault_with_its_key() {
    for (good, bad, facts) in [
        (
            "[[dir]]",
            "[[dri]]",
            &["initramfs.toml: dri is an unknown key (did you mean 'dir'?)"][..],
        ),
        (
            "path = \"/proc\"",
            "pth = \"/proc\"",
            &["dir[0].pth is an unknown key (did you mean 'path'?)", "dir[0].path is missing"],
        ),
        ("\"/proc\"", "\"proc\"", &["dir[0].path 'proc' is relative"]),
        ("\"/proc\"", "\"/a/../../b\"", &["dir[0].path '/a/../../b' escapes"]),
        ("\"/proc\"", "\"/init\"", &["binary[0].path '/init' is already given by dir[0].path"]),
        ("\"0555\"", "\"0999\"", &["dir[0].mode '0999' is no mode"]),
        ("mode = \"0555\"", "", &["dir[0].mode is missing"]),
        ("\"1:3\"", "\"13\"", &["device[0].number '13' is no device number; wanted: MAJOR"]),
        ("number = \"1:3\"", "", &["device[0].number is missing"]),
        (
            "target = \"busybox\"",
            "taget = \"busybox\"",
            &["did you mean 'target'", "symlink[0].target is missing"],
        ),
        (
            "\"init\"",
            "\"innit\"",
            &["binary[0].package 'innit' is unknown (did you mean 'init'?); known: init, ocidd"],
        ),
        (
            "\"alpine\", member = \"./lib",
            "\"alpin\", member = \"./lib",
            &["file[0].upstream.source 'alpin' is unknown (did you mean 'alpine'?)"],
        ),
        (
            "./lib/ld-musl-{cpu}",
            "./lib/ld-musl-{cpy}",
            &["file[0].upstream.member", "did you mean 'cpu'"],
        ),
        (
            "member = \"./etc",
            "membre = \"./etc",
            &[
                "file[1].upstream.membre is an unknown key",
                "file[1].upstream lacks member or members",
            ],
        ),
        (
            "package = \"certs\"",
            "source = \"certs\"",
            &["file[1].debian.source is a key of upstream", "file[1].debian.package is missing"],
        ),
        ("/*.crt", "/*/*.crt", &["file[1].debian.members './usr/share/*/*.crt' is no pattern"]),
        ("local = \"site/words\"", "", &["file[2] has no bytes"]),
        ("site/words", "site/wrods", &["file[2].local 'site/wrods' is no file of the project"]),
        ("site/words", "/etc/shadow", &["file[2].local '/etc/shadow' is absolute"]),
        ("x86_64 = \"0123", "x86_64 = \"12", &["upstream.alpine.sha256.x86_64 '12456789"]),
        (
            "x86_64 = ",
            "x86-64 = ",
            &[
                "sha256 'x86-64' is unknown (did you mean 'x86_64'?)",
                "upstream.alpine.sha256.x86_64 is missing",
            ],
        ),
        ("{version}", "{verison}", &["upstream.alpine.url", "did you mean 'version'"]),
    ] {
        assert!(GOOD.contains(good), "{good}");
        let text =
            format!("{:#}", parse(&GOOD.replacen(good, bad, 1), Arch::X86_64).expect_err(bad));
        for fact in facts {
            assert!(text.contains(fact), "{bad}: {text}");
        }
    }
}

#[test]
fn tells_faults_of_different_tables_at_once() {
    let text = GOOD
        .replace("\"0555\"", "\"rwx\"")
        .replace("\"init\"", "\"inti\"")
        .replace("site/words", "nowhere");
    let error = format!("{:#}", parse(&text, Arch::X86_64).unwrap_err());
    assert!(error.starts_with("initramfs.toml has 3 faults:\n"), "{error}");
}

#[test]
fn names_the_line_of_a_wrong_type() {
    let error = format!("{:#}", parse(&GOOD.replace("\"0555\"", "555"), Arch::X86_64).unwrap_err());
    assert!(error.contains("initramfs.toml") && error.contains("line 11"), "{error}");
}
