//! Maps errors to causes. Pure.

use crate::disk::choice::ChoiceError;
use crate::disk::device::DeviceError;
use crate::disk::wait::TargetError;
use crate::report::failure::Cause;
use crate::write::error::SinkError;
use crate::write::pipeline::TransferError;
use registry::error::HttpError;
use registry::error::Trouble;
use registry::signatures::NotSigned;
use std::error::Error;

pub(crate) fn fetching(error: &anyhow::Error) -> Cause {
    // Without an HTTP error the answer itself was unusable.
    http_cause(error.as_ref()).unwrap_or(Cause::Manifest)
}

pub(crate) fn signature(error: &anyhow::Error) -> Cause {
    if error.is::<NotSigned>() { Cause::Signature } else { fetching(error) }
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
        TransferError::Source(error) => http_cause(error).unwrap_or(Cause::Transfer),
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

fn http_cause(error: &(dyn Error + 'static)) -> Option<Cause> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(http) = error.downcast_ref::<HttpError>() {
            return Some(match http.trouble {
                Trouble::Unreachable => Cause::Unreachable,
                Trouble::Untrusted => Cause::Untrusted,
                Trouble::Useless => Cause::Transfer,
                Trouble::Status(status) => match status.as_u16() {
                    401 | 403 | 407 => Cause::Login,
                    404 => Cause::NotFound,
                    _ => Cause::Refused,
                },
            });
        }
        next = error.source();
    }
    None
}
