//! Verifies the certificates of servers, and describes what is wrong with a server's TLS.

use std::time::{Duration, UNIX_EPOCH};

use httpdate::fmt_http_date;
use rustls::{
    AlertDescription as Alert, CertificateError as Bad, DigitallySignedStruct,
    Error as RustlsError, RootCertStore, SignatureScheme as Scheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto,
    crypto::{WebPkiSupportedAlgorithms, ring},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

/// Whether certificates are verified.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CertificateCheck {
    #[default]
    Verify,
    /// Allows man-in-the-middle attacks.
    Skip,
}

/// Why a TLS connection failed. The same connection would fail again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TlsFault {
    /// The server answers without TLS.
    Plain,
    UnknownIssuer,
    /// The certificate is that of an authority, and not trusted itself.
    Authority,
    /// Expired or not valid yet, or this machine's clock is wrong.
    Time,
    /// Another problem of the certificate.
    Certificate,
    /// The server and this client have no TLS in common.
    Incompatible,
}

/// Trusts what the roots have signed, and each of the roots itself as the certificate of a server:
/// `openssl req -x509` makes certificates of authorities, which are no server's by RFC 5280.
#[derive(Debug)]
pub(crate) struct Verifier {
    check: CertificateCheck,
    trusted: Vec<CertificateDer<'static>>,
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// Authorities that rustls cannot parse sign nothing.
    pub(crate) fn new(trusted: Vec<CertificateDer<'static>>, check: CertificateCheck) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(trusted.iter().cloned());
        let algorithms = ring::default_provider().signature_verification_algorithms;
        Self { check, trusted, roots, algorithms }
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), RustlsError> {
        let cert = ParsedCertificate::try_from(leaf)?;
        let (roots, algorithms) = (&self.roots, self.algorithms.all);
        let signed =
            verify_server_cert_signed_by_trust_anchor(&cert, roots, intermediates, now, algorithms);
        match signed {
            // Both follow the check of the dates.
            Err(error) if is_about_issuer(&error) && self.trusted.contains(leaf) => {}
            signed => signed.map_err(|error| self.explain(error, leaf))?,
        }
        verify_server_name(&cert, name)
    }

    /// ring reports RSA keys below 2048 bits, of a server or of its issuer, as wrong signatures.
    fn explain(&self, error: RustlsError, leaf: &[u8]) -> RustlsError {
        let is_in_leaf = |part: &[u8]| leaf.windows(part.len()).any(|window| window == part);
        let issuers = self.roots.roots.iter().filter(|root| is_in_leaf(&root.subject));
        let is_short = has_short_rsa_key(leaf)
            || issuers.into_iter().any(|root| has_short_rsa_key(&root.subject_public_key_info));
        if is_short && error == RustlsError::InvalidCertificate(Bad::BadSignature) {
            let text = "the RSA key of its certificate or issuer has fewer than 2048 bits";
            return RustlsError::General(text.to_owned());
        }
        error
    }
}

fn is_about_issuer(error: &RustlsError) -> bool {
    match error {
        RustlsError::InvalidCertificate(Bad::UnknownIssuer) => true,
        RustlsError::InvalidCertificate(bad) => describe(bad).0 == TlsFault::Authority,
        _ => false,
    }
}

/// Finds `rsaEncryption`, NULL and a BIT STRING of fewer than 256 bytes (RFC 8017, A.1).
fn has_short_rsa_key(der: &[u8]) -> bool {
    const KEY: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03";
    der.windows(KEY.len() + 1)
        .any(|window| window.split_last().is_some_and(|(length, key)| key == KEY && *length < 0x82))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, RustlsError> {
        if self.check == CertificateCheck::Verify {
            self.verify(leaf, intermediates, name, now)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        if self.check == CertificateCheck::Skip {
            return Ok(HandshakeSignatureValid::assertion());
        }
        crypto::verify_tls12_signature(message, leaf, signature, &self.algorithms)
            .map_err(|error| self.explain(error, leaf))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        if self.check == CertificateCheck::Skip {
            return Ok(HandshakeSignatureValid::assertion());
        }
        crypto::verify_tls13_signature(message, leaf, signature, &self.algorithms)
            .map_err(|error| self.explain(error, leaf))
    }

    fn supported_verify_schemes(&self) -> Vec<Scheme> {
        let mut schemes = self.algorithms.supported_schemes();
        if self.check == CertificateCheck::Skip {
            // Also those that ring does not have.
            schemes.extend([Scheme::ECDSA_NISTP521_SHA512, Scheme::ED448, Scheme::RSA_PKCS1_SHA1]);
        }
        schemes
    }
}

/// What is wrong with the TLS of a server, in one sentence.
pub(crate) fn explain(error: &RustlsError) -> (TlsFault, String) {
    let incompatible = |text: &str| (TlsFault::Incompatible, text.to_owned());
    match error {
        RustlsError::InvalidCertificate(bad) => describe(bad),
        // `Verifier::explain`.
        RustlsError::General(reason) => (TlsFault::Certificate, reason.clone()),
        // A plain HTTP answer is an invalid TLS message.
        RustlsError::InvalidMessage(_) => (TlsFault::Plain, error.to_string()),
        RustlsError::AlertReceived(Alert::CertificateRequired) => {
            incompatible("the server requires a client certificate, which is not supported")
        }
        RustlsError::AlertReceived(Alert::ProtocolVersion) | RustlsError::PeerIncompatible(_) => {
            incompatible("the server's TLS is too old: TLS 1.2 or 1.3 is required")
        }
        RustlsError::AlertReceived(Alert::HandshakeFailure | Alert::InsufficientSecurity) => {
            incompatible(
                "the server supports none of the cipher suites: ECDHE key exchange with AES-GCM \
                 or ChaCha20 is required, not RSA key exchange or CBC",
            )
        }
        other => incompatible(&other.to_string()),
    }
}

fn describe(bad: &Bad) -> (TlsFault, String) {
    let date = |time: &UnixTime| fmt_http_date(UNIX_EPOCH + Duration::from_secs(time.as_secs()));
    let other = |text: &str| (TlsFault::Certificate, text.to_owned());
    match bad {
        Bad::UnknownIssuer => (
            TlsFault::UnknownIssuer,
            "its certificate has no trusted issuer (UnknownIssuer)".into(),
        ),
        Bad::BadSignature => {
            let text = "its certificate is signed by another authority than the trusted one of \
                        the same name (BadSignature)";
            (TlsFault::UnknownIssuer, text.to_owned())
        }
        Bad::Expired => (TlsFault::Time, "certificate expired".to_owned()),
        Bad::ExpiredContext { not_after, .. } => {
            (TlsFault::Time, format!("certificate expired on {}", date(not_after)))
        }
        Bad::NotValidYet => (TlsFault::Time, "certificate not valid yet".to_owned()),
        Bad::NotValidYetContext { not_before, .. } => {
            (TlsFault::Time, format!("certificate not valid yet, only from {}", date(not_before)))
        }
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => other(&bad.to_string()),
        Bad::BadEncoding => other("its certificate cannot be parsed"),
        Bad::InvalidPurpose | Bad::InvalidPurposeContext { .. } => {
            other("its certificate is not for servers: its extended key usage lacks serverAuth")
        }
        Bad::UnhandledCriticalExtension => {
            other("its certificate has a critical extension that is not supported")
        }
        Bad::UnsupportedSignatureAlgorithmContext { signature_algorithm_id, .. } => {
            // sha1WithRSAEncryption and ecdsa-with-SHA1.
            let sha1 =
                [&b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"[..], b"\x2a\x86\x48\xce\x3d\x04\x01"];
            let is_in_id = |oid: &[u8]| signature_algorithm_id.windows(oid.len()).any(|w| w == oid);
            other(if sha1.into_iter().any(is_in_id) {
                "its certificate is signed with SHA-1, which is too old: SHA-256 is required"
            } else {
                "its certificate is signed with an algorithm that is not supported"
            })
        }
        Bad::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            other("its certificate is signed with an algorithm that its issuer's key cannot use")
        }
        // webpki's errors without an equivalent in rustls.
        Bad::Other(error) => match error.to_string().as_str() {
            "CaUsedAsEndEntity" => {
                let text = "its certificate is that of an authority (CA:TRUE), not of a server";
                (TlsFault::Authority, text.to_owned())
            }
            "UnsupportedCertVersion" => {
                other("its certificate is X.509 version 1, which is too old: version 3 is required")
            }
            name => other(&format!("its certificate is invalid: {name}")),
        },
        unknown => other(&format!("its certificate is invalid: {unknown}")),
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject as _;

    use super::*;

    /// By `openssl x509 -req` without extensions, as OpenSSL 3.0 makes it.
    const VERSION_1: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBEjCBugITGJe18uxKgSkn4ECMdPb6nOsmXDAKBggqhkjOPQQDAjAMMQowCAYD\n\
VQQDDAFSMCAXDTI2MTIwMTAzMjQyN1oYDzIxMjYxMTA3MDMyNDI3WjAMMQowCAYD\n\
VQQDDAFSMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDI6IPAmeOCRzrsOvM58f\n\
UR+yO+rxTXQWhz3+gEAG4BmXLSMTxVSqjWa6+wtChyQKUIul2M0zI1L2Ry0VN+1K\n\
OzAKBggqhkjOPQQDAgNHADBEAiA8RBpVhumNiWfmIDbcyApuHn+SNiWsNkRrZRMS\n\
H3/fDAIgDpP3huJvPzaYqF3wpBq5slk+hWVWAVjcuYwqQUyqP58=\n\
-----END CERTIFICATE-----";

    fn explained(error: impl Into<RustlsError>) -> String {
        explain(&error.into()).1
    }

    #[test]
    fn names_the_version_of_old_certificates() {
        let certificate = CertificateDer::from_pem_slice(VERSION_1.as_bytes()).unwrap();
        let error = ParsedCertificate::try_from(&certificate).map(drop).unwrap_err();
        assert!(explained(error).contains("X.509 version 1, which is too old"));
    }

    #[test]
    fn every_problem_has_its_own_sentence() {
        let time = UnixTime::since_unix_epoch(Duration::ZERO);
        let mut sentences = vec![
            explained(Bad::BadEncoding),
            explained(Bad::ExpiredContext { time, not_after: time }),
            explained(Bad::NotValidYetContext { time, not_before: time }),
            explained(Bad::UnhandledCriticalExtension),
            explained(Bad::UnknownIssuer),
            explained(Bad::BadSignature),
            explained(Bad::InvalidPurpose),
            explained(Bad::NotValidForName),
            explained(Bad::UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id: vec![1; 99],
                supported_algorithms: Vec::new(),
            }),
            explained(Bad::UnsupportedSignatureAlgorithmForPublicKeyContext {
                signature_algorithm_id: vec![1; 99],
                public_key_algorithm_id: vec![1; 99],
            }),
            explained(RustlsError::AlertReceived(Alert::ProtocolVersion)),
            explained(RustlsError::AlertReceived(Alert::HandshakeFailure)),
            explained(RustlsError::AlertReceived(Alert::CertificateRequired)),
            explained(RustlsError::AlertReceived(Alert::AccessDenied)),
        ];
        let count = sentences.len();
        sentences.sort();
        sentences.dedup();
        assert_eq!(sentences.len(), count);
        // No lists of numbers.
        assert!(sentences.iter().all(|text| text.len() < 200 && !text.contains('[')));
    }
}
