//! Boots of a site that trusts a key: what it has signed is installed, and nothing else.

use super::lab::Case;
use super::lab::DISK_BYTES;
use super::lab::Lab;
use super::lab::SHELL;
use super::lab::Trial;
use crate::host::output;
use crate::testbed::qemu::Drive;
use crate::testbed::qemu::Hardware;
use crate::testbed::sample::Expected;
use anyhow::Result;
use oci::signing_key::SigningKey;
use rcgen::KeyPair;
use registry::auth::Access;
use registry::http::Tls;
use registry::location::Location;
use registry::session::Session;
use registry::session::Settings;
use registry::sign::sign;

pub const CASES: [Case; 3] = [
    Case { name: "signed_by_the_sites_key_installs", run: signed_by_the_sites_key_installs },
    Case { name: "signed_by_nobody_is_refused", run: signed_by_nobody_is_refused },
    Case { name: "signed_by_another_key_is_refused", run: signed_by_another_key_is_refused },
];

fn signed_by_the_sites_key_installs(lab: &Lab, case: &Case) -> Result<()> {
    let site = KeyPair::generate()?;
    push(lab, case, Some(&site))?;
    let mut trial = boot(lab, case, &site)?;
    trial.guest.expect_unless("is good: key /etc/ocidd/keys.d/site.pub (sha256:", SHELL)?;
    trial.expect_installed(lab)
}

fn signed_by_nobody_is_refused(lab: &Lab, case: &Case) -> Result<()> {
    push(lab, case, None)?;
    boot(lab, case, &KeyPair::generate()?)?.expect_failed(
        "is not signed; trusted are /etc/ocidd/keys.d/site.pub (sha256:",
        8,
        Expected::Untouched,
    )
}

fn signed_by_another_key_is_refused(lab: &Lab, case: &Case) -> Result<()> {
    push(lab, case, Some(&KeyPair::generate()?))?;
    boot(lab, case, &KeyPair::generate()?)?.expect_failed(
        "it was not made by a trusted key",
        8,
        Expected::Untouched,
    )
}

/// Pushes the lab's image into a repository of the case's own, and its signature beside it as `ocidd image push --sign` does.
fn push(lab: &Lab, case: &Case, signer: Option<&KeyPair>) -> Result<()> {
    let repository = case.name;
    lab.plain.push_disk(repository, "1", &lab.compressed)?;
    let Some(signer) = signer else { return Ok(()) };
    let key = lab.path(case, "key.pem");
    output::write(&key, signer.serialize_pem().as_bytes())?;
    let session = Session::new(
        Settings { tls: Tls::Plain, ..Settings::default() },
        Box::new(crate::host::report::Console),
    );
    let mut place =
        Location::open(&session, &format!("{}/{repository}:1", lab.plain.local()), Access::Push)?;
    let image = place.resolve()?.descriptor;
    // The name is not compared.
    let known_as = format!("registry.example/{repository}");
    sign(&mut place, &image, &known_as, &SigningKey::read(&key, None)?)?;
    Ok(())
}

/// Boots the installer for the case's repository, with the site's key in an overlay.
fn boot(lab: &Lab, case: &Case, site: &KeyPair) -> Result<Trial> {
    let initramfs = lab.initramfs_with(case, &[("keys.d/site.pub", &site.public_key_pem())])?;
    let disk = lab.used_disk(case, "disk", DISK_BYTES)?;
    let hardware = Hardware { drives: &[Drive::plain(&disk)], ..Hardware::default() };
    let words =
        format!("oci.tag={}/{}:1 oci.allow_no_tls dd.of=/dev/vda", lab.plain.guest(), case.name);
    Ok(Trial { guest: lab.start(case, &words, &initramfs, hardware)?, disk })
}
