//! Every way between authors and machines: our program and skopeo, either pushing and either fetching, from a registry of each kind, by tag and by
//! digest, through an index and without one.

use super::{
    LOGIN, Registry, Serve, images::disk, installs::assert_installs_with, logins::add_certificates,
    skopeo,
};
use crate::{ours::Author, schema};

/// What somebody has to know and to say to use a registry.
struct Way {
    registry: Registry,
    author: Author,
    /// For the installer.
    words: &'static [&'static str],
    /// For skopeo, which wants to be told of each side of a copy.
    has_tls: bool,
}

impl Way {
    fn new(serve: impl FnOnce(&Author) -> Registry, words: &'static [&'static str]) -> Self {
        let has_tls = words.is_empty();
        let mut author = if has_tls { Author::with(&[]) } else { Author::new() };
        add_certificates(&author);
        let registry = serve(&author);
        author.set("SSL_CERT_FILE", "ca.pem");
        author.set("REGISTRY_AUTH_FILE", "auth.json");
        let auths =
            serde_json::json!({ "auths": { registry.address.as_str(): { "auth": LOGIN } } });
        author.write("auth.json", auths.to_string());
        author.write("disk.raw", disk());
        Self { registry, author, words, has_tls }
    }

    /// Every reference to what these names in the registry lead to: the tag, and its digest.
    fn references(&self, name: &str) -> [String; 2] {
        let tag = self.registry.reference(&format!("{name}:1"));
        let shown = self.author.json(&["inspect", "--remote", &tag]);
        let digest = shown["descriptor"]["digest"].as_str().unwrap();
        [tag, self.registry.reference(&format!("{name}@{digest}"))]
    }

    fn skopeo_copy(&self, from: &str, to: &str) {
        let verify = [
            format!("--src-tls-verify={}", self.has_tls),
            format!("--dest-tls-verify={}", self.has_tls),
        ];
        skopeo(&self.author, &["copy", "--all", &verify[0], &verify[1], from, to]);
    }

    /// skopeo and the installer fetch the disk that we push, and that skopeo pushes after us.
    fn go(&self, name: &str, options: &[&str]) {
        let tag = self.registry.reference(&format!("{name}:1"));
        self.author.push(&[options, &["disk.raw", &tag]].concat());
        for (number, reference) in self.references(name).iter().enumerate() {
            assert_installs_with(self.words, &self.author, &format!("oci.tag={reference}"));
            let layout = format!("{name}-{number}");
            self.skopeo_copy(&format!("docker://{reference}"), &format!("oci:{layout}:1"));
            let again = format!("by-skopeo/{layout}");
            let target = format!("docker://{}", self.registry.reference(&format!("{again}:1")));
            self.skopeo_copy(&format!("oci:{layout}:1"), &target);
            for reference in self.references(&again) {
                assert_installs_with(self.words, &self.author, &format!("oci.tag={reference}"));
            }
        }
        self.author.ok(&["copy", &tag, &format!("oci:{name}:1")]);
        schema::assert_layout(&self.author.path(name));
    }

    fn go_both_ways(&self) {
        self.go("plain", &[]);
        self.go("index", &["--platform", "linux/amd64"]);
    }
}

#[test]
fn to_and_from_a_registry_that_lets_everybody_in() {
    Way::new(|_| Registry::start(&Serve::Plain), &["oci.allow_no_tls"]).go_both_ways();
}

#[test]
fn to_and_from_a_registry_with_logins() {
    Way::new(|_| Registry::start(&Serve::Private), &["oci.allow_no_tls"]).go_both_ways();
}

#[test]
fn to_and_from_a_registry_with_tls() {
    let serve = |author: &Author| {
        Registry::start(&Serve::Tls(&author.path("server.pem"), &author.path("server.key")))
    };
    Way::new(serve, &[]).go_both_ways();
}
