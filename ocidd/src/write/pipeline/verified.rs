//! The proof that lets a sink commit. A child of `pipeline`, so that nothing else can construct it.

/// Proof that an image is the requested one. `pipeline::transfer` returns it after the digest and
/// every checksum of the stream matched.
#[derive(Debug)]
pub struct Verified(());

impl Verified {
    pub(super) fn new() -> Self {
        Self(())
    }

    /// Proof of nothing, for tests of code that requires a proof.
    #[cfg(test)]
    pub(crate) fn unproven() -> Self {
        Self(())
    }
}
