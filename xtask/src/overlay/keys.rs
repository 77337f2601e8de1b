//! What a site's public keys must be, so that the installer can check signatures by them. Bytes in, the fact that is wrong out.

use rustls::pki_types::alg_id;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::pem::SectionKind;

/// PEM with public keys of the kinds that the installer checks signatures by, and nothing else.
pub fn check(bytes: &[u8]) -> Result<(), String> {
    let mut count = 0;
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes) {
        count += 1;
        match section {
            Ok((SectionKind::PublicKey, der)) => public_key(&der)?,
            Ok((SectionKind::Certificate, _)) => {
                return Err(
                    "a certificate is in it; hint: `openssl x509 -pubkey -noout` gives its key"
                        .to_owned(),
                );
            }
            Ok(_) => {
                return Err("a private key is in it, which no machine needs; hint: `openssl pkey -pubout` gives the public one".to_owned());
            }
            Err(_) => return Err("its PEM is broken".to_owned()),
        }
    }
    if count == 0 {
        return Err(
            "no public key is in it; hint: PEM, which begins with -----BEGIN PUBLIC KEY-----"
                .to_owned(),
        );
    }
    Ok(())
}

/// DER names the kind of a key at its beginning, and then has as many bytes as that kind has.
fn public_key(der: &[u8]) -> Result<(), String> {
    let algorithm = |id: &[u8]| der.get(4..).is_some_and(|rest| rest.starts_with(id));
    match der.len() {
        91 if algorithm(alg_id::ECDSA_P256.as_ref()) => Ok(()),
        44 if algorithm(alg_id::ED25519.as_ref()) => Ok(()),
        _ => Err("a key in it is neither ECDSA P-256 nor Ed25519".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "MCowBQYDK2VwAyEAH90JUfaWgqlnv6ffeTaAMCH93O6kRhHlwynB9oaH0H4=";
    const P256: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAclXBQbD9J23/QpPTER0BgBqHs4A\n\
        s9lE3YC2n6X6Jg+u0n/X75mlNyDXuZCygUBmAX4qWeHAQ2fZIktqouSVaQ==";
    const COMPRESSED: &str = "MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgADAclXBQbD9J23/QpPTER0BgBqHs4A\n\
        s9lE3YC2n6X6Jg8=";
    const RSA: &str = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAMiE3JV7HYZQKE+r6oQeeH2kh82nteqX\n\
        yzwT5HryjAPVWMsDpPMFMCizy2C/nS4pJeop60EF+fxhiKJYsOlDhucCAwEAAQ==";

    fn pem(label: &str, base64: &str) -> String {
        format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
    }

    #[test]
    fn keys_are_public_and_of_a_kind_that_the_installer_knows() {
        let good = pem("PUBLIC KEY", P256);
        for (text, fact) in [
            (good.clone(), ""),
            (format!("Our key\n{good}{}", pem("PUBLIC KEY", ED25519)), ""),
            (String::new(), "no public key is in it"),
            (P256.to_owned(), "no public key is in it"),
            (pem("ENCRYPTED SIGSTORE PRIVATE KEY", P256), "no public key is in it"),
            (good.clone() + &pem("PRIVATE KEY", P256), "a private key is in it"),
            (good.clone() + &pem("EC PRIVATE KEY", P256), "a private key is in it"),
            (pem("CERTIFICATE", P256), "a certificate is in it"),
            (pem("PUBLIC KEY", RSA), "a key in it is neither ECDSA P-256 nor Ed25519"),
            (pem("PUBLIC KEY", COMPRESSED), "a key in it is neither"),
            (pem("PUBLIC KEY", ""), "a key in it is neither"),
            (good.replace("MFkw", "M*kw"), "its PEM is broken"),
            (good.replace("-----END", "----"), "its PEM is broken"),
        ] {
            let found = check(text.as_bytes()).err().unwrap_or_default();
            assert!(
                found.starts_with(fact) && found.is_empty() == fact.is_empty(),
                "{text}: {found}"
            );
        }
    }
}
