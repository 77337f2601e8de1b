//! Sets the clock: never earlier than the build of the initramfs, and then by a time server.

use std::{os::unix::fs::MetadataExt as _, path::Path, time::Duration};

use anyhow::Context as _;
use params::TimeServers;
use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

use crate::{
    log::report,
    time::{server, server::Server, utc::Utc},
};

/// Our own file, whose mtime is the time of the initramfs.
const PROGRAM: &str = "/proc/self/exe";

/// Time that all servers have together, including name lookups and repeated requests.
const LIMIT: Duration = Duration::from_secs(3);

/// Raises the clock to the time of our own file. In 1970 no certificate is valid yet.
pub(crate) fn raise_to_floor() -> anyhow::Result<()> {
    let (now, floor) = (clock_gettime(ClockId::Realtime).tv_sec, read_floor()?);
    let Some(message) = describe_raise(now, floor) else { return Ok(()) };
    clock_settime(ClockId::Realtime, Timespec { tv_sec: floor, tv_nsec: 0 })
        .with_context(|| format!("setting the clock to {}", Utc(floor)))?;
    report::info(message);
    Ok(())
}

/// Sets the clock forward or back to the time of the first server that answers.
pub(crate) fn set_by_server(servers: &TimeServers) -> anyhow::Result<()> {
    let servers = find_servers(servers, Path::new(server::DHCP_SERVERS))?;
    if servers.is_empty() {
        return Ok(());
    }
    let floor = Duration::from_secs(read_floor()?.max(0).cast_unsigned());
    let answer = server::ask(&servers, floor, LIMIT).with_context(|| {
        let now = Utc(clock_gettime(ClockId::Realtime).tv_sec);
        format!("no time server answered; the clock is at {now}")
    })?;
    let (before, now) = (clock_gettime(ClockId::Realtime), answer.now());
    let setting = || format!("setting the clock by {}", answer.server);
    let time = Timespec::try_from(now).with_context(setting)?;
    clock_settime(ClockId::Realtime, time).with_context(setting)?;
    report::info(describe_step(time - before, &answer.server));
    Ok(())
}

fn find_servers(servers: &TimeServers, dhcp: &Path) -> anyhow::Result<Vec<Server>> {
    match servers {
        TimeServers::Off => Ok(Vec::new()),
        TimeServers::Servers(servers) => Ok(servers.clone()),
        TimeServers::Dhcp => server::read_dhcp_servers(dhcp),
    }
}

fn read_floor() -> anyhow::Result<i64> {
    let file =
        std::fs::metadata(PROGRAM).with_context(|| format!("reading the time of {PROGRAM}"))?;
    Ok(file.mtime())
}

fn describe_raise(now: i64, floor: i64) -> Option<String> {
    let (from, to) = (Utc(now), Utc(floor));
    (now < floor)
        .then(|| format!("the clock said {from}, set it to {to}, the time of the initramfs"))
}

fn describe_step(step: Timespec, server: &str) -> String {
    let seconds = step.tv_sec + i64::from(step.tv_nsec >= 500_000_000);
    format!("the clock was set by {seconds} s ({server})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raises_only_an_earlier_clock() {
        let raised = "the clock said 1970-01-01T00:00:00Z, set it to 2026-01-01T00:00:00Z, \
                      the time of the initramfs";
        assert_eq!(describe_raise(0, 1_767_225_600).unwrap(), raised);
        for (now, floor, is_raised) in
            [(99, 100, true), (100, 100, false), (101, 100, false), (0, 0, false)]
        {
            assert_eq!(describe_raise(now, floor).is_some(), is_raised, "{now} {floor}");
        }
    }

    #[test]
    fn servers_of_parameters_replace_those_of_dhcp() {
        let folder = tempfile::tempdir().unwrap();
        let dhcp = folder.path().join("ntp_servers");
        std::fs::write(&dhcp, "10.0.2.2\n").unwrap();
        let named = vec![Server::parse("ntp.example").unwrap()];
        for (parameter, expected) in [
            (TimeServers::Dhcp, vec![Server::parse("10.0.2.2").unwrap()]),
            (TimeServers::Servers(named.clone()), named),
            (TimeServers::Off, vec![]),
        ] {
            assert_eq!(find_servers(&parameter, &dhcp).unwrap(), expected, "{parameter:?}");
        }
    }

    #[test]
    fn describes_a_step_with_direction_and_server() {
        for (tv_sec, tv_nsec, seconds) in
            [(42, 0, 42), (41, 500_000_000, 42), (-3, 0, -3), (-4, 600_000_000, -3)]
        {
            let expected = format!("the clock was set by {seconds} s (10.0.2.2)");
            assert_eq!(describe_step(Timespec { tv_sec, tv_nsec }, "10.0.2.2"), expected);
        }
    }
}
