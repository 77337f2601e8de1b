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
    crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

use self::TlsFault as Fault;

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
        // ring reports short keys, of a server or of its issuer, as wrong signatures.
        let short = RustlsError::General(SHORT_KEY.to_owned());
        if has_short_rsa_key(leaf) {
            return Err(short);
        }
        let cert = ParsedCertificate::try_from(leaf)?;
        let (roots, algorithms) = (&self.roots, self.algorithms.all);
        match verify_server_cert_signed_by_trust_anchor(
            &cert,
            roots,
            intermediates,
            now,
            algorithms,
        ) {
            Err(RustlsError::InvalidCertificate(Bad::BadSignature))
                if self.trusted.iter().any(|root| has_short_rsa_key(root)) =>
            {
                return Err(short);
            }
            // These checks follow that of the dates.
            Err(error)
                if matches!(explain(&error).0, Fault::UnknownIssuer | Fault::Authority)
                    && self.trusted.contains(leaf) => {}
            signed => signed?,
        }
        verify_server_name(&cert, name)
    }
}

const SHORT_KEY: &str = "the RSA key of the certificate or its issuer has fewer than 2048 bits";

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
        match self.check {
            CertificateCheck::Skip => Ok(HandshakeSignatureValid::assertion()),
            CertificateCheck::Verify => {
                verify_tls12_signature(message, leaf, signature, &self.algorithms)
            }
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        match self.check {
            CertificateCheck::Skip => Ok(HandshakeSignatureValid::assertion()),
            CertificateCheck::Verify => {
                verify_tls13_signature(message, leaf, signature, &self.algorithms)
            }
        }
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

/// sha1WithRSAEncryption and ecdsa-with-SHA1.
const SHA_1: [&[u8]; 2] =
    [b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", b"\x2a\x86\x48\xce\x3d\x04\x01"];

/// What is wrong with the TLS of a server, in one sentence.
#[inline(never)]
pub(crate) fn explain(error: &RustlsError) -> (Fault, String) {
    let (fault, text) = match error {
        RustlsError::InvalidCertificate(bad) => return explain_certificate(bad),
        // By `Verifier::verify`.
        RustlsError::General(reason) => (Fault::Certificate, reason.as_str()),
        // A plain HTTP answer is an invalid TLS message.
        RustlsError::InvalidMessage(_) => (Fault::Plain, "it answers without TLS"),
        RustlsError::AlertReceived(Alert::CertificateRequired) => {
            (Fault::Incompatible, "it requires a client certificate, which is not supported")
        }
        RustlsError::AlertReceived(Alert::ProtocolVersion) | RustlsError::PeerIncompatible(_) => {
            (Fault::Incompatible, "its TLS is too old: TLS 1.2 or 1.3 is required")
        }
        RustlsError::AlertReceived(Alert::HandshakeFailure | Alert::InsufficientSecurity) => (
            Fault::Incompatible,
            "its cipher suites are too old: ECDHE with AES-GCM or ChaCha20 is required, neither \
             RSA key exchange nor CBC",
        ),
        other => return (Fault::Incompatible, other.to_string()),
    };
    (fault, text.to_owned())
}

fn explain_certificate(bad: &Bad) -> (Fault, String) {
    let date = |time: &UnixTime| fmt_http_date(UNIX_EPOCH + Duration::from_secs(time.as_secs()));
    let is_sha_1 = |id: &[u8]| SHA_1.iter().any(|it| id.windows(it.len()).any(|part| part == *it));
    let (fault, text) = match bad {
        Bad::UnknownIssuer => (Fault::UnknownIssuer, "its issuer is not trusted (UnknownIssuer)"),
        Bad::BadSignature => (Fault::UnknownIssuer, "only the name of its issuer is trusted"),
        Bad::ExpiredContext { not_after, .. } => {
            return (Fault::Time, format!("certificate expired on {}", date(not_after)));
        }
        Bad::NotValidYetContext { not_before: from, .. } => {
            return (Fault::Time, format!("certificate not valid yet, only from {}", date(from)));
        }
        Bad::BadEncoding => (Fault::Certificate, "it cannot be parsed"),
        Bad::InvalidPurpose | Bad::InvalidPurposeContext { .. } => {
            (Fault::Certificate, "it is not for servers")
        }
        Bad::UnhandledCriticalExtension => {
            (Fault::Certificate, "it has an unknown critical extension")
        }
        Bad::UnsupportedSignatureAlgorithmContext { signature_algorithm_id: id, .. } => {
            let is_old = is_sha_1(id);
            let text = "it is signed with SHA-1, which is too old: SHA-256 is required";
            (Fault::Certificate, if is_old { text } else { "its signature is not supported" })
        }
        Bad::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            (Fault::Certificate, "its signature is not supported for the key of its issuer")
        }
        // webpki's errors without an equivalent in rustls.
        Bad::Other(error) => match error.to_string().as_str() {
            "CaUsedAsEndEntity" => {
                (Fault::Authority, "it is that of an authority (CA:TRUE), not of a server")
            }
            "UnsupportedCertVersion" => {
                (Fault::Certificate, "it has X.509 version 1, which is too old: 3 is required")
            }
            name => return (Fault::Certificate, format!("the certificate is invalid: {name}")),
        },
        other => return (Fault::Certificate, other.to_string()),
    };
    (fault, format!("the certificate is not trusted: {text}"))
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
