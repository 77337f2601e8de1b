//! Sets a clock that is wrong: by a time server where there is one, and never to a time before the system was built.

use crate::timeserver;
use crate::timeserver::Answer;
use crate::timeserver::Server;
use crate::utc::Utc;
use crate::words::Time;
use anyhow::Context as _;
use rustix::time::ClockId;
use rustix::time::Timespec;
use rustix::time::clock_gettime;
use rustix::time::clock_settime;
use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

/// Our own file; the kernel gives it the time noted in the initramfs.
const PROGRAM: &str = "/proc/self/exe";

/// How long the install waits for the time servers, with all their names and repetitions.
const LIMIT: Duration = Duration::from_secs(3);

/// Sets the clock to the time of our own file when it is earlier. With a clock at 1970 no certificate is valid yet.
pub(crate) fn raise_to_floor() -> anyhow::Result<Option<Raise>> {
    let floor = read_floor()?;
    let raise = find_raise(clock_gettime(ClockId::Realtime).tv_sec, floor);
    if let Some(Raise { to, .. }) = raise {
        clock_settime(ClockId::Realtime, Timespec { tv_sec: to, tv_nsec: 0 })
            .with_context(|| format!("setting the clock to {}", Utc(to)))?;
    }
    Ok(raise)
}

/// Sets the clock by the first time server that answers, forward or back. None where nobody is to be asked.
pub(crate) fn set_by_server(wish: &Time) -> anyhow::Result<Option<Step>> {
    let servers = find_servers(wish, Path::new(timeserver::DHCP_SERVERS))?;
    if servers.is_empty() {
        return Ok(None);
    }
    let floor = Duration::from_secs(read_floor()?.max(0).cast_unsigned());
    let answer = timeserver::ask(&servers, floor, LIMIT).with_context(|| {
        let now = Utc(clock_gettime(ClockId::Realtime).tv_sec);
        format!("no time server answered, the clock says {now}")
    })?;
    let (before, now) = (clock_gettime(ClockId::Realtime), answer.now());
    let setting = || format!("setting the clock by {}", answer.server);
    let time = Timespec::try_from(now).with_context(setting)?;
    clock_settime(ClockId::Realtime, time).with_context(setting)?;
    Ok(Some(Step::new(before, time, &answer)))
}

fn find_servers(wish: &Time, dhcp: &Path) -> anyhow::Result<Vec<Server>> {
    match wish {
        Time::Off => Ok(Vec::new()),
        Time::Servers(servers) => Ok(servers.clone()),
        Time::Dhcp => timeserver::read_dhcp_servers(dhcp),
    }
}

fn read_floor() -> anyhow::Result<i64> {
    let file =
        std::fs::metadata(PROGRAM).with_context(|| format!("reading the time of {PROGRAM}"))?;
    Ok(file.mtime())
}

fn find_raise(now: i64, floor: i64) -> Option<Raise> {
    (now < floor).then_some(Raise { from: now, to: floor })
}

/// How far a time server has moved the clock.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Step {
    seconds: i64,
    server: String,
}

impl Step {
    fn new(before: Timespec, after: Timespec, answer: &Answer) -> Self {
        let step = after - before;
        let seconds = step.tv_sec + i64::from(step.tv_nsec >= 500_000_000);
        Self { seconds, server: answer.server.clone() }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seconds, server } = self;
        write!(f, "the clock was set by {seconds} s ({server})")
    }
}

/// A change of the clock, in seconds since 1970.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Raise {
    from: i64,
    to: i64,
}

impl fmt::Display for Raise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = *self;
        write!(f, "the clock said {}, set it to {}, the time of this initramfs", Utc(from), Utc(to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_earlier_clock_is_set() {
        for (now, floor, raise) in [
            (0, 1_767_225_600, Some(Raise { from: 0, to: 1_767_225_600 })),
            (99, 100, Some(Raise { from: 99, to: 100 })),
            (100, 100, None),
            (101, 100, None),
            (0, 0, None),
        ] {
            assert_eq!(find_raise(now, floor), raise, "{now} {floor}");
        }
    }

    #[test]
    fn servers_that_are_named_stand_in_for_those_of_dhcp() {
        let folder = tempfile::tempdir().unwrap();
        let dhcp = folder.path().join("ntp_servers");
        std::fs::write(&dhcp, "10.0.2.2\n").unwrap();
        let named = vec![Server::parse("ntp.example").unwrap()];
        for (wish, servers) in [
            (Time::Dhcp, vec![Server::parse("10.0.2.2").unwrap()]),
            (Time::Servers(named.clone()), named),
            (Time::Off, vec![]),
        ] {
            assert_eq!(find_servers(&wish, &dhcp).unwrap(), servers, "{wish:?}");
        }
    }

    #[test]
    fn a_step_is_told_with_its_direction_and_its_server() {
        for (seconds, text) in [
            (42, "the clock was set by 42 s (10.0.2.2)"),
            (-3, "the clock was set by -3 s (10.0.2.2)"),
        ] {
            assert_eq!(Step { seconds, server: "10.0.2.2".to_owned() }.to_string(), text);
        }
    }

    #[test]
    fn both_times_are_told() {
        let line = Raise { from: 0, to: 86_400 }.to_string();
        let wanted = "the clock said 1970-01-01T00:00:00Z, set it to 1970-01-02T00:00:00Z";
        assert!(line.starts_with(wanted), "{line}");
    }
}
