//! Public keys for tests.

/// `openssl ecparam -name prime256v1 -genkey`, `openssl pkey -pubout`.
pub(super) const P256_PEM: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAclXBQbD9J23/QpPTER0BgBqHs4A\n\
s9lE3YC2n6X6Jg+u0n/X75mlNyDXuZCygUBmAX4qWeHAQ2fZIktqouSVaQ==\n\
-----END PUBLIC KEY-----\n\
";
pub(super) const P256_BASE64: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAclXBQbD9J23/QpPTER0BgBqHs4As9lE3YC2n6X6Jg+u0n/X75mlNyDXuZCygUBmAX4qWeHAQ2fZIktqouSVaQ==";
/// `openssl genpkey -algorithm ed25519`, `openssl pkey -pubout`.
pub(super) const ED25519_PEM: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MCowBQYDK2VwAyEAH90JUfaWgqlnv6ffeTaAMCH93O6kRhHlwynB9oaH0H4=\n\
-----END PUBLIC KEY-----\n\
";
