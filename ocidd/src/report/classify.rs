//! Maps errors to the causes that people and scripts distinguish, and to hints. Pure.

use std::io::ErrorKind;

use registry::Error;

use crate::{
    disk::{choice::ChoiceError, device::DeviceError, wait::TargetError},
    machine::AUTH_FILE,
    report::{
        diagnostic::Terms,
        failure::{Cause, Failure},
    },
    write::{error::SinkError, pipeline::TransferError, source::SourceError},
};

/// The names in hints of the installer.
const TERMS: Terms = Terms {
    plain_http: "oci.allow_no_tls",
    platform: "oci.platform=OS/ARCHITECTURE",
    add_authority: "put the PEM file of the site's certificate authority into /etc/ocidd/ca.d",
    fix_clock: "fix the clock or name a time server by ocidd.ntp",
    auth_file: AUTH_FILE,
};

/// A failure before the first write, from an error of the registry client.
pub(crate) fn fetching(error: Error) -> Failure {
    let cause = registry_cause(&error).unwrap_or(Cause::Manifest);
    let hint = TERMS.hint(&error);
    Failure::new(cause, error, hint)
}

pub(crate) fn target(error: TargetError) -> Failure {
    match error {
        TargetError::Choice(error) => {
            let cause = match error {
                ChoiceError::NoMatch { .. } => Cause::DiskMissing,
                ChoiceError::Ambiguous { .. } => Cause::DiskAmbiguous,
            };
            Failure::new(cause, error, None)
        }
        TargetError::Device(error) => device(error),
    }
}

pub(crate) fn device(error: DeviceError) -> Failure {
    let hint = |text: &str| Some(text.to_owned());
    let (cause, hint) = match &error {
        // Links of udev are copied from running systems, but do not exist in an initramfs.
        DeviceError::Open { path, source }
            if source.kind() == ErrorKind::NotFound && path.starts_with("/dev/disk") =>
        {
            let text = "udev may not run here; set dd.of=serial:…, wwn:… or path:…";
            (Cause::DiskMissing, hint(text))
        }
        DeviceError::Open { .. } => (Cause::DiskMissing, None),
        DeviceError::NotADisk { .. } | DeviceError::Empty { .. } => (Cause::DiskNotWhole, None),
        DeviceError::Partition { disk, .. } => {
            (Cause::DiskNotWhole, Some(format!("set dd.of={disk}")))
        }
        DeviceError::Busy { holders, .. } if holders.is_empty() => {
            (Cause::DiskBusy, hint("look for a program that has it open"))
        }
        DeviceError::Busy { .. } => {
            (Cause::DiskBusy, hint("stop using it, or choose another disk"))
        }
        DeviceError::ReadOnly { .. } => {
            (Cause::DiskReadOnly, hint("check for a write-protect switch, or virtual media"))
        }
    };
    Failure::new(cause, error, hint)
}

pub(crate) fn transfer(error: &TransferError) -> Cause {
    match error {
        TransferError::Source(SourceError::Fetch(error)) => {
            registry_cause(error).unwrap_or(Cause::Transfer)
        }
        TransferError::Source(_) => Cause::Transfer,
        TransferError::Digest { .. } => Cause::Digest,
        TransferError::Decode { .. }
        | TransferError::RawSize { .. }
        | TransferError::RawDigest { .. }
        | TransferError::Empty => Cause::Stream,
        TransferError::Format(_) => Cause::Format,
        TransferError::Sink(error) => match error {
            SinkError::TooSmall { .. } => Cause::DiskTooSmall,
            SinkError::SectorSize { .. } => Cause::DiskSectors,
            SinkError::Write { .. } | SinkError::Sync(_) | SinkError::Read { .. } => Cause::Write,
            SinkError::ReadBack { .. } => Cause::ReadBack,
        },
        TransferError::Thread(_) | TransferError::Stopped => Cause::Internal,
    }
}

/// The hint for an image that did not reach the disk.
pub(crate) fn transfer_hint(error: &TransferError) -> Option<String> {
    let hint = match error {
        TransferError::Source(SourceError::Fetch(error)) => return TERMS.hint(error),
        TransferError::Decode { .. } => "compress and push the image again",
        TransferError::Sink(SinkError::SectorSize { .. }) => "build the image for such disks",
        TransferError::Sink(SinkError::ReadBack { .. }) => {
            "replace the disk, its cable or its controller"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// None if the registry sent something that cannot be used.
fn registry_cause(error: &Error) -> Option<Cause> {
    Some(match error.root() {
        Error::Connect { .. }
        | Error::NotHttp { .. }
        | Error::HostNotFound { .. }
        | Error::Interrupted(_) => Cause::Unreachable,
        Error::Certificate { .. } => Cause::Untrusted,
        Error::NoTls { .. }
        | Error::PlainHttp { .. }
        | Error::PlainRedirect { .. }
        | Error::TooManyRedirects { .. }
        | Error::WebPage { .. }
        | Error::Protocol(_) => Cause::Transfer,
        Error::Status(error) => match error.status.as_u16() {
            401 | 403 | 407 => Cause::Login,
            404 => Cause::NotFound,
            _ => Cause::Refused,
        },
        Error::LoginRequired { .. } | Error::LoginRejected(_) => Cause::Login,
        Error::Unsigned { .. } | Error::InvalidSignature { .. } => Cause::Signature,
        _ => return None,
    })
}
