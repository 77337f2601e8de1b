//! Servers with the layout of kernel.org and Alpine, and project files that pin their files.

use std::{fmt::Write as _, path::PathBuf};

use tempfile::TempDir;

use crate::{
    host::{output, project},
    sources::download::tests::fake::{Answer, FakeUpstream},
    update::publisher::Publisher,
};

/// A publisher, and the file whose pins lead to it.
pub struct Upstream {
    pub publisher: Publisher,
    pub file: PathBuf,
    folder: String,
    server: FakeUpstream,
    _temporary: TempDir,
}

impl Upstream {
    pub fn linux(pinned: &str) -> Self {
        Self::new(Publisher::Linux, "https://cdn.kernel.org", "/pub/linux/kernel/v6.x/", pinned)
    }

    pub fn alpine(pinned: &str) -> Self {
        let folder = "/alpine/v3.23/releases/";
        Self::new(Publisher::Alpine, "https://dl-cdn.alpinelinux.org", folder, pinned)
    }

    fn new(publisher: Publisher, host: &str, folder: &str, pinned: &str) -> Self {
        let server = FakeUpstream::start([]);
        let temporary = tempfile::tempdir().unwrap();
        let file = temporary.path().join("copy.toml");
        let text = std::fs::read_to_string(project::root().join(publisher.file())).unwrap();
        // The project's own pin moves on, and the tests' need not.
        let version = publisher.pins(&text).unwrap()[0].version.clone();
        let text = text.replace(&format!("\"{version}\""), &format!("\"{pinned}\""));
        let text =
            text.replace(&format!("url = \"{host}/"), &format!("url = \"{}", server.url("/")));
        std::fs::write(&file, text).unwrap();
        Self { publisher, file, folder: folder.to_owned(), server, _temporary: temporary }
    }

    /// The file's text.
    pub fn text(&self) -> String {
        std::fs::read_to_string(&self.file).unwrap()
    }

    /// The URL of a file of the publisher's.
    pub fn url(&self, name: &str) -> String {
        self.server.url(&format!("{}{name}", self.folder))
    }

    pub fn answer(&self, name: &str, answer: Answer) {
        self.server.answer(&format!("{}{name}", self.folder), answer);
    }

    /// Adds archives of these versions, and the list of their digests in an invalid clear signature.
    pub fn publish_linux(&self, versions: &[&str]) {
        let list = self.put_linux(versions);
        let signed = format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{list}-----BEGIN PGP SIGNATURE-----\n\nnone\n-----END PGP SIGNATURE-----\n"
        );
        self.answer("sha256sums.asc", Answer::File(signed.into_bytes()));
    }

    /// Puts up archives of these versions, and gives the list of their digests.
    pub fn put_linux(&self, versions: &[&str]) -> String {
        let mut list = format!("{}  ChangeLog-6.12.110\n", output::digest_of(b"changes"));
        for version in versions {
            let content = format!("Linux {version}").into_bytes();
            for name in [format!("linux-{version}.tar.xz"), format!("linux-{version}.tar.gz")] {
                writeln!(list, "{}  {name}", output::digest_of(&content)).unwrap();
                self.answer(&name, Answer::File(content.clone()));
            }
        }
        list
    }

    /// Adds an archive for one architecture, its digest and its list; returns its name and bytes.
    pub fn publish_alpine(&self, cpu: &str, version: &str) -> (String, Vec<u8>) {
        let name = format!("{cpu}/alpine-minirootfs-{version}-{cpu}.tar.gz");
        let (_, bare) = name.split_once('/').unwrap();
        let content = format!("Alpine {version} for {cpu}").into_bytes();
        let digest = output::digest_of(&content);
        let list = format!(
            "---\n-\n  title: \"Standard\"\n  file: alpine-standard-{version}-{cpu}.iso\n-\n  title: \"Mini root filesystem\"\n  branch: v3.23\n  version: {version}\n  file: {bare}\n  sha256: {digest}\n"
        );
        for (name, bytes) in [
            (name.clone(), content.clone()),
            (format!("{name}.sha256"), format!("{digest}  {bare}\n").into_bytes()),
            (format!("{cpu}/latest-releases.yaml"), list.into_bytes()),
        ] {
            self.answer(&name, Answer::File(bytes));
        }
        (name, content)
    }

    /// Pins what [`Self::publish_alpine`] has put up.
    pub fn pin_as_published(&self) {
        let mut text = self.text();
        for pin in self.publisher.pins(&text).unwrap() {
            let cpu = if pin.url.contains("x86_64") { "x86_64" } else { "aarch64" };
            let content = format!("Alpine {} for {cpu}", pin.version);
            text = text.replace(&pin.sha256, &output::digest_of(content.as_bytes()));
        }
        std::fs::write(&self.file, text).unwrap();
    }
}
