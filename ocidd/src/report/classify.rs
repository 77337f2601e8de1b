//! Maps errors to the causes that people and scripts distinguish, and to hints. Pure.

use std::io::ErrorKind;

use registry::Error;

use crate::{
    disk::{choice::TargetError, device::DeviceError},
    machine::AUTH_FILE,
    report::{
        diagnostic::Terms,
        failure::{Cause, Failure},
    },
    write::{error::SinkError, pipeline::TransferError},
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
    let cause = registry_cause(&error).unwrap_or(Cause::MANIFEST);
    let hint = TERMS.hint(&error);
    Failure::new(cause, error).with_hint(hint)
}

pub(crate) fn target(error: TargetError) -> Failure {
    let (cause, hint) = match error {
        TargetError::NoDisks { .. } => {
            (Cause::DISK_MISSING, "check the kernel for the driver of the controller")
        }
        TargetError::NoMatch { .. } => {
            (Cause::DISK_MISSING, "use a property from this list, such as dd.of=serial:…")
        }
        TargetError::Ambiguous { .. } => {
            (Cause::DISK_AMBIGUOUS, "add a part that matches only one of them, such as serial:…")
        }
        TargetError::Device(error) => return device(error),
    };
    Failure::new(cause, error).with_hint(Some(hint.to_owned()))
}

pub(crate) fn device(error: DeviceError) -> Failure {
    let hint = |text: &str| Some(text.to_owned());
    let (cause, hint) = match &error {
        // Links of udev are copied from running systems, but do not exist in an initramfs.
        DeviceError::Open { path, source }
            if source.kind() == ErrorKind::NotFound && path.starts_with("/dev/disk") =>
        {
            let text = "udev may not run here; set dd.of=serial:…, wwn:… or path:…";
            (Cause::DISK_MISSING, hint(text))
        }
        DeviceError::Open { .. } => (Cause::DISK_MISSING, None),
        DeviceError::NotADisk { .. } | DeviceError::Empty { .. } => (Cause::DISK_NOT_WHOLE, None),
        DeviceError::Partition { disk, .. } => {
            (Cause::DISK_NOT_WHOLE, Some(format!("set dd.of={disk}")))
        }
        DeviceError::Busy { holders, .. } if holders.is_empty() => {
            (Cause::DISK_BUSY, hint("look for a program that has it open"))
        }
        DeviceError::Busy { .. } => {
            (Cause::DISK_BUSY, hint("stop using it, or choose another disk"))
        }
        DeviceError::ReadOnly { .. } => {
            (Cause::DISK_READ_ONLY, hint("check for a write-protect switch, or virtual media"))
        }
    };
    Failure::new(cause, error).with_hint(hint)
}

/// A failure after the first write, or before.
pub(crate) fn transfer(error: TransferError) -> Failure {
    let hint = |text: &str| Some(text.to_owned());
    let (cause, hint) = match &error {
        TransferError::Fetch(error) => {
            (registry_cause(error).unwrap_or(Cause::TRANSFER), TERMS.hint(error))
        }
        TransferError::Short { .. } | TransferError::Long { .. } => (Cause::TRANSFER, None),
        TransferError::Digest { .. } => (Cause::DIGEST, None),
        TransferError::Decode { .. } => (Cause::STREAM, hint("compress and push the image again")),
        TransferError::RawSize { .. } | TransferError::RawDigest { .. } | TransferError::Empty => {
            (Cause::STREAM, None)
        }
        TransferError::Format(error) => (Cause::FORMAT, Some(error.hint())),
        TransferError::Sink(error) => match error {
            SinkError::TooSmall { .. } => (Cause::DISK_TOO_SMALL, None),
            SinkError::SectorSize { .. } => {
                (Cause::DISK_SECTORS, hint("build the image for such disks"))
            }
            SinkError::Write { .. } | SinkError::Sync(_) | SinkError::Read { .. } => {
                (Cause::WRITE, None)
            }
            SinkError::ReadBack { .. } => {
                (Cause::READ_BACK, hint("replace the disk, its cable or its controller"))
            }
        },
        TransferError::Thread(_) | TransferError::Stopped => (Cause::INTERNAL, None),
    };
    Failure::new(cause, error).with_hint(hint)
}

/// None if the registry sent something that cannot be used.
fn registry_cause(error: &Error) -> Option<Cause> {
    Some(match error.root() {
        Error::Connect { .. }
        | Error::NotHttp { .. }
        | Error::HostNotFound { .. }
        | Error::Interrupted(_) => Cause::UNREACHABLE,
        Error::Certificate { .. } => Cause::UNTRUSTED,
        Error::NoTls { .. }
        | Error::PlainHttp { .. }
        | Error::PlainRedirect { .. }
        | Error::TooManyRedirects { .. }
        | Error::WebPage { .. }
        | Error::Protocol(_) => Cause::TRANSFER,
        Error::Status(error) => match error.status.as_u16() {
            401 | 403 | 407 => Cause::LOGIN,
            404 => Cause::NOT_FOUND,
            _ => Cause::REFUSED,
        },
        Error::LoginRequired { .. } | Error::LoginRejected(_) => Cause::LOGIN,
        Error::Unsigned { .. } | Error::InvalidSignature { .. } => Cause::SIGNATURE,
        _ => return None,
    })
}
