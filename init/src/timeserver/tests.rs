//! Servers on the loopback that answer, lie, or keep silent.

use super::*;
use crate::sntp::tests::FLOOR;
use crate::sntp::tests::reply;
use std::thread::spawn;

/// More than a test machine ever needs; less is only waited for where silence is the rule under test.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

/// A server that answers each request with these packets, for as long as the tests run.
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

fn fault(servers: &[Server], limit: Duration) -> String {
    ask(servers, FLOOR, limit).unwrap_err().to_string()
}

#[test]
fn a_servers_time_is_taken() {
    let server = good(FLOOR.as_secs() + 42);
    let answer = ask(std::slice::from_ref(&server), FLOOR, LONG).unwrap();
    assert_eq!(answer.server, server.to_string());
    let wanted = FLOOR + Duration::from_secs(42);
    assert!(answer.now() >= wanted && answer.now() < wanted + LONG);
}

#[test]
fn a_server_at_the_other_end_of_a_name_is_asked_too() {
    let server = Server { host: "localhost".to_owned(), ..good(FLOOR.as_secs()) };
    ask(&[server], FLOOR, LONG).unwrap();
}

#[test]
fn a_silent_server_does_not_keep_a_good_one_from_answering() {
    let server = good(FLOOR.as_secs());
    let answer = ask(&[silent(), server.clone(), silent()], FLOOR, LONG).unwrap();
    assert_eq!(answer.server, server.to_string());
}

#[test]
fn a_lost_request_is_repeated() {
    let asked = std::sync::atomic::AtomicU32::new(0);
    let server =
        serve(move |request| match asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => vec![],
            _ => vec![reply(request, [0x24, 2], FLOOR.as_secs())],
        });
    ask(&[server], FLOOR, LONG).unwrap();
}

#[test]
fn a_forged_reply_does_not_hide_the_right_one() {
    let server = serve(|request| {
        let right = reply(request, [0x24, 2], FLOOR.as_secs() + 5);
        let forged = reply(&[7; 48], [0x24, 2], FLOOR.as_secs() + 1_000_000);
        vec![vec![], b"not NTP".to_vec(), forged, right]
    });
    let answer = ask(&[server], FLOOR, LONG).unwrap();
    assert!(answer.now() < FLOOR + Duration::from_secs(1000));
}

#[test]
fn silence_ends_with_the_time_limit() {
    let servers = [silent(), silent()];
    let start = Instant::now();
    let told = fault(&servers, SHORT);
    assert!(start.elapsed() >= SHORT && start.elapsed() < LONG);
    for server in &servers {
        assert!(told.contains(&format!("{server}: no answer in time")), "{told}");
    }
}

#[test]
fn a_time_below_the_floor_is_refused() {
    let server = good(FLOOR.as_secs() - 1);
    let told = fault(&[server], LONG);
    let wanted = "it says 2025-12-31T23:59:59Z, when this initramfs was not made yet";
    assert!(told.contains(wanted), "{told}");
}

#[test]
fn servers_that_refuse_are_not_waited_for_and_told_one_by_one() {
    let kissing = serve(|request| vec![reply(request, [0x24, 0], FLOOR.as_secs())]);
    let unset = serve(|request| vec![reply(request, [0xe4, 2], FLOOR.as_secs())]);
    let start = Instant::now();
    let told = fault(&[kissing.clone(), unset.clone()], LONG);
    assert!(start.elapsed() < LONG);
    for (server, wanted) in
        [(kissing, "it refuses to answer (RATE)"), (unset, "its own clock is not set")]
    {
        assert!(told.contains(&format!("{server}: {wanted}")), "{told}");
    }
}

#[test]
fn a_closed_port_is_told() {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    drop(socket);
    let closed = Server { host: "127.0.0.1".to_owned(), port };
    // It is asked again until the time is up, and a busy machine takes longer for the first time than a short one.
    let told = fault(&[closed], 10 * SHORT);
    assert!(told.contains("waiting for the answer: Connection refused"), "{told}");
}

#[test]
fn hosts_have_a_port_where_they_say_one() {
    for (text, wanted) in [
        ("ntp.example", Some(("ntp.example", 123))),
        ("ntp.example:1123", Some(("ntp.example", 1123))),
        ("10.0.2.2", Some(("10.0.2.2", 123))),
        ("10.0.2.2:1", Some(("10.0.2.2", 1))),
        ("fd00::1", Some(("fd00::1", 123))),
        ("[fd00::1]", Some(("fd00::1", 123))),
        ("[fd00::1]:99", Some(("fd00::1", 99))),
        ("", None),
        (":123", None),
        ("a b", None),
        ("a:b", None),
        ("a:", None),
        ("a:1:2", None),
        ("a:65536", None),
        ("[10.0.2.2]", None),
        ("[fd00::1", None),
        ("[fd00::1]99", None),
        ("http://a", None),
    ] {
        let wanted = wanted.map(|(host, port)| Server { host: host.to_owned(), port });
        assert_eq!(Server::parse(text), wanted, "{text:?}");
        if let Some(server) = wanted {
            assert_eq!(Server::parse(&server.to_string()), Some(server));
        }
    }
}

#[test]
fn what_dhcp_has_not_named_is_no_server() {
    let named = |hosts: &[&str]| -> Vec<Server> {
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
        assert_eq!(read_dhcp_servers(&file).unwrap(), named(hosts), "{text:?}");
    }
}
