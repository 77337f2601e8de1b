//! Name servers that know the IPv4 address of a registry and fail for IPv6, in a network namespace with its own `resolv.conf`.

use std::{
    env, fs,
    net::UdpSocket,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

use crate::{
    fake::Fake,
    images::{Layer, MIB, gzip, image},
    run::By,
    target::{DISK, Target},
};

/// Set in the namespace.
const INSIDE: &str = "OCIDD_TEST_NAMESPACE";
/// The program to test. `cargo xtask test` names the static one of the initramfs.
const PROGRAM: &str = "OCIDD_TEST_PROGRAM";
const DNSMASQ: &str = "/usr/sbin/dnsmasq";
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Ways into a namespace, for root and for others.
const WAYS: [&str; 3] = [
    "unshare --net --mount",
    "unshare --user --map-root-user --net --mount",
    "sudo --non-interactive unshare --net --mount",
];

fn output(words: &[&str]) -> Output {
    #[expect(clippy::disallowed_methods, reason = "the one place that enters namespaces")]
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).output().unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

#[test]
fn installs_if_only_the_ipv4_address_is_known() {
    if env::var_os(INSIDE).is_some() {
        return install_inside();
    }
    let exists = |program: &str| Path::new(program).exists();
    let ways = WAYS.iter().filter(|way| !way.starts_with("sudo") || exists("/usr/bin/sudo"));
    let mut ways = ways.map(|way| way.split(' ').collect::<Vec<_>>());
    let up = ["sh", "-c", "ip link set lo up && mount --bind /dev/null /etc/resolv.conf"];
    let Some(way) = ways.find(|way| output(&[way, &up[..]].concat()).status.success()) else {
        assert_ne!(env::var("CI").as_deref(), Ok("true"), "no network namespaces");
        eprintln!("skipped: no network namespaces");
        return;
    };
    assert!(exists(DNSMASQ), "no {DNSMASQ}; hint: cargo xtask setup");
    let file = tempfile::NamedTempFile::new().unwrap();
    let script =
        "ip link set lo up && mount --bind \"$1\" /etc/resolv.conf && shift && exec \"$@\"";
    let resolv_conf = file.path().to_str().unwrap();
    let inside = format!("{INSIDE}=1");
    let program = env::var(PROGRAM).unwrap_or_else(|_| env!("CARGO_BIN_EXE_ocidd").to_owned());
    let program = format!("{PROGRAM}={program}");
    let own = env::current_exe().unwrap();
    let only = ["--exact", "dns::installs_if_only_the_ipv4_address_is_known", "--nocapture"];
    let again = [&["env", &inside, &program, own.to_str().unwrap()], &only[..]].concat();
    let words = [&way, &["sh", "-c", script, "sh", resolv_conf][..], &again].concat();
    let output = output(&words);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// What a registry's AAAA record is, by the first label of its name.
const CASES: [(&str, Option<u8>); 6] = [
    ("empty", Some(0)),
    ("servfail", Some(2)),
    ("nxdomain", Some(3)),
    ("notimp", Some(4)),
    ("refused", Some(5)),
    ("none", None),
];

fn install_inside() {
    set_server("127.0.0.1");
    let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
    thread::spawn(move || serve_names(&socket));
    thread::scope(|scope| {
        // glibc waits three times in each lookup.
        let is_static = env::var(PROGRAM).unwrap() != env!("CARGO_BIN_EXE_ocidd");
        for (name, _) in CASES.into_iter().filter(|(_, code)| is_static || code.is_some()) {
            scope.spawn(move || assert_installs(&format!("{name}.site.lan")));
        }
        scope.spawn(|| {
            let says =
                ["host 'missing.lan' not found", "'missing.lan', and that 127.0.0.1 know it"];
            assert_fails("missing.lan", &says);
        });
    });

    // Refuses what it has no record for.
    let _dnsmasq = Dnsmasq::start("registry.site.lan");
    set_server("127.0.0.2");
    assert_installs("registry.site.lan");

    fs::write(RESOLV_CONF, "").unwrap();
    assert_fails("missing.lan", &["set a nameserver in /etc/resolv.conf to look up 'missing.lan'"]);
}

fn set_server(address: &str) {
    fs::write(RESOLV_CONF, format!("nameserver {address}\noptions timeout:1 attempts:1\n"))
        .unwrap();
}

fn run(host: &str) -> (Output, Vec<u8>, Target) {
    let image = image(MIB);
    let layer = Layer::new(gzip(&image));
    let registry = Fake::with(&layer).serve();
    let (_, port) = registry.address.split_once(':').unwrap();
    let target = Target::new(DISK);
    let tag = By::Tag.word(&format!("{host}:{port}"), &layer);
    let disk = format!("dd.of={}", target.path.display());
    let program = env::var(PROGRAM).unwrap();
    let words = [&*program, "quiet", "oci.allow_no_tls", "oci.retries=0", &tag, &disk];
    (output(&words), image, target)
}

#[track_caller]
fn assert_installs(host: &str) {
    let (output, image, target) = run(host);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{host}: {text}");
    target.assert_installed(host, &image);
}

#[track_caller]
fn assert_fails(host: &str, says: &[&str]) {
    let (output, ..) = run(host);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{text}");
    for part in says {
        assert!(text.contains(part), "{text}\nlacks\n{part}");
    }
}

/// Answers A by 127.0.0.1 and AAAA by the case.
fn serve_names(socket: &UdpSocket) {
    loop {
        let mut packet = [0; 512];
        let (length, from) = socket.recv_from(&mut packet).unwrap();
        let first = usize::from(packet[12]);
        let name = String::from_utf8_lossy(&packet[13..13 + first]).into_owned();
        // The question ends with the empty label, type and class.
        let end = 12 + packet[12..length].iter().position(|byte| *byte == 0).unwrap() + 5;
        let is_ipv4 = packet[end - 3] == 1;
        let case = CASES.iter().find(|(case, _)| *case == name);
        let code = match case {
            None => 3,
            Some(_) if is_ipv4 => 0,
            Some((_, None)) => continue,
            Some((_, Some(code))) => *code,
        };
        let mut answer = packet[..end].to_vec();
        let has_address = is_ipv4 && case.is_some();
        answer[2..12].copy_from_slice(&[
            0x81,
            0x80 | code,
            0,
            1,
            0,
            has_address.into(),
            0,
            0,
            0,
            0,
        ]);
        if has_address {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 127, 0, 0, 1]);
        }
        socket.send_to(&answer, from).unwrap();
    }
}

struct Dnsmasq(Child);

impl Dnsmasq {
    /// Serves one A record on 127.0.0.2.
    fn start(name: &str) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place that starts dnsmasq")]
        let mut command = Command::new(DNSMASQ);
        command.args([
            "--conf-file=/dev/null",
            "--keep-in-foreground",
            "--no-resolv",
            "--no-hosts",
        ]);
        command.args(["--listen-address=127.0.0.2", "--bind-interfaces", "--pid-file="]);
        command.args(["--user=root", "--group=root", &format!("--address=/{name}/127.0.0.1")]);
        let mut child = Self(command.stderr(Stdio::null()).spawn().unwrap());
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        socket.connect("127.0.0.2:53").unwrap();
        // Until it answers a question without a name.
        let question = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1];
        while socket.send(&question).and_then(|_| socket.recv(&mut [0; 99])).is_err() {
            assert_eq!(child.0.try_wait().unwrap(), None, "dnsmasq has ended");
        }
        child
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
