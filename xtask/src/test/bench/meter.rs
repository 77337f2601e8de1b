//! Measures a command: CPU time including all children, wall time, peak memory.

use crate::host::cmd::Background;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use std::fmt;
use std::fs;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;
use xshell::Cmd;

/// Measured seconds and KiB.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    pub user: f64,
    pub system: f64,
    pub wall: f64,
    /// Of the process without its children.
    pub peak_kib: f64,
}

impl Figures {
    pub fn cpu(&self) -> f64 {
        self.user + self.system
    }

    /// The median of each figure.
    pub fn median(runs: &[Self]) -> Self {
        let median = |figure: fn(&Self) -> f64| {
            let mut values: Vec<f64> = runs.iter().map(figure).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
        };
        Self {
            user: median(|f| f.user),
            system: median(|f| f.system),
            wall: median(|f| f.wall),
            peak_kib: median(|f| f.peak_kib),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, system, wall, peak_kib } = self;
        write!(
            f,
            "user {user:6.2} s  system {system:6.2} s  wall {wall:6.2} s  peak {:6.1} MiB",
            peak_kib / 1024.0
        )
    }
}

/// Runs and measures `cmd`. Fails with its standard error if it fails.
pub fn measure(cmd: Cmd<'_>) -> Result<Figures> {
    let name = cmd.to_string();
    let before = children_seconds()?;
    let start = Instant::now();
    let mut process = Background::start(cmd, |command| {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
    })?;
    let status_file = format!("/proc/{}/status", process.child.id());
    let mut peak_kib = 0.0_f64;
    let status = loop {
        if let Some(status) =
            process.child.try_wait().with_context(|| format!("waiting for `{name}`"))?
        {
            break status;
        }
        peak_kib = peak_kib.max(read_peak(&status_file).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(5));
    };
    let wall = start.elapsed().as_secs_f64();
    if !status.success() {
        let stderr = process
            .child
            .stderr
            .take()
            .map(std::io::read_to_string)
            .transpose()?
            .unwrap_or_default();
        bail!("`{name}` ended with {status}: {}", stderr.trim());
    }
    let after = children_seconds()?;
    Ok(Figures { user: after.0 - before.0, system: after.1 - before.1, wall, peak_kib })
}

fn read_peak(status_file: &str) -> Option<f64> {
    let status = fs::read_to_string(status_file).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok())
}

/// User and system time of all terminated descendants: fields 16 and 17 of /proc/PID/stat
/// (proc(5)), in ticks of 10 ms.
fn children_seconds() -> Result<(f64, f64)> {
    let stat = fs::read_to_string("/proc/self/stat").context("reading /proc/self/stat")?;
    // The second field is a name in parentheses, which may contain spaces.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut numbers = fields
        .split_whitespace()
        .skip(13)
        .map(|field| field.parse::<f64>().map(|ticks| ticks / 100.0));
    match (numbers.next(), numbers.next()) {
        (Some(Ok(user)), Some(Ok(system))) => Ok((user, system)),
        _ => bail!("invalid /proc/self/stat: {stat}"),
    }
}
