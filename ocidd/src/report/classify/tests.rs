//! Every error of the registry client: its cause, whether it is transient, and its hints.

use std::collections::BTreeSet;

use oci::digest::Digest;
use registry::error::{During as _, StatusError, TlsFault};

use super::*;
use crate::image;

fn text() -> String {
    "x".to_owned()
}

fn tls(fault: TlsFault) -> Error {
    Error::Tls { origin: text(), fault, reason: "x".into() }
}

fn status(code: u16) -> Error {
    StatusError::without_body(text(), code.try_into().unwrap(), false).into()
}

/// The number of a variant, and the cause of its errors: a new one is an error of the compiler.
fn expected(error: &Error) -> (u8, Cause) {
    match error {
        Error::During { source, .. } => (0, expected(source).1),
        Error::Connect { .. } => (1, Cause::UNREACHABLE),
        Error::NotHttp { .. } => (2, Cause::TRANSFER),
        Error::HostNotFound { .. } => (3, Cause::UNREACHABLE),
        Error::Tls { fault, .. } => match fault {
            TlsFault::Plain => (4, Cause::TRANSFER),
            TlsFault::UnknownIssuer => (5, Cause::UNTRUSTED),
            TlsFault::Authority => (6, Cause::UNTRUSTED),
            TlsFault::Time => (7, Cause::UNTRUSTED),
            TlsFault::Certificate => (8, Cause::UNTRUSTED),
            TlsFault::Incompatible => (9, Cause::UNTRUSTED),
        },
        Error::Interrupted(_) => (10, Cause::UNREACHABLE),
        Error::PlainHttp { .. } => (11, Cause::TRANSFER),
        Error::PlainRedirect { .. } => (12, Cause::TRANSFER),
        Error::PlainTokenServer => (13, Cause::TRANSFER),
        Error::TooManyRedirects { .. } => (14, Cause::TRANSFER),
        Error::Status(error) => match error.status.as_u16() {
            401 | 403 | 407 => (15, Cause::LOGIN),
            404 => (15, Cause::NOT_FOUND),
            _ => (15, Cause::REFUSED),
        },
        Error::LoginRequired { .. } => (16, Cause::LOGIN),
        Error::LoginRejected(_) => (17, Cause::LOGIN),
        Error::CredentialHelper { .. } => (18, Cause::LOGIN),
        Error::Credentials(_) => (19, Cause::LOGIN),
        Error::Challenge(_) => (20, Cause::LOGIN),
        Error::TokenAnswer(_) => (21, Cause::TRANSFER),
        Error::Authorities(_) => (22, Cause::UNTRUSTED),
        Error::BadProxy(_) => (23, Cause::PARAMETERS),
        Error::Proxy { status: 407, .. } => (49, Cause::LOGIN),
        Error::Proxy { .. } => (49, Cause::REFUSED),
        Error::ProxyNoTls { .. } => (50, Cause::TRANSFER),
        Error::TooLarge { .. } => (24, Cause::MANIFEST),
        Error::WebPage { .. } => (25, Cause::TRANSFER),
        Error::RequestTooLarge { .. } => (26, Cause::REFUSED),
        Error::DeleteUnsupported { .. } => (27, Cause::REFUSED),
        Error::TagDeleteUnsupported { .. } => (28, Cause::REFUSED),
        Error::Protocol(_) => (29, Cause::TRANSFER),
        Error::ManifestDigest { .. } => (30, Cause::MANIFEST),
        Error::BlobDigest { .. } => (31, Cause::TRANSFER),
        Error::NestedIndex { .. } => (32, Cause::MANIFEST),
        Error::Unsigned { .. } => (33, Cause::SIGNATURE),
        Error::InvalidSignature { .. } => (34, Cause::SIGNATURE),
        Error::OtherDigest { .. } => (35, Cause::MANIFEST),
        Error::NotInRegistry { .. } => (36, Cause::NOT_FOUND),
        Error::NotInLayout { .. } => (37, Cause::INTERNAL),
        Error::SeveralImages { .. } => (38, Cause::INTERNAL),
        Error::NoDirectory(_) => (39, Cause::INTERNAL),
        Error::ReferrersTag { .. } => (40, Cause::MANIFEST),
        Error::ForeignEntries { .. } => (41, Cause::SIGNATURE),
        Error::NotAnIndex(_) => (42, Cause::MANIFEST),
        Error::Contended => (43, Cause::INTERNAL),
        Error::NoStore => (44, Cause::INTERNAL),
        Error::Io(_) => (45, Cause::INTERNAL),
        Error::Json(_) => (46, Cause::MANIFEST),
        Error::Depth { .. } => (48, Cause::MANIFEST),
        Error::Oci(_) => (47, Cause::MANIFEST),
    }
}

/// An error, whether it is transient, and a part of both hints; none if it is empty.
#[expect(clippy::too_many_lines, reason = "one row for each variant")]
fn samples() -> Vec<(Error, bool, &'static str)> {
    let digest = Digest::of(b"");
    let (origin, registry, host, location, repository) = (text, text, text, text, text);
    let (digests, keys) = (text, text);
    vec![
        (Err::<(), _>(status(404)).during(text).unwrap_err(), false, "check repository and tag"),
        (Error::Connect { origin: origin(), reason: "x".into() }, true, ""),
        (Error::NotHttp { origin: origin(), reason: "x".into() }, false, ""),
        (Error::HostNotFound { origin: origin(), host: host(), servers: vec![text()] }, true, "x"),
        (tls(TlsFault::Plain), false, "does not support TLS"),
        (tls(TlsFault::UnknownIssuer), false, "the PEM file of the site's certificate authority"),
        (tls(TlsFault::Authority), false, "exactly this certificate"),
        (tls(TlsFault::Time), false, "clock"),
        (tls(TlsFault::Certificate), false, ""),
        (tls(TlsFault::Incompatible), false, ""),
        (Error::Interrupted(text()), true, ""),
        (Error::PlainHttp { origin: origin() }, false, "allows plain HTTP"),
        (Error::PlainRedirect { origin: origin(), target: text() }, false, "allows plain HTTP"),
        (Error::PlainTokenServer, false, "allows plain HTTP"),
        (Error::TooManyRedirects { origin: origin(), limit: 5 }, false, "in a circle"),
        (status(401), false, "may be private"),
        (status(403), false, "may be private"),
        (status(404), false, "check repository and tag"),
        (status(407), false, ""),
        (status(408), true, ""),
        (status(418), false, ""),
        (status(429), true, ""),
        (status(500), true, ""),
        (Error::LoginRequired { registry: registry() }, false, "put user and password into"),
        (Error::LoginRejected(text()), false, ""),
        (
            Error::CredentialHelper { file: "x".into(), registry: registry(), helper: "x".into() },
            false,
            "into its auths",
        ),
        (Error::Credentials(text()), false, "put user and password into"),
        (Error::Challenge(text()), false, ""),
        (Error::TokenAnswer(text()), false, ""),
        (Error::Authorities(text()), false, ""),
        (Error::BadProxy(text()), false, ""),
        (Error::Proxy { origin: origin(), status: 407 }, false, "user and password into the URL"),
        (Error::Proxy { origin: origin(), status: 403 }, false, "no_proxy"),
        (Error::ProxyNoTls { origin: origin() }, false, "http://"),
        (Error::TooLarge { what: "x", limit_bytes: 1 }, false, ""),
        (Error::WebPage { media_type: "x".into() }, false, "captive portal"),
        (Error::RequestTooLarge { host: host() }, false, "--chunk-size"),
        (Error::DeleteUnsupported { host: host() }, false, "enable deletion"),
        (Error::TagDeleteUnsupported { host: host() }, false, "by its digest"),
        (Error::Protocol(text()), false, ""),
        (Error::ManifestDigest { found: digest, expected: digest }, false, ""),
        (Error::BlobDigest { found: digest, expected: digest }, false, ""),
        (Error::NestedIndex { digest }, false, "by its digest"),
        (Error::Unsigned { digests: digests(), keys: keys() }, false, "cosign sign --key"),
        (
            Error::InvalidSignature {
                digests: digests(),
                keys: keys(),
                reasons: text(),
                unsupported: Some(oci::signature::SignatureError::Keyless),
            },
            false,
            "cosign sign --key",
        ),
        (Error::OtherDigest { location: location(), found: "x".into() }, false, ""),
        (
            Error::NotInRegistry { location: location(), repository: repository() },
            false,
            "prints the tags",
        ),
        (
            Error::NotInLayout { location: location(), directory: "x".into() },
            false,
            "prints the names",
        ),
        (Error::SeveralImages { directory: "x".into(), count: 2 }, false, "oci:x:NAME"),
        (Error::NoDirectory(text()), false, "oci:DIRECTORY:NAME"),
        (Error::ReferrersTag { tag: text(), repository: repository() }, false, ""),
        (Error::ForeignEntries { location: location(), entries: text() }, false, "--sign-foreign"),
        (Error::NotAnIndex(text()), false, "without --platform"),
        (Error::Contended, false, ""),
        (Error::Depth { limit: 4 }, false, ""),
        (Error::NoStore, false, "--store"),
        (std::io::Error::other("x").into(), false, ""),
        (serde_json::from_str::<()>("").unwrap_err().into(), false, ""),
        (oci::Error::NoDisk { layers: text() }.into(), false, "push the disk image as"),
        (oci::Error::UnknownType("x".into()).into(), false, ""),
        (oci::Error::WebPage("x".into()).into(), false, "captive portal"),
    ]
}

#[test]
fn every_error_has_a_cause_and_hints_about_it() {
    let mut seen = BTreeSet::new();
    for (error, is_transient, hint) in samples() {
        let (number, cause) = expected(&error);
        seen.insert(number);
        assert_eq!(error.is_transient(), is_transient, "{error:?}");
        let hints = [TERMS.hint(&error), image::TERMS.hint(&error)];
        for found in hints {
            match found {
                None => assert_eq!(hint, "", "{error:?}"),
                Some(found) => assert!(!hint.is_empty() && found.contains(hint), "{found}"),
            }
        }
        assert_eq!(fetching(error).cause, cause);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), (0..=50).collect::<Vec<_>>());
}
