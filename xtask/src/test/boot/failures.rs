//! Boots that end in the emergency shell, with a disk that does not boot.

use anyhow::{Context as _, Result};

use super::lab::{Case, INSTALL, Lab, case};
use crate::testbed::{qemu::Hardware, sample::Expected};

/// Name, parameters, expected message and exit code. `INSTALL` is [`INSTALL`], whose parameters
/// later ones replace.
type Failure = (&'static str, &'static str, &'static str, u8);

const FAILURES: [Failure; 9] = [
    (
        "registry_down",
        // No program listens on port 1.
        "INSTALL oci.tag=10.0.2.2:1/os:1 oci.retries=0",
        "ocidd: resolving 10.0.2.2:1/os:1: connecting to http://10.0.2.2:1: ",
        4,
    ),
    ("unknown_tag", "INSTALL oci.tag=PLAIN/os:nosuch", "404 Not Found (MANIFEST_UNKNOWN: ", 4),
    (
        "two_layers",
        "INSTALL oci.tag=PLAIN/os:two-layers",
        "the manifest has 2 layers of media type application/octet-stream+gzip, expected one",
        4,
    ),
    ("wrong_digest", "INSTALL oci.tag=PLAIN/os:flipped", "layer has digest sha256:", 6),
    ("truncated_gzip", "INSTALL oci.tag=PLAIN/os:truncated", "its gzip stream is corrupt after", 6),
    (
        "no_such_disk",
        "INSTALL dd.of=/dev/nosuch dd.timeout=1",
        "ocidd: opening target disk '/dev/nosuch': No such file",
        5,
    ),
    (
        "unknown_parameter",
        "INSTALL dd.fo=/dev/vdb",
        "ocidd: unknown parameter 'dd.fo', similar to 'dd.of'",
        2,
    ),
    (
        "plain_http_needs_permission",
        "oci.tag=PLAIN/os:1 dd.of=/dev/vda",
        "oci.allow_no_tls allows plain HTTP",
        4,
    ),
    (
        "unknown_certificate_authority",
        "oci.tag=TLS/os:1 dd.of=/dev/vda",
        "certificate authority into /etc/ocidd/ca.d",
        4,
    ),
];

/// The exit code for a corrupt image, which is noticed after writing.
const CORRUPT: u8 = 6;

pub fn cases() -> impl Iterator<Item = Case> {
    let rows = FAILURES.iter().map(|(name, ..)| case(name, fails));
    rows.chain([case("disk_too_small", disk_too_small)])
}

fn fails(lab: &Lab, case: &Case) -> Result<()> {
    let row = FAILURES.iter().find(|(name, ..)| *name == case.name);
    let (_, parameters, message, code) = row.context("finding the case's row")?;
    let disk = if *code == CORRUPT { Expected::Cleared } else { Expected::Untouched };
    lab.boot(case, &parameters.replace("INSTALL", INSTALL))?.expect_failed(message, *code, disk)
}

fn disk_too_small(lab: &Lab, case: &Case) -> Result<()> {
    let disk = lab.used_disk(case, "disk", 4 << 20)?;
    lab.boot_on(disk, case, INSTALL, &lab.built.initramfs, Hardware::default())?.expect_failed(
        "the disk has 4194304 bytes (4 MiB)",
        5,
        Expected::Untouched,
    )
}
