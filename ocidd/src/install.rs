//! The install sequence. Every check that can reject an install runs before the first write.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::anyhow;
use oci::{manifest::Layer, reference::Image, signature::Key, size::Bytes};
use registry::{
    blob::Blob,
    credentials::Credentials,
    http::{CertificateCheck, Client},
    mirrors::{Registry, Resolved},
    observer::Observer,
    retry::RetryPolicy,
    signatures::Signed,
};

use crate::{
    disk::{
        buffer::{ALIGNMENT, AlignedBuffer},
        device::{Device, Medium as _},
        reread,
        wait::find_target,
    },
    format,
    format::Format,
    machine::Machine,
    plan::{Confirm, InstallMode, Plan},
    report::{
        classify,
        console::Rate,
        diagnostic::Diagnostic,
        event,
        event::{Done, Event, Listener, Outcome, Progress},
        failure::{Cause, Failure, OrFail as _},
    },
    trust::Trust,
    write::{
        ends::Finish,
        error::SinkError,
        marker, pipeline,
        sink::{Committed, Sink},
    },
};

const UNCHECKED_CERTIFICATES: &str = "CERTIFICATES ARE NOT CHECKED (oci.insecure_skip_verify): \
    a man in the middle can change tags and read credentials";

/// Maximum expansion of deflate (zlib, "Technical Details", "Maximum Compression Factor").
const DEFLATE_RATIO: u64 = 1032;

/// Executes `plan`. If the plan requires a confirmation, `confirm` is called with the disk, after the
/// registry and the disk were checked.
pub fn install(
    plan: &Plan,
    machine: &Machine,
    listener: &dyn Listener,
    confirm: impl FnOnce(&Path) -> Result<bool, Diagnostic>,
) -> Result<Done, Failure> {
    if plan.network.certificates == CertificateCheck::Skip {
        listener.warn(UNCHECKED_CERTIFICATES.to_owned());
    }
    let keys = read_keys(plan, machine)?;
    let (path, device) = open_disk(plan, machine, listener)?;
    let mut registry = open_registry(plan, machine, &listener)?;
    let resolved = registry.resolve(&plan.image, &plan.platform).map_err(classify::fetching)?;
    let signed = verify_signature(&mut registry, plan, &resolved, &keys, listener)?;
    let layer = resolved.layer;
    check_size(layer.raw_size_bytes, &device)?;
    let mut job = Job { plan, path, device, layer, signed, listener, start: Instant::now() };
    if plan.mode == InstallMode::UnlessInstalled && job.is_installed() {
        return Ok(job.done(Outcome::AlreadyInstalled, 0));
    }
    let is_dry_run = plan.mode == InstallMode::DryRun;
    let asks = plan.confirm == Confirm::Ask && !is_dry_run;
    if asks && !confirm(&job.path).or_fail(Cause::DECLINED)? {
        return Err(anyhow!("not confirmed")).or_fail(Cause::DECLINED);
    }
    let blob = job.open_blob(registry)?;
    if is_dry_run {
        return Ok(job.done(Outcome::DryRun, 0));
    }
    let committed = job.write(blob)?;
    let image_bytes = committed.image_bytes;
    committed.notes.into_iter().for_each(|note| listener.warn(note));
    Ok(job.finish(image_bytes, machine))
}

/// The trusted keys; none if no signature is required.
fn read_keys(plan: &Plan, machine: &Machine) -> Result<Vec<Key>, Failure> {
    let cause = match plan.trust {
        Trust::Site => Cause::SIGNATURE,
        Trust::Named(_) => Cause::PARAMETERS,
    };
    let keys = plan.trust.read(&machine.keys_folder).or_fail(cause)?;
    match plan.image {
        Image::Blob(_) if !keys.is_empty() => Err(Diagnostic::new(
            "oci.blob is given, but a blob without a manifest has no signature to verify",
            "select a manifest with oci.tag",
        ))
        .or_fail(Cause::PARAMETERS),
        _ => Ok(keys),
    }
}

/// If there are trusted keys, the image must be signed by one of them.
fn verify_signature(
    registry: &mut Registry<'_>,
    plan: &Plan,
    resolved: &Resolved,
    keys: &[Key],
    listener: &dyn Listener,
) -> Result<Option<Signed>, Failure> {
    if keys.is_empty() {
        return Ok(None);
    }
    let signed = registry.verify(&resolved.manifests, keys).map_err(|error| {
        let doing = format!("verifying the signature of {}", plan.image);
        classify::fetching(error).context(doing)
    })?;
    listener.note(signed.to_string());
    Ok(Some(signed))
}

fn open_disk(
    plan: &Plan,
    machine: &Machine,
    listener: &dyn Listener,
) -> Result<(PathBuf, Device), Failure> {
    let path = find_target(&plan.disk, &machine.sys, &machine.proc, plan.disk_timeout, |line| {
        listener.note(line.to_owned());
    })
    .map_err(classify::target)?;
    let device = Device::open(&path, &machine.sys, &machine.proc).map_err(classify::device)?;
    Ok((path, device))
}

fn open_registry<'o>(
    plan: &Plan,
    machine: &Machine,
    observer: &'o dyn Observer,
) -> Result<Registry<'o>, Failure> {
    let client = Client::new(&plan.network, &machine.certificates).or_fail(Cause::UNTRUSTED)?;
    let credentials = Credentials::read(&machine.auth_file).or_fail(Cause::LOGIN)?;
    let policy =
        RetryPolicy { max_retries: plan.retries.0, first_delay: machine.first_retry_delay };
    let repository = plan.image.repository();
    Ok(Registry::new(repository, &plan.mirrors, &client, credentials, policy, observer))
}

/// Checks that an image of at least `size_bytes` fits.
fn check_size(size_bytes: Option<u64>, device: &Device) -> Result<(), Failure> {
    let disk = device.size_bytes();
    match size_bytes.filter(|image| *image > disk) {
        Some(image) => Err(SinkError::TooSmall { image, disk }).or_fail(Cause::DISK_TOO_SMALL),
        None => Ok(()),
    }
}

/// An install with a resolved image and an open disk.
struct Job<'a> {
    plan: &'a Plan,
    path: PathBuf,
    device: Device,
    layer: Layer,
    signed: Option<Signed>,
    listener: &'a dyn Listener,
    start: Instant,
}

impl Job<'_> {
    fn disk(&self) -> String {
        self.path.display().to_string()
    }

    /// Whether the disk has a marker of this layer. An unreadable marker counts as none.
    fn is_installed(&mut self) -> bool {
        let disk_bytes = self.device.size_bytes();
        let Some(offset) = marker::offset(disk_bytes) else { return false };
        let mut buffer = AlignedBuffer::new(usize::from(ALIGNMENT));
        let is_read = self.device.read_exact_at(buffer.unfilled(), offset).is_ok();
        let marker = marker::decode(buffer.unfilled(), disk_bytes).filter(|_| is_read);
        marker.is_some_and(|marker| marker.layer == self.layer.digest)
    }

    /// Opens the layer, and rejects an image that is known to be too large.
    fn open_blob<'o>(&mut self, registry: Registry<'o>) -> Result<Blob<'o>, Failure> {
        let mut blob = registry.open(&self.layer).map_err(classify::fetching)?;
        if self.layer.raw_size_bytes.is_none() {
            check_size(self.read_size(&mut blob), &self.device).map_err(|failure| {
                failure.context("reading the size at the end of the gzip stream")
            })?;
        }
        Ok(blob)
    }

    /// The size in the last bytes of a gzip stream: that of its last member, modulo 4 GiB (RFC 1952,
    /// 2.3.1). The image has at least this size. It is not verified yet, so a size that deflate
    /// cannot reach is ignored.
    fn read_size(&self, blob: &mut Blob<'_>) -> Option<u64> {
        self.layer.media_type.as_deref().filter(|announced| announced.ends_with("+gzip"))?;
        let first = blob.peek(format::FIRST_BYTES).ok()?;
        format::detect(first).ok().filter(|format| *format == Format::Gzip)?;
        let size = format::size_hint(Format::Gzip, &[], &blob.read_tail(4)?)?;
        let max = blob.size_bytes()?.saturating_mul(DEFLATE_RATIO);
        Some(size).filter(|size| *size <= max)
    }

    fn write(&mut self, blob: Blob<'_>) -> Result<Committed, Failure> {
        let disk = self.disk();
        self.start = Instant::now();
        let size_bytes = blob.size_bytes();
        self.listener.on_event(&Event::Started {
            image: self.plan.image.to_string(),
            disk: disk.clone(),
            layer: self.layer.digest,
            size_bytes,
        });
        let transfer_bytes = self
            .plan
            .transfer_size
            .and_then(|bytes| usize::try_from(bytes).ok())
            .unwrap_or(pipeline::IMAGE_BYTES);
        let mut sink = Sink::new(&mut self.device, transfer_bytes, self.plan.verify);
        let progress = Progress::default();
        let transferred = event::follow(self.listener, &progress, size_bytes, || {
            pipeline::transfer(blob, &self.layer, &mut sink, &progress)
        });
        let finish = Finish { gpt: self.plan.gpt, marker: Some(self.layer.digest) };
        let committed = transferred.and_then(|verified| Ok(sink.commit(&verified, &finish)?));
        committed.map_err(|error| {
            let failure = classify::transfer(error).context(format!("installing to {disk}"));
            Failure { disk: sink.abandon(&disk), ..failure }
        })
    }

    /// Closes the disk and makes the kernel read its new partition table.
    fn finish(self, image_bytes: u64, machine: &Machine) -> Done {
        let done = self.done(Outcome::Installed, image_bytes);
        let Self { path, device, listener, .. } = self;
        let is_disk = device.sector_bytes().is_some();
        drop(device);
        if is_disk {
            match reread::reread(&path, &machine.sys) {
                Ok(partitions) if partitions.is_empty() => {}
                Ok(partitions) => listener.note(format!("partitions: {}", partitions.join(", "))),
                Err(error) => {
                    listener.warn(format!("{error:#}; reboot to see the new partitions"));
                }
            }
        }
        done
    }

    fn done(&self, outcome: Outcome, image_bytes: u64) -> Done {
        let (disk, layer, elapsed) = (self.disk(), self.layer.digest, self.start.elapsed());
        let message = match outcome {
            Outcome::Installed => {
                let rate = Rate { bytes: image_bytes, elapsed };
                let (seconds, tenths) = (elapsed.as_secs(), elapsed.subsec_millis() / 100);
                format!(
                    "installed {} on {disk} in {seconds}.{tenths} s, {rate}, layer {layer}",
                    Bytes(image_bytes)
                )
            }
            Outcome::AlreadyInstalled => {
                format!("already installed on {disk}: layer {layer}; nothing was written")
            }
            Outcome::DryRun => self.dry_run(&disk),
        };
        Done { outcome, message, layer, image_bytes, elapsed }
    }

    fn dry_run(&self, disk: &str) -> String {
        let size = |bytes: Option<u64>| {
            bytes.map_or("unknown".to_owned(), |bytes| Bytes(bytes).to_string())
        };
        let lines = [
            format!("would install {} to {disk}", self.plan.image),
            format!(
                "  layer {}, {}",
                self.layer.digest,
                self.layer.media_type.as_deref().unwrap_or("a blob")
            ),
            self.signed.as_ref().map_or_else(
                || "  signature: not required".to_owned(),
                |signed| format!("  {signed}"),
            ),
            format!("  compressed size: {}", size(self.layer.size_bytes)),
            format!("  image size: {}", size(self.layer.raw_size_bytes)),
            format!("  disk size: {}", Bytes(self.device.size_bytes())),
            "dry run: nothing was written".to_owned(),
        ];
        lines.join("\n")
    }
}
