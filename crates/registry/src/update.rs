//! Changes the document under a tag while other programs may change it too. Registries have no
//! conditional writes (OCI distribution spec, "Pushing Manifests").

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::error::{Error, Result};

/// Each round, one of the writers wins. So many writers of one tag at the same time are unusual.
const MAX_ROUNDS: u32 = 50;
/// The minimum time after a write in which another program's write can still follow its read.
const SETTLE: Duration = Duration::from_millis(50);

/// Writes what `change` makes of the current document, until it has nothing to change. Returns
/// that last document.
pub(crate) fn update<S, D: PartialEq, E: From<Error>>(
    state: &mut S,
    mut read: impl FnMut(&mut S) -> Result<Option<D>>,
    mut write: impl FnMut(&mut S, &D) -> Result<()>,
    mut change: impl FnMut(&mut S, Option<&D>) -> Result<Option<D>, E>,
) -> Result<Option<D>, E> {
    let mut current = read(state)?;
    for _ in 0..MAX_ROUNDS {
        let Some(next) = change(state, current.as_ref())? else { return Ok(current) };
        // Again, because `change` may take long.
        let began = Instant::now();
        let latest = read(state)?;
        if latest == current {
            write(state, &next)?;
            // Another program with the same speed has written by then, and its write is seen.
            thread::sleep(SETTLE + 2 * began.elapsed());
            current = read(state)?;
        } else {
            current = latest;
        }
    }
    Err(Error::Contended.into())
}
