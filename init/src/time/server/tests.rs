//! Time servers that answer well, badly or not at all.

use std::thread::spawn;

use super::*;
use crate::time::sntp::tests::{FLOOR, reply};

/// More than a test ever needs.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

/// A server that answers each request with these packets.
fn serve(answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Server {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    spawn(move || {
        let mut packet = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut packet) {
            for part in answer(&packet[..length]) {
                socket.send_to(&part, client).unwrap();
            }
        }
    });
    Server { host: "127.0.0.1".to_owned(), port }
}

fn good(seconds: u64) -> Server {
    serve(move |request| vec![reply(request, [0x24, 2], seconds)])
}

fn silent() -> Server {
    serve(|_| vec![])
}

fn error_of(servers: &[Server], limit: Duration) -> String {
    ask(servers, FLOOR, limit).unwrap_err().to_string()
}

#[test]
fn returns_the_time_of_a_server() {
    let server = good(FLOOR.as_secs() + 42);
    let answer = ask(std::slice::from_ref(&server), FLOOR, LONG).unwrap();
    assert_eq!(answer.server, server.to_string());
    let expected = FLOOR + Duration::from_secs(42);
    assert!(answer.now() >= expected && answer.now() < expected + LONG);
}

#[test]
fn resolves_the_name_of_a_server() {
    let server = Server { host: "localhost".to_owned(), ..good(FLOOR.as_secs()) };
    ask(&[server], FLOOR, LONG).unwrap();
}

#[test]
fn a_silent_server_does_not_delay_a_good_one() {
    let server = good(FLOOR.as_secs());
    let answer = ask(&[silent(), server.clone(), silent()], FLOOR, LONG).unwrap();
    assert_eq!(answer.server, server.to_string());
}

#[test]
fn repeats_a_lost_request() {
    let asked = std::sync::atomic::AtomicU32::new(0);
    let server =
        serve(move |request| match asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => vec![],
            _ => vec![reply(request, [0x24, 2], FLOOR.as_secs())],
        });
    ask(&[server], FLOOR, LONG).unwrap();
}

#[test]
fn ignores_forged_replies() {
    let server = serve(|request| {
        let right = reply(request, [0x24, 2], FLOOR.as_secs() + 5);
        let forged = reply(&[7; 48], [0x24, 2], FLOOR.as_secs() + 1_000_000);
        vec![vec![], b"not NTP".to_vec(), forged, right]
    });
    let answer = ask(&[server], FLOOR, LONG).unwrap();
    assert!(answer.now() < FLOOR + Duration::from_secs(1000));
}

#[test]
fn silence_ends_at_the_limit() {
    let servers = [silent(), silent()];
    let start = Instant::now();
    let error = error_of(&servers, SHORT);
    assert!(start.elapsed() >= SHORT && start.elapsed() < LONG);
    for server in &servers {
        assert!(error.contains(&format!("{server}: no answer in time")), "{error}");
    }
}

#[test]
fn rejects_a_time_before_the_floor() {
    let server = good(FLOOR.as_secs() - 1);
    let error = error_of(&[server], LONG);
    let expected = "it says 2025-12-31T23:59:59Z, before this initramfs was built";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn reports_the_error_of_each_server_at_once() {
    let kissing = serve(|request| vec![reply(request, [0x24, 0], FLOOR.as_secs())]);
    let unset = serve(|request| vec![reply(request, [0xe4, 2], FLOOR.as_secs())]);
    let start = Instant::now();
    let error = error_of(&[kissing.clone(), unset.clone()], LONG);
    assert!(start.elapsed() < LONG);
    for (server, expected) in
        [(kissing, "it rejects requests (RATE)"), (unset, "its own clock is not set")]
    {
        assert!(error.contains(&format!("{server}: {expected}")), "{error}");
    }
}

#[test]
fn reports_a_closed_port() {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    drop(socket);
    let closed = Server { host: "127.0.0.1".to_owned(), port };
    // Requests repeat until the limit; a busy machine needs more than `SHORT` for the first one.
    let error = error_of(&[closed], 10 * SHORT);
    assert!(error.contains("waiting for the answer: Connection refused"), "{error}");
}

#[test]
fn ignores_unknown_servers_from_dhcp() {
    let servers = |hosts: &[&str]| -> Vec<Server> {
        hosts.iter().map(|host| Server::parse(host).unwrap()).collect()
    };
    for (text, hosts) in [
        ("", &[][..]),
        ("0.0.0.0\n0.0.0.0\n0.0.0.0\n", &[]),
        ("10.0.2.2\n", &["10.0.2.2"]),
        ("10.0.2.2\n0.0.0.0\n10.0.2.3\n", &["10.0.2.2", "10.0.2.3"]),
        ("none\n10.0.2.2\n", &["10.0.2.2"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ntp_servers");
        assert_eq!(read_dhcp_servers(&file).unwrap(), []);
        fs::write(&file, text).unwrap();
        assert_eq!(read_dhcp_servers(&file).unwrap(), servers(hosts), "{text:?}");
    }
}
