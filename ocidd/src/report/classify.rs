//! Maps errors to the causes that people and scripts distinguish, and to hints. Pure.

use std::io::ErrorKind;

use registry::{Error, error::TlsFault};

use crate::{
    disk::{choice::TargetError, device::DeviceError},
    machine::AUTH_FILE,
    report::{
        diagnostic::{Diagnostic, Terms},
        failure::{Cause, Failure},
    },
    write::{error::SinkError, pipeline::TransferError},
};

/// The names in hints of the installer.
const TERMS: Terms = Terms {
    plain_http: "oci.allow_no_tls",
    platform: "oci.platform=OS/ARCHITECTURE",
    add_authority: "put the PEM file of the site's certificate authority into /etc/ocidd/ca.d",
    add_server: "put exactly this certificate into /etc/ocidd/ca.d",
    fix_clock: "fix the clock or name a time server by ocidd.ntp",
    auth_file: AUTH_FILE,
};

/// A failure before the first write, by an error of the registry client.
pub(crate) fn fetching(error: Error) -> Failure {
    let hint = TERMS.hint(&error);
    foreign(registry_cause(&error), error, hint)
}

/// The error can quote what a registry sent: it becomes one line.
fn foreign(cause: Cause, error: impl Into<Diagnostic>, hint: Option<String>) -> Failure {
    let message = text::line(&error.into().message);
    Failure::new(cause, Diagnostic { message, hint })
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
        TransferError::Fetch(error) => (registry_cause(error), TERMS.hint(error)),
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
    foreign(cause, error, hint)
}

fn registry_cause(error: &Error) -> Cause {
    match error.root() {
        Error::During { source, .. } => registry_cause(source),
        Error::Connect { .. } | Error::HostNotFound { .. } | Error::Interrupted(_) => {
            Cause::UNREACHABLE
        }
        Error::Proxy { status, .. } => match status {
            407 => Cause::LOGIN,
            _ if error.is_transient() => Cause::UNREACHABLE,
            _ => Cause::REFUSED,
        },
        Error::NotHttp { .. }
        | Error::Tls { fault: TlsFault::Plain, .. }
        | Error::ProxyNoTls { .. }
        | Error::PlainHttp { .. }
        | Error::PlainRedirect { .. }
        | Error::PlainTokenServer
        | Error::TooManyRedirects { .. }
        | Error::TokenAnswer(_)
        | Error::WebPage { .. }
        | Error::Protocol(_)
        | Error::BlobDigest { .. } => Cause::TRANSFER,
        Error::Tls { .. } | Error::Authorities(_) => Cause::UNTRUSTED,
        Error::BadProxy(_) => Cause::PARAMETERS,
        Error::Status(error) => match error.status.as_u16() {
            401 | 403 | 407 => Cause::LOGIN,
            404 => Cause::NOT_FOUND,
            _ => Cause::REFUSED,
        },
        Error::LoginRequired { .. }
        | Error::LoginRejected(_)
        | Error::CredentialHelper { .. }
        | Error::Credentials(_)
        | Error::Challenge(_) => Cause::LOGIN,
        Error::RequestTooLarge { .. }
        | Error::DeleteUnsupported { .. }
        | Error::TagDeleteUnsupported { .. } => Cause::REFUSED,
        Error::TooLarge { .. }
        | Error::ManifestDigest { .. }
        | Error::NestedIndex { .. }
        | Error::Depth { .. }
        | Error::OtherDigest { .. }
        | Error::ReferrersTag { .. }
        | Error::NotAnIndex(_)
        | Error::Json(_)
        | Error::Oci(_) => Cause::MANIFEST,
        Error::Unsigned { .. } | Error::InvalidSignature { .. } | Error::ForeignEntries { .. } => {
            Cause::SIGNATURE
        }
        Error::NotInRegistry { .. } => Cause::NOT_FOUND,
        Error::NotInLayout { .. }
        | Error::SeveralImages { .. }
        | Error::NoDirectory(_)
        | Error::Contended
        | Error::NoStore
        | Error::Io(_) => Cause::INTERNAL,
    }
}

#[cfg(test)]
mod tests;
