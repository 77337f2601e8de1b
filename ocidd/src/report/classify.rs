//! Maps errors to the causes that people and scripts distinguish, and to hints. Pure.

use crate::disk::choice::ChoiceError;
use crate::disk::device::DeviceError;
use crate::disk::wait::TargetError;
use crate::machine::AUTH_FILE;
use crate::report::diagnostic::Terms;
use crate::report::failure::Cause;
use crate::report::failure::DiskState;
use crate::report::failure::Failure;
use crate::write::error::SinkError;
use crate::write::pipeline::TransferError;
use crate::write::source::SourceError;
use registry::Error;

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
    Failure { cause, error: error.into(), hint, disk: DiskState::Untouched }
}

pub(crate) fn target(error: &TargetError) -> Cause {
    match error {
        TargetError::Choice(ChoiceError::NoMatch { .. }) => Cause::DiskMissing,
        TargetError::Choice(ChoiceError::Ambiguous { .. }) => Cause::DiskAmbiguous,
        TargetError::Device(error) => device(error),
    }
}

pub(crate) fn device(error: &DeviceError) -> Cause {
    match error {
        DeviceError::Missing { .. } | DeviceError::Open { .. } => Cause::DiskMissing,
        DeviceError::NotADisk { .. }
        | DeviceError::Partition { .. }
        | DeviceError::Empty { .. } => Cause::DiskNotWhole,
        DeviceError::Busy { .. } => Cause::DiskBusy,
        DeviceError::ReadOnly { .. } => Cause::DiskReadOnly,
    }
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
    match error {
        TransferError::Source(SourceError::Fetch(error)) => TERMS.hint(error),
        _ => None,
    }
}

/// None if the registry sent something that cannot be used.
fn registry_cause(error: &Error) -> Option<Cause> {
    Some(match error.root() {
        Error::Connect { .. } | Error::HostNotFound { .. } | Error::Interrupted(_) => {
            Cause::Unreachable
        }
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
