//! Boots of a site that trusts a key: what it has signed is installed, and nothing else.

use super::lab::Case;
use super::lab::DISK_BYTES;
use super::lab::Lab;
use super::lab::SHELL;
use super::lab::Trial;
use crate::qemu::Drive;
use crate::qemu::Hardware;
use crate::registry::DISK_LAYER;
use crate::sample::Expected;
use anyhow::Context as _;
use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::KeyPair;
use rcgen::SigningKey as _;
use serde_json::json;

pub(super) const CASES: [Case; 3] = [
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
        "no trusted key has made it",
        8,
        Expected::Untouched,
    )
}

/// Pushes the lab's image into a repository of the case's own, and its signature beside it as `cosign sign` does.
fn push(lab: &Lab, case: &Case, signer: Option<&KeyPair>) -> Result<()> {
    let repository = case.name;
    let disk = lab.plain.push_blob(repository, &lab.compressed)?;
    let image = lab.plain.push_manifest(repository, "1", &[(DISK_LAYER, &disk)])?;
    let Some(signer) = signer else { return Ok(()) };
    let payload = json!({
        "critical": {
            "identity": { "docker-reference": format!("registry.example/{repository}") },
            "image": { "docker-manifest-digest": image },
            "type": "cosign container image signature",
        },
        "optional": null,
    })
    .to_string();
    let signature = signer.sign(payload.as_bytes()).context("signing an image")?;
    let blob = lab.plain.push_blob(repository, payload.as_bytes())?;
    let layer = json!({
        "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
        "digest": blob.digest,
        "size": blob.size,
        "annotations": { "dev.cosignproject.cosign/signature": STANDARD.encode(signature) },
    });
    let tag = format!("{}.sig", image.replace(':', "-"));
    lab.plain.push_layers(repository, &tag, &[layer])?;
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
