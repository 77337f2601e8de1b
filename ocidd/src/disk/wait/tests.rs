//! Disks that appear late, with a simulated clock.

use std::{cell::RefCell, fs};

use super::*;
use crate::disk::tests::fake_machine::FakeMachine;

/// Time that passes when it is slept through, and what then happens in the machine.
struct FakeClock<F> {
    now: Duration,
    slept: Vec<Duration>,
    after_sleep: F,
}

impl<F: FnMut(Duration)> FakeClock<F> {
    fn new(after_sleep: F) -> Self {
        Self { now: Duration::ZERO, slept: Vec::new(), after_sleep }
    }

    fn sleep(&mut self, duration: Duration) -> Duration {
        self.now += duration;
        self.slept.push(duration);
        (self.after_sleep)(self.now);
        self.now
    }
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn disk(name: &str, gib: u64) -> FoundDisk {
    FoundDisk {
        path: format!("/dev/{name}"),
        size_bytes: gib << 30,
        serial: Some(name.to_uppercase()),
        ..FoundDisk::default()
    }
}

/// What `target` comes to, after what time, with which lines, where each disk appears at its time.
fn find(
    target: &str,
    timeout: u64,
    appearing: &[(u64, FoundDisk)],
) -> (Result<PathBuf, TargetError>, Duration, Vec<String>) {
    let now = RefCell::new(Duration::ZERO);
    let mut clock = FakeClock::new(|passed| *now.borrow_mut() = passed);
    let disks = || {
        let there = appearing.iter().filter(|(at, _)| ms(*at) <= *now.borrow());
        there.map(|(_, disk)| disk.clone()).collect()
    };
    let mut lines = Vec::new();
    let found = find_among(
        &target.parse().unwrap(),
        Path::new("/dev"),
        disks,
        ms(timeout),
        |duration| clock.sleep(duration),
        |line| lines.push(line.to_owned()),
    );
    (found, clock.now, lines)
}

#[test]
fn accepts_a_unique_disk_at_once() {
    let (found, passed, lines) = find("serial:SDA", 60_000, &[(0, disk("sda", 1))]);
    assert_eq!(found.unwrap(), Path::new("/dev/sda"));
    assert_eq!((passed, lines), (ms(0), vec![]));
}

#[test]
fn waits_for_a_matching_disk_and_reports_it_once() {
    let (found, passed, lines) =
        find("serial:SDB", 60_000, &[(0, disk("sda", 1)), (7100, disk("sdb", 1))]);
    assert_eq!(found.unwrap(), Path::new("/dev/sdb"));
    assert_eq!(passed, ms(7250));
    assert_eq!(lines, ["waiting up to 60 s for a disk that matches 'serial:SDB'"]);
}

#[test]
fn returns_the_table_after_the_timeout() {
    let (found, passed, _) = find("serial:SDB", 1100, &[(0, disk("sda", 1))]);
    assert_eq!(passed, ms(1100));
    let error = found.unwrap_err();
    assert!(matches!(error, TargetError::NoMatch { .. }), "{error:?}");
    assert!(error.to_string().contains("no: serial is 'SDA'"), "{error}");
    let (found, passed, lines) = find("serial:SDB", 0, &[]);
    assert!(found.is_err());
    assert_eq!((passed, lines), (ms(0), vec![]), "no time-out, no waiting");
}

#[test]
fn does_not_wait_where_two_disks_match() {
    let (found, passed, lines) =
        find("serial:SD*", 60_000, &[(0, disk("sda", 1)), (0, disk("sdb", 2))]);
    assert!(matches!(found, Err(TargetError::Ambiguous { .. })), "{found:?}");
    assert_eq!((passed, lines), (ms(0), vec![]));
}

#[test]
fn waits_until_an_ambiguous_choice_is_stable() {
    for timeout in [0, 60_000] {
        let (found, passed, lines) = find("smallest", timeout, &[(0, disk("sda", 2))]);
        assert_eq!(found.unwrap(), Path::new("/dev/sda"));
        assert_eq!((passed, lines), (ms(1000), vec![]));
    }
    let late = [(0, disk("sda", 2)), (500, disk("sdb", 1))];
    let (found, passed, _) = find("smallest", 60_000, &late);
    assert_eq!(found.unwrap(), Path::new("/dev/sdb"));
    assert_eq!(passed, ms(1500));
    let (found, passed, _) = find("size:>1c", 60_000, &late);
    assert!(matches!(found, Err(TargetError::Ambiguous { .. })), "{found:?}");
    assert_eq!(passed, ms(500));
}

#[test]
fn waits_for_a_device_node_but_not_for_a_file() {
    let dev = tempfile::tempdir().unwrap();
    let node = dev.path().join("sda");
    let find = |path: &Path, appears: bool| {
        let mut clock = FakeClock::new(|now| {
            if appears && now >= ms(3000) {
                fs::write(&node, "").unwrap();
            }
        });
        let mut lines = Vec::new();
        let found = find_among(
            &Target::Path(path.to_owned()),
            dev.path(),
            Vec::new,
            ms(4000),
            |duration| clock.sleep(duration),
            |line| lines.push(line.to_owned()),
        );
        (found, clock.now, lines)
    };
    let (found, passed, lines) = find(&node, false);
    assert!(matches!(found, Err(TargetError::Device(DeviceError::Open { .. }))), "{found:?}");
    assert_eq!(passed, ms(4000));
    assert_eq!(lines, [format!("waiting up to 4 s for '{}' to appear", node.display())]);
    let (found, passed, _) = find(&node, true);
    assert_eq!((found.unwrap(), passed), (node.clone(), ms(3000)));
    let (found, passed, lines) = find(Path::new("/nosuch/disk.raw"), false);
    assert_eq!((passed, lines), (Duration::ZERO, vec![]));
    let error = format!("{:#}", anyhow::Error::new(found.unwrap_err()));
    assert_eq!(
        error,
        "opening target disk '/nosuch/disk.raw': No such file or directory (os error 2)"
    );
}

#[test]
fn finds_a_disk_of_a_machine_that_is_plugged_in_late() {
    let machine = FakeMachine::new();
    let mut plug = Some("pci0000:00/0000:00:03.0/virtio0/block/vda");
    let mut clock = FakeClock::new(|now| {
        if now >= ms(2000)
            && let Some(place) = plug.take()
        {
            machine.disk(place, "254:0", &[("serial", "V1")]);
        }
    });
    let disks = || read_disks(&machine.sys(), &machine.proc());
    let target = "serial:v1".parse().unwrap();
    let found = find_among(
        &target,
        Path::new("/dev"),
        disks,
        ms(9000),
        |duration| clock.sleep(duration),
        |_| {},
    );
    assert_eq!(found.unwrap(), Path::new("/dev/vda"));
    assert_eq!(clock.slept.len(), 8, "four looks a second");
}
