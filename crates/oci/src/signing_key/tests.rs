//! Keys written by other programs, generated only for these tests.

use rcgen::{KeyPair, PKCS_ED25519};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde_json::{Value, json};

use super::*;

/// The password of `ENCRYPTED`.
const PASSWORD: &str = "a site's secret";

/// In the format of cosign: scrypt by Python's hashlib, secretbox by libsodium.
const ENCRYPTED: &str = include_str!("cosign.key");

/// The same key by OpenSSL, as `openssl ecparam -genkey` writes it.
const SEC1: &str = "\
-----BEGIN EC PRIVATE KEY-----\n\
MHcCAQEEIDWaTnJbCcx62H09fhPlP0gzb7NXLqsX7G5e25OrEqLUoAoGCCqGSM49\n\
AwEHoUQDQgAEPqBKQhEntNdzhD6W1CN6HqJ6ce1BfvEsGEVaehFMWpX5PaQu49w8\n\
I12SGTn/lGM27ul+7/MP9thfXznz4MlFaA==\n\
-----END EC PRIVATE KEY-----\n\
";

/// And as `openssl genpkey` does.
const PKCS8: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgNZpOclsJzHrYfT1+\n\
E+U/SDNvs1cuqxfsbl7bk6sSotShRANCAAQ+oEpCESe013OEPpbUI3oeonpx7UF+\n\
8SwYRVp6EUxalfk9pC7j3DwjXZIZOf+UYzbu6X7v8w/22F9fOfPgyUVo\n\
-----END PRIVATE KEY-----\n\
";

/// Its public key.
const PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEPqBKQhEntNdzhD6W1CN6HqJ6ce1B\n\
fvEsGEVaehFMWpX5PaQu49w8I12SGTn/lGM27ul+7/MP9thfXznz4MlFaA==\n\
-----END PUBLIC KEY-----\n\
";

/// A key on another curve.
const P384: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDDKLWgwnXHmAmBLLTv1\n\
0NHoEsmHzc/RptxZ37LhbzGWa6IEH+Eg8G5ocPnNMLyyIWihZANiAARNboJ0iZhs\n\
z7EuHwfi/3SNi0Gk+BoW5mTVTh8RzmyYPs/NlzLA+36wCib5vnOtyjvAco8VTSa8\n\
tv69i/SilaXCkxqgoRNJvJdi7nZqnetduDgXFNiSJ3TlvrkJCkRYZ/4=\n\
-----END PRIVATE KEY-----\n\
";

fn parse(text: &str) -> Result<SigningKey, SigningKeyError> {
    SigningKey::parse(text.as_bytes(), Some(PASSWORD))
}

#[track_caller]
fn assert_error(rule: &str, made: Result<SigningKey, SigningKeyError>, says: &str) {
    let error = made.expect_err(rule).to_string();
    assert!(error.contains(says), "{rule}: '{error}' lacks '{says}'");
}

#[test]
fn key_in_three_forms_makes_equal_signatures() {
    let (_, public) = pem::decode_vec(PUBLIC.as_bytes()).unwrap();
    // What comes before it is the same for every key on this curve (RFC 5480, 2).
    let point = &public[public.len() - 65..];
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point);
    for (rule, text) in [("sec1", SEC1), ("pkcs8", PKCS8), ("encrypted", ENCRYPTED)] {
        let key = parse(text).unwrap();
        let signature = key.sign(b"a payload");
        assert!(public.verify(b"a payload", &signature).is_ok(), "{rule}");
        assert_eq!(signature, parse(PKCS8).unwrap().sign(b"a payload"), "{rule}");
        assert_ne!(signature, key.sign(b"a payloae"), "{rule}");
    }
}

#[test]
fn requires_the_password_of_protected_keys() {
    SigningKey::parse(PKCS8.as_bytes(), None).unwrap();
    let missing = SigningKey::parse(ENCRYPTED.as_bytes(), None);
    assert_error("missing", missing, "the key is protected by a password");
    let wrong = SigningKey::parse(ENCRYPTED.as_bytes(), Some("a site's secrets"));
    assert_error("wrong", wrong, "the password is wrong");
}

#[test]
fn rejects_other_keys() {
    let not_p256 = "not an ECDSA key on the curve P-256, the only supported kind";
    for (rule, text, says) in [
        ("no PEM", "secret".to_owned(), "expected a private key in PEM"),
        ("a public key", PUBLIC.to_owned(), "found 'PUBLIC KEY', expected a private key"),
        ("another curve", P384.to_owned(), not_p256),
        ("another kind", KeyPair::generate_for(&PKCS_ED25519).unwrap().serialize_pem(), not_p256),
        ("a broken one", PKCS8.replace("MIGH", "MIGI"), not_p256),
    ] {
        assert_error(rule, parse(&text), says);
    }
}

/// A name, a change of the protection, and its error.
type Spoiled = (&'static str, fn(&mut Value), &'static str);

const SPOILED: [Spoiled; 8] = [
    ("no list", |encrypted| *encrypted = json!([]), "reading the protection of the key: "),
    (
        "another cipher",
        |encrypted| encrypted["cipher"]["name"] = "aes-gcm".into(),
        "the protection by scrypt and aes-gcm is not supported",
    ),
    ("work for ever", |encrypted| encrypted["kdf"]["params"]["N"] = (1_u64 << 40).into(), UNKNOWN),
    ("in many rounds", |encrypted| encrypted["kdf"]["params"]["p"] = 1_000_000.into(), UNKNOWN),
    ("of an odd size", |encrypted| encrypted["kdf"]["params"]["N"] = 32767.into(), UNKNOWN),
    (
        "no base64",
        |encrypted| encrypted["kdf"]["salt"] = "?".into(),
        "reading the protection of the key: Invalid symbol",
    ),
    (
        "a short nonce",
        |encrypted| encrypted["cipher"]["nonce"] = "AAAA".into(),
        "the nonce does not have 24 bytes",
    ),
    ("changed", |encrypted| encrypted["ciphertext"] = "AAAA".into(), "the password is wrong"),
];

const UNKNOWN: &str = "the protection by scrypt and nacl/secretbox is not supported";

#[test]
fn rejects_unsupported_protection() {
    let (label, bytes) = pem::decode_vec(ENCRYPTED.as_bytes()).unwrap();
    for (rule, spoil, says) in SPOILED {
        let mut encrypted = serde_json::from_slice(&bytes).unwrap();
        spoil(&mut encrypted);
        let bytes = serde_json::to_vec(&encrypted).unwrap();
        let text = pem::encode_string(label, pem::LineEnding::LF, &bytes).unwrap();
        assert_error(rule, parse(&text), says);
    }
}
