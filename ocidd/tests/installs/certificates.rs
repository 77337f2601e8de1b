//! Certificates and servers of `openssl`: self-signed ones that are trusted, old ones, and old TLS.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use ocidd::report::failure::{Cause, DiskState};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};

use crate::{
    fake::{
        Fake,
        identity::{Authority, NAMES, VALID},
    },
    images::{Layer, MIB, gzip, image},
    run::{By, Heard, add, install, install_heard, no_certificates, trust},
    target::{DISK, Target},
};

const FOR_LOOPBACK: &str = "-addext subjectAltName=IP:127.0.0.1";
const NO_AUTHORITY: &str = "-addext basicConstraints=critical,CA:FALSE";

fn command(folder: &Path, arguments: &str) -> Command {
    #[expect(clippy::disallowed_methods, reason = "the one place that starts openssl")]
    let mut command = Command::new("openssl");
    command.args(arguments.split_whitespace()).current_dir(folder).env_remove("OPENSSL_CONF");
    command
}

#[track_caller]
fn openssl(folder: &Path, arguments: &str) {
    let output = command(folder, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// `cert.pem` and `key.pem`, by `openssl req -x509` with these arguments too.
fn self_signed(folder: &Path, arguments: &str) {
    let common = "req -x509 -nodes -subj /CN=R -keyout key.pem -out cert.pem";
    openssl(folder, &format!("{common} {arguments}"));
}

fn serve(folder: &Path) -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    config(certificate, key)
}

fn config(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.unwrap().with_no_client_auth();
    Arc::new(builder.with_single_cert(vec![certificate], key).unwrap())
}

/// Installs from a server with this identity; the machine trusts `trusted`. Returns the message.
fn outcome(tls: Arc<ServerConfig>, trusted: &str) -> Result<(), String> {
    let image = image(MIB);
    let mut fake = Fake::with(&Layer::new(gzip(&image)));
    fake.tls = Some(tls);
    let word = By::Tag.word(&fake.address(), fake.layer());
    let _registry = fake.serve();
    let target = Target::new(DISK);
    let certificates = add(no_certificates(target.folder.path()), trusted);
    match install(&[&word], &target, certificates) {
        Ok(_) => {
            target.assert_installed("trusted", &image);
            Ok(())
        }
        Err(failure) => {
            assert_eq!((failure.cause, &failure.disk), (Cause::UNTRUSTED, &DiskState::Untouched));
            Err(failure.diagnostic().to_string())
        }
    }
}

/// The certificate of an authority, as `openssl req -x509` makes it (rustls/webpki#205).
#[test]
fn trusts_a_self_signed_certificate_that_is_itself_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let pem = || fs::read_to_string(folder.join("cert.pem")).unwrap();
    for arguments in ["-newkey rsa:2048", "-newkey ec -pkeyopt ec_paramgen_curve:P-256"] {
        self_signed(folder, &format!("{arguments} {FOR_LOOPBACK}"));
        outcome(serve(folder), &pem()).unwrap();
        self_signed(folder, &format!("{arguments} {FOR_LOOPBACK} {NO_AUTHORITY}"));
        outcome(serve(folder), &pem()).unwrap();
    }
    self_signed(folder, "-newkey rsa:2048 -addext subjectAltName=IP:127.0.0.2");
    let error = outcome(serve(folder), &pem()).unwrap_err();
    assert!(error.contains("not valid for name") && error.contains("127.0.0.2"), "{error}");
    self_signed(folder, &format!("-newkey rsa:2048 {FOR_LOOPBACK}"));
    let server = serve(folder);
    // The same name, another key.
    self_signed(folder, &format!("-newkey rsa:2048 {FOR_LOOPBACK}"));
    let error = outcome(server, &pem()).unwrap_err();
    for part in ["CA:TRUE", "-addext basicConstraints=critical,CA:FALSE", "/etc/ocidd/ca.d"] {
        assert!(error.contains(part), "{error}\nlacks\n{part}");
    }
}

#[test]
fn checks_dates_and_issuers_of_a_trusted_server_certificate() {
    let authority = Authority::new("not trusted");
    for (is_ca, years, fault) in [
        (true, (2000, 2001), Some("certificate expired on Mon, 01 Jan 2001 00:00:00 GMT")),
        (false, (2000, 2001), Some("certificate expired on")),
        (true, (2099, 2100), Some("certificate not valid yet, only from Thu, 01 Jan 2099")),
        (true, VALID, None),
        // Signed by an authority that is not trusted.
        (false, VALID, None),
    ] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(NAMES.map(str::to_owned)).unwrap();
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        let certificate = if is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.self_signed(&key).unwrap()
        } else {
            authority.sign(&params, &key)
        };
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let outcome = outcome(config(certificate.der().clone(), key), &certificate.pem());
        match fault {
            None => outcome.unwrap(),
            Some(fault) => {
                let error = outcome.unwrap_err();
                assert!(error.contains(fault) && error.contains("clock"), "{error}");
            }
        }
    }
}

/// `openssl s_server`, until it is dropped.
struct Server {
    address: String,
    child: Child,
}

impl Server {
    fn start(folder: &Path, arguments: &str) -> Self {
        let arguments =
            format!("s_server -accept 127.0.0.1:0 -www -cert cert.pem -key key.pem {arguments}");
        let mut command = command(folder, &arguments);
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address =
            lines.find_map(|line| Some(line.unwrap().strip_prefix("ACCEPT ")?.to_owned()));
        std::thread::spawn(move || lines.count());
        Self { address: address.unwrap(), child }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Each is permanent, and described in one sentence.
#[test]
fn names_what_is_too_old_in_a_servers_tls() {
    const RSA: &str = "-newkey rsa:2048";
    const OLD: &str = "-cipher DEFAULT@SECLEVEL=0";
    for (certificate, server, says) in [
        (RSA, "-tls1_1 -cipher DEFAULT@SECLEVEL=0", "TLS 1.2 or 1.3 is required"),
        (RSA, "-tls1_2 -cipher kRSA", "neither RSA key exchange nor CBC"),
        (RSA, "-tls1_2 -cipher ECDHE-RSA-AES256-SHA384", "neither RSA key exchange nor CBC"),
        (RSA, "-tls1_2 -Verify 1", "requires a client certificate, which is not supported"),
        (RSA, "-tls1_3 -Verify 1", "requires a client certificate, which is not supported"),
        (
            "-newkey rsa:1024",
            OLD,
            "RSA key of the certificate or its issuer has fewer than 2048 bits",
        ),
        ("-newkey rsa:2048 -sha1", OLD, "is signed with SHA-1, which is too old"),
    ] {
        let target = Target::new(DISK);
        let folder = target.folder.path();
        self_signed(folder, &format!("{certificate} {FOR_LOOPBACK} {NO_AUTHORITY}"));
        let pem = fs::read_to_string(folder.join("cert.pem")).unwrap();
        assert_untrusted(&target, server, &pem, says);
    }
}

#[test]
fn names_what_is_too_old_in_a_certificate_of_an_authority() {
    for (ca, leaf, says) in [
        ("-newkey rsa:1024", "", "fewer than 2048 bits"),
        ("-newkey rsa:2048", "-sha1", "is signed with SHA-1, which is too old"),
    ] {
        let target = Target::new(DISK);
        let folder = target.folder.path();
        openssl(folder, &format!("req -x509 -nodes -subj /CN=CA {ca} -keyout ca.key -out ca.pem"));
        openssl(folder, "req -new -nodes -subj /CN=R -newkey rsa:2048 -keyout key.pem -out csr");
        fs::write(folder.join("ext"), "subjectAltName=IP:127.0.0.1\n").unwrap();
        let sign = "x509 -req -in csr -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem";
        openssl(folder, &format!("{sign} {leaf} -extfile ext"));
        let pem = fs::read_to_string(folder.join("ca.pem")).unwrap();
        assert_untrusted(&target, "-cipher DEFAULT@SECLEVEL=0", &pem, says);
    }
}

#[track_caller]
fn assert_untrusted(target: &Target, server: &str, trusted: &str, says: &str) {
    let server = Server::start(target.folder.path(), server);
    let certificates = add(no_certificates(target.folder.path()), trusted);
    let (word, heard) = (format!("oci.tag={}/os:1", server.address), Heard::default());
    let failure = install_heard(&[&word], target, certificates, &heard).unwrap_err();
    let text = failure.diagnostic().to_string();
    assert!(text.contains(says), "{text}\nlacks\n{says}");
    assert_eq!((failure.cause, heard.retries().len()), (Cause::UNTRUSTED, 0), "{text}");
    assert!(text.len() < 400 && !text.contains("hint: put the PEM file"), "{text}");
}

#[test]
fn names_a_required_client_certificate() {
    let authority = Authority::new("right");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap();
        roots.add(ca).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
        let builder =
            ServerConfig::builder_with_provider(provider).with_protocol_versions(&[version]);
        let builder = builder.unwrap().with_client_cert_verifier(verifier.build().unwrap());
        let (certificate, key) = authority.identity(&NAMES, VALID);
        let mut fake = Fake::with(&Layer::new(gzip(&image(MIB))));
        fake.tls = Some(Arc::new(builder.with_single_cert(vec![certificate], key).unwrap()));
        let word = By::Tag.word(&fake.address(), fake.layer());
        let _registry = fake.serve();
        let (target, heard) = (Target::new(DISK), Heard::default());
        let certificates = trust(target.folder.path(), &authority);
        let failure = install_heard(&[&word], &target, certificates, &heard).unwrap_err();
        assert!(failure.to_string().contains("requires a client certificate"), "{failure}");
        assert_eq!((failure.cause, heard.retries().len()), (Cause::UNTRUSTED, 0));
    }
}
