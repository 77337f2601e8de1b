//! squid with its packaged rules (CONNECT to port 443 only), on the way of the client and the installer.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{images::disk, installs::install, scene};
use crate::ours::{Author, Ended};

const PROGRAM: &str = "/usr/sbin/squid";
/// Debian's rules.
const PACKAGED: &str = "/etc/squid/squid.conf";
const HELPER: &str = "/usr/lib/squid/basic_fake_auth";

/// A proxy that runs until it is dropped.
struct Squid {
    /// `host:port` for everybody on this machine.
    open: String,
    /// `host:port` for those who send a login, which can be any.
    private: String,
    child: Child,
    _folder: TempDir,
}

impl Squid {
    fn start() -> Self {
        assert!(Path::new(PROGRAM).exists(), "no {PROGRAM}; hint: cargo xtask setup");
        let folder = tempfile::tempdir().unwrap();
        // squid does not print the ports that the system chooses.
        let ports: Vec<_> = (0..2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let [open, private] = [0, 1].map(|at| ports[at].local_addr().unwrap().to_string());
        drop(ports);
        let rules = fs::read_to_string(PACKAGED).unwrap();
        let rules: Vec<_> = rules.lines().filter(|line| !line.starts_with("http_port")).collect();
        let place = folder.path().display();
        let config = format!(
            "http_port {open}\nhttp_port {private} name=private\npid_filename {place}/squid.pid\n\
             access_log none\ncache_log /dev/null\nshutdown_lifetime 0 seconds\n\
             auth_param basic program {HELPER}\nacl known proxy_auth REQUIRED\n\
             acl private myportname private\nhttp_access deny private !known\n{}\n",
            rules.join("\n")
        );
        let path = folder.path().join("squid.conf");
        fs::write(&path, config).unwrap();
        #[expect(clippy::disallowed_methods, reason = "the one place that starts squid")]
        let mut command = Command::new(PROGRAM);
        let command = command.args(["-N", "-f"]).arg(path).args(["-n", "ocidd"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        while TcpStream::connect(&private).is_err() {
            if let Some(status) = child.try_wait().unwrap() {
                let stderr = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
                panic!("squid has ended with {status}: {stderr}");
            }
            std::thread::yield_now();
        }
        Self { open, private, child, _folder: folder }
    }
}

impl Drop for Squid {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Pulls through this proxy by the variables of the environment.
fn pull(proxy: &str, image: &str, options: &[&str]) -> Ended {
    let mut author = Author::with(options);
    for name in ["HTTP_PROXY", "https_proxy"] {
        author.set(name, format!("http://{proxy}"));
    }
    author.run(&["pull", image])
}

#[test]
fn squid_forwards_plain_http_and_refuses_by_its_packaged_rules() {
    let ((registry, author), squid) = (scene(), Squid::start());
    author.write("disk.raw", disk());
    let image = registry.reference("os:1");
    // Uploads go through it, too.
    let mut uploader = Author::new();
    uploader.set("http_proxy", format!("http://{}", squid.open));
    uploader.write("disk.raw", disk());
    uploader.push(&["disk.raw", &image]);
    for (proxy, login, code, says) in [
        (&squid.open, "", 0, String::new()),
        (&squid.private, "user:p%40ss@", 0, String::new()),
        (
            &squid.private,
            "",
            4,
            format!("through the proxy {}: the proxy answered 407", squid.private),
        ),
    ] {
        let word = format!("http_proxy=http://{login}{proxy}");
        let tag = format!("oci.tag={image}");
        let words = ["oci.allow_no_tls", "oci.retries=1", &tag, &word];
        let ended = install("linux/amd64", &words, &author);
        assert_eq!(ended.code, code, "{}", ended.stderr);
        assert!(ended.stderr.contains(&says), "{}", ended.stderr);
        let ended = pull(&format!("{login}{proxy}"), &image, &["--plain-http"]);
        assert_eq!(ended.code, code.min(1), "{}", ended.stderr);
        assert!(ended.stderr.contains(&says), "{}", ended.stderr);
    }
    for (name, value, says) in [
        ("no_proxy", "localhost,10.0.0.0/33", "no_proxy: expected hosts"),
        ("ALL_PROXY", "socks5://u:S3cret@127.0.0.1:1080", "http_proxy: expected a URL"),
    ] {
        let mut author = Author::new();
        author.set(name, value);
        author.fails(&["pull", &image], says);
    }
    // Its rules allow tunnels to port 443 only, and no plain HTTP to port 1.
    for (port, parameter, id) in [(1, "oci.allow_no_tls", "refused"), (5000, "quiet", "refused")] {
        let author = Author::new();
        let tag = format!("oci.tag=127.0.0.1:{port}/os:1");
        let proxy = |name: &str| format!("{name}=http://{}", squid.open);
        let words = [&*tag, parameter, &proxy("http_proxy"), &proxy("https_proxy")];
        let ended = install("linux/amd64", &words, &author);
        let says = format!("through the proxy {}: the proxy answered 403", squid.open);
        assert!(ended.stderr.contains(&says), "{}", ended.stderr);
        assert!(ended.stderr.contains(&format!("error {id} (exit code 4)")), "{}", ended.stderr);
    }
}
