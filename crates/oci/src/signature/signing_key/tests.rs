//! Keys as other programs write them, made for these tests alone.

use super::*;
use rcgen::KeyPair;
use rcgen::PKCS_ED25519;
use ring::signature::ECDSA_P256_SHA256_ASN1;
use ring::signature::UnparsedPublicKey;
use serde_json::Value;
use serde_json::json;

/// What protects `LOCKED`.
const SECRET: &str = "a site's secret";

/// As cosign keeps keys: scrypt by Python's hashlib, secretbox by libsodium.
const LOCKED: &str = include_str!("../cosign.key");

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

/// Its public half.
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

fn parse(text: &str) -> Result<SigningKey> {
    SigningKey::parse(text.as_bytes(), || Ok(SECRET.to_owned()))
}

#[track_caller]
fn assert_error(rule: &str, made: Result<SigningKey>, says: &str) {
    let error = format!("{:#}", made.expect_err(rule));
    assert!(error.contains(says), "{rule}: '{error}' lacks '{says}'");
}

#[test]
fn one_key_in_three_forms_makes_one_signature() {
    let (_, public) = pem::decode_vec(PUBLIC.as_bytes()).unwrap();
    // What comes before it is the same for every key on this curve (RFC 5480, 2).
    let point = &public[public.len() - 65..];
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point);
    for (rule, text) in [("sec1", SEC1), ("pkcs8", PKCS8), ("locked", LOCKED)] {
        let key = parse(text).unwrap();
        let signature = key.sign(b"a payload");
        assert!(public.verify(b"a payload", &signature).is_ok(), "{rule}");
        assert_eq!(signature, parse(PKCS8).unwrap().sign(b"a payload"), "{rule}");
        assert_ne!(signature, key.sign(b"a payloae"), "{rule}");
    }
}

#[test]
fn a_password_is_asked_for_where_there_is_one() {
    let nobody = || bail!("nobody knows it");
    SigningKey::parse(PKCS8.as_bytes(), nobody).unwrap();
    assert_error("nobody", SigningKey::parse(LOCKED.as_bytes(), nobody), "nobody knows it");
    let wrong = SigningKey::parse(LOCKED.as_bytes(), || Ok("a site's secrets".to_owned()));
    assert_error("wrong", wrong, "the password in COSIGN_PASSWORD does not open it");
}

#[test]
fn what_is_no_key_to_sign_with_is_told_what_it_is() {
    let no_p256 = "it is no ECDSA key on the curve P-256, which is what can be signed with";
    for (rule, text, says) in [
        ("no PEM", "secret".to_owned(), "hint: a private key in PEM is wanted"),
        ("a public key", PUBLIC.to_owned(), "it is a 'PUBLIC KEY'; hint: a key by `cosign "),
        ("another curve", P384.to_owned(), no_p256),
        ("another kind", KeyPair::generate_for(&PKCS_ED25519).unwrap().serialize_pem(), no_p256),
        ("a broken one", PKCS8.replace("MIGH", "MIGI"), no_p256),
    ] {
        assert_error(rule, parse(&text), says);
    }
}

/// What becomes of the protection of a key, and what is said of that.
type Spoiled = (&'static str, fn(&mut Value), &'static str);

const SPOILED: [Spoiled; 8] = [
    ("no list", |locked| *locked = json!([]), "reading what protects the key: "),
    (
        "another cipher",
        |locked| locked["cipher"]["name"] = "aes-gcm".into(),
        "it is protected by scrypt and aes-gcm in a way that is not known here",
    ),
    ("work for ever", |locked| locked["kdf"]["params"]["N"] = (1_u64 << 40).into(), UNKNOWN),
    ("in many rounds", |locked| locked["kdf"]["params"]["p"] = 1_000_000.into(), UNKNOWN),
    ("of an odd size", |locked| locked["kdf"]["params"]["N"] = 32767.into(), UNKNOWN),
    (
        "no base64",
        |locked| locked["kdf"]["salt"] = "?".into(),
        "reading what protects the key: Invalid symbol",
    ),
    (
        "a short nonce",
        |locked| locked["cipher"]["nonce"] = "AAAA".into(),
        "its nonce has not 24 bytes",
    ),
    (
        "changed",
        |locked| locked["ciphertext"] = "AAAA".into(),
        "the password in COSIGN_PASSWORD does not open it",
    ),
];

const UNKNOWN: &str =
    "it is protected by scrypt and nacl/secretbox in a way that is not known here";

#[test]
fn protection_that_cannot_be_undone_is_told() {
    let (label, bytes) = pem::decode_vec(LOCKED.as_bytes()).unwrap();
    for (rule, spoil, says) in SPOILED {
        let mut locked = serde_json::from_slice(&bytes).unwrap();
        spoil(&mut locked);
        let bytes = serde_json::to_vec(&locked).unwrap();
        let text = pem::encode_string(label, pem::LineEnding::LF, &bytes).unwrap();
        assert_error(rule, parse(&text), says);
    }
}
