//! One install from plan to summary, in the order that keeps the disk safe: everything that can be refused is refused before the first write.

use crate::digest::Digest;
use crate::disk::device::Device;
use crate::disk::sink::Abandoned;
use crate::disk::sink::Sink;
use crate::disk::sink::SinkError;
use crate::failure::DiskState;
use crate::failure::Failure;
use crate::failure::Kind;
use crate::failure::OrFail as _;
use crate::pipeline;
use crate::pipeline::TransferError;
use crate::plan::Confirm;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::registry::CertificateFiles;
use crate::registry::Registry;
use crate::report::Rate;
use crate::report::Report;
use crate::size::Bytes;
use anyhow::anyhow;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

/// Where the machine keeps what an install reads from it. A test has its own.
#[derive(Clone, Debug)]
pub struct Machine {
    /// A mounted sysfs.
    pub sys: PathBuf,
    pub certificates: CertificateFiles,
}

/// What an install achieved. Prints as the last line of a good one.
#[derive(Clone, Debug)]
pub struct Summary {
    pub disk: PathBuf,
    pub bytes: u64,
    pub elapsed: Duration,
    /// Of the compressed layer, as it was verified.
    pub digest: Digest,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, tenths) = (self.elapsed.as_secs(), self.elapsed.subsec_millis() / 100);
        let rate = Rate { bytes: self.bytes, elapsed: self.elapsed };
        write!(
            f,
            "installed {} on {} in {seconds}.{tenths} s, {rate}, layer {}",
            Bytes(self.bytes),
            self.disk.display(),
            self.digest
        )
    }
}

/// Carries `plan` out. `confirm` is called where the plan wants a person's yes, after registry and disk were found good.
pub fn install(
    plan: &Plan,
    machine: &Machine,
    report: Report,
    confirm: impl FnOnce() -> anyhow::Result<bool>,
) -> Result<Summary, Failure> {
    let disk = plan.disk.display().to_string();
    let mut device = Device::open(&plan.disk, &machine.sys).or_fail(Kind::Disk)?;
    let mut registry = Registry::new(plan.image.repository(), plan.tls, &machine.certificates)
        .or_fail(Kind::Fetch)?;
    let layer = registry.resolve(&plan.image).or_fail(Kind::Fetch)?;
    if plan.confirm == Confirm::Ask && !confirm().or_fail(Kind::Declined)? {
        return Err(anyhow!("not confirmed")).or_fail(Kind::Declined);
    }
    let compressed = registry.open(&layer).or_fail(Kind::Fetch)?;
    report.say(format_args!("installing {} to {disk}", plan.image));

    let start = Instant::now();
    let transfer_bytes = plan
        .transfer_size
        .and_then(|bytes| usize::try_from(bytes).ok())
        .unwrap_or(pipeline::IMAGE_BYTES);
    let mut sink = Sink::new(&mut device, transfer_bytes);
    let progress = Progress::default();
    let total = compressed.size_bytes;
    let transferred =
        report.follow(&progress, total, || pipeline::transfer(compressed, &mut sink, &progress));
    let committed =
        transferred.and_then(|verified| Ok((sink.commit(&verified)?, verified.digest())));
    match committed {
        Ok((bytes, digest)) => {
            Ok(Summary { disk: plan.disk.clone(), bytes, elapsed: start.elapsed(), digest })
        }
        Err(error) => {
            let kind = kind_of(&error);
            let state = disk_state(sink.abandon(), &disk);
            let error = anyhow::Error::new(error).context(format!("installing to {disk}"));
            Err(Failure { kind, error, disk: state })
        }
    }
}

fn kind_of(error: &TransferError) -> Kind {
    match error {
        TransferError::Source(_) => Kind::Fetch,
        TransferError::Digest { .. } | TransferError::Gzip { .. } | TransferError::Empty => {
            Kind::Image
        }
        TransferError::Sink(SinkError::TooSmall { .. }) => Kind::Disk,
        TransferError::Sink(SinkError::Write { .. } | SinkError::Sync(_)) => Kind::Write,
        TransferError::Thread(_) | TransferError::Stopped => Kind::Internal,
    }
}

fn disk_state(abandoned: Result<Abandoned, SinkError>, disk: &str) -> DiskState {
    match abandoned {
        Ok(Abandoned::Untouched) => DiskState::Untouched,
        Ok(Abandoned::Cleared) => DiskState::Cleared { disk: disk.to_owned() },
        Err(error) => {
            DiskState::Unknown { disk: disk.to_owned(), reason: format!("{:#}", anyhow!(error)) }
        }
    }
}
