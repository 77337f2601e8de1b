//! docs/publishing.md: every block of commands, as it stands there, one after the other.

use super::{LOGIN, Registry, Serve, find, images::disk};
use crate::{noise::noise, ours::Author};

const PAGE: &str = include_str!("../../../../docs/publishing.md");

/// The commands of the page, with a real registry in place of `REGISTRY`.
fn script(registry: &Registry) -> String {
    let blocks = PAGE.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let commands: Vec<_> = blocks.collect();
    assert!(commands.len() > 5);
    format!("set -eux\n{}", commands.concat().replace("REGISTRY", &registry.address))
}

#[test]
fn what_the_page_says_works() {
    let registry = Registry::start(&Serve::Private);
    let mut author = Author::new();
    let auths = serde_json::json!({ "auths": { registry.address.as_str(): { "auth": LOGIN } } });
    author.write(".docker/config.json", auths.to_string());
    for file in ["disk.raw", "disk-amd64.raw", "disk-arm64.raw"] {
        author.write(file, disk());
    }
    for (file, seed) in [("vmlinuz", 10), ("initramfs.gz", 11), ("rootfs.squashfs", 12)] {
        author.write(file, noise(seed, 10_000));
    }
    author.write("build.log", "made");
    author.write("sbom.json", "{}");
    // The page is about registries with TLS, and this one has none.
    let ours = env!("CARGO_BIN_EXE_ocidd");
    author.write_program(
        "bin/ocidd",
        &format!("#!/bin/sh\nshift\nexec {ours} image --plain-http \"$@\"\n"),
    );
    let skopeo = find(&["skopeo"]);
    let options = "--src-tls-verify=false --dest-tls-verify=false";
    author.write_program(
        "bin/skopeo",
        &format!(
            "#!/bin/sh\nshift\nexec {} --insecure-policy copy {options} \"$@\"\n",
            skopeo.display()
        ),
    );
    let path = std::env::var("PATH").unwrap();
    author.set("PATH", format!("{}:{path}", author.path("bin").display()));
    author.write("page.sh", script(&registry));
    let ended = author.run_other(&find(&["sh"]), &["page.sh"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(author.read("vmlinuz.fetched") == noise(10, 10_000));
    assert!(author.read("boot/initramfs") == noise(11, 10_000));
    assert_eq!(author.read("about/build.log"), b"made");
    let list = author.ok(&["list", &registry.reference("again/os")]);
    assert_eq!(list, "1\n");
}
