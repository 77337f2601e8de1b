//! Hints for errors of `oci`: for users of the installer and for authors of images.

use oci::index::IndexError;
use oci::manifest::ManifestError;
use oci::reference::ReferenceError;
use oci::signature::KeyError;

/// For a value of `oci.tag` or `oci.blob`.
pub(crate) fn for_reference(error: &ReferenceError) -> &'static str {
    match error {
        ReferenceError::Scheme { .. } => {
            "; hint: remove the scheme, and set oci.allow_no_tls for plain HTTP"
        }
        ReferenceError::NoDigest(_) => "; hint: set oci.tag for a tag",
        _ => "",
    }
}

pub(crate) fn for_key(error: &KeyError) -> &'static str {
    match error {
        KeyError::Private => "; hint: `openssl pkey -pubout` prints the public key",
        _ => "",
    }
}

fn for_manifest(error: &ManifestError) -> &'static str {
    match error {
        ManifestError::WebPage(_) => "; hint: a proxy or a captive portal may be in between",
        ManifestError::NoDisk { .. } => {
            "; hint: push the disk image as application/octet-stream+gzip"
        }
        _ => "",
    }
}

/// For a failed install.
pub(crate) fn for_install(error: &anyhow::Error) -> &'static str {
    let hint = error.chain().find_map(|error| match error.downcast_ref() {
        Some(IndexError::NoMatch { has_platforms: true, .. }) => {
            Some("; hint: oci.platform=OS/ARCHITECTURE selects another")
        }
        // Without platforms, no other value of oci.platform can match.
        Some(IndexError::NoMatch { .. }) => {
            Some("; hint: name a manifest by its digest, as in oci.tag=…@sha256:…")
        }
        Some(IndexError::Ambiguous { .. }) => {
            Some("; hint: name one by its digest, as in oci.tag=…@sha256:…")
        }
        Some(_) => None,
        None => error
            .downcast_ref()
            .map(for_manifest)
            .or_else(|| error.downcast_ref().map(for_key))
            .or_else(|| error.downcast_ref().map(for_reference)),
    });
    hint.unwrap_or_default()
}

/// For a failed `ocidd image`.
#[cfg(feature = "image")]
pub(crate) fn for_author(error: &anyhow::Error) -> &'static str {
    use oci::layout::LayoutError;
    use oci::signature::signing_key::SigningKeyError;

    let for_index = |error: &IndexError| match error {
        IndexError::NoMatch { has_platforms: true, .. } => {
            "; hint: --platform OS/ARCHITECTURE selects another"
        }
        IndexError::NoMatch { .. } => "; hint: name a manifest by its digest",
        IndexError::Ambiguous { .. } => "; hint: name one by its digest",
        IndexError::Nested(_) => "; hint: push it without --platform",
        _ => "",
    };
    let for_layout = |error: &LayoutError| match error {
        LayoutError::Ambiguous { .. } => "; hint: use more digits",
        LayoutError::InUse(_) => "; hint: wait until it ends",
        _ => "",
    };
    let for_signing_key = |error: &SigningKeyError| match error {
        SigningKeyError::NoPassword => "; hint: set COSIGN_PASSWORD",
        SigningKeyError::WrongPassword => "; hint: check COSIGN_PASSWORD",
        SigningKeyError::Label(_) | SigningKeyError::Unsupported => {
            "; hint: create a key with `cosign generate-key-pair`, `skopeo generate-sigstore-key` \
             or `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`"
        }
        _ => "",
    };
    let for_reference = |error: &ReferenceError| match error {
        ReferenceError::Scheme { .. } => {
            "; hint: remove the scheme, and use --plain-http for plain HTTP"
        }
        _ => "",
    };
    let hint = error.chain().find_map(|error| {
        let manifest = error.downcast_ref().map(for_manifest);
        let index = || error.downcast_ref().map(for_index);
        let layout = || error.downcast_ref().map(for_layout);
        let signing_key = || error.downcast_ref().map(for_signing_key);
        let reference = || error.downcast_ref().map(for_reference);
        manifest.or_else(index).or_else(layout).or_else(signing_key).or_else(reference)
    });
    hint.unwrap_or_default()
}
