//! The part of an install that asks who signed the image: keys from where the plan says, the image's manifests, a good signature or a failure.

use crate::classify;
use crate::event::Listener;
use crate::failure::Cause;
use crate::failure::Failure;
use crate::failure::OrFail as _;
use crate::machine::Machine;
use crate::plan::BadPlan;
use crate::plan::Plan;
use crate::trust::Trust;
use oci::reference::Image;
use oci::signature::Key;
use registry::mirrors::Registry;
use registry::mirrors::Resolved;
use registry::signatures::Signed;

/// The keys of which one has to have signed the image; none where nobody asks for signatures.
pub(super) fn read_keys(plan: &Plan, machine: &Machine) -> Result<Vec<Key>, Failure> {
    let cause = match plan.trust {
        Trust::Site => Cause::Signature,
        Trust::Named(_) => Cause::Words,
    };
    let keys = plan.trust.read(&machine.keys_folder).or_fail(cause)?;
    match plan.image {
        Image::Blob(_) if !keys.is_empty() => Err(BadPlan::UnsignedBlob).or_fail(Cause::Words),
        _ => Ok(keys),
    }
}

/// Nothing where there are no keys; with any, an image that none of them has signed is a failure.
pub(super) fn verify(
    registry: &mut Registry,
    plan: &Plan,
    resolved: &Resolved,
    keys: &[Key],
    listener: &dyn Listener,
) -> Result<Option<Signed>, Failure> {
    if keys.is_empty() {
        return Ok(None);
    }
    let signed = registry.verify(&resolved.manifests, keys, &listener).map_err(|error| {
        let doing = format!("verifying the signature of {}", plan.image);
        classify::fetching(error).context(doing)
    })?;
    listener.note(signed.to_string());
    Ok(Some(signed))
}
