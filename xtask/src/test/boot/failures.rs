//! Boots that end in the emergency shell, with a disk that does not boot.

use anyhow::{Context as _, Result};

use super::lab::{Case, INSTALL, Lab, case};
use crate::testbed::{qemu::Hardware, sample::Expected};

/// Name, parameters, expected message, exit code and state of the disk.
type Failure = (&'static str, &'static str, &'static str, u8, Expected<'static>);

const FAILURES: [Failure; 9] = [
    (
        "registry_down",
        // No program listens on port 1.
        "oci.tag=10.0.2.2:1/os:1 oci.allow_no_tls oci.retries=0 dd.of=/dev/vda",
        "ocidd: resolving 10.0.2.2:1/os:1: connecting to http://10.0.2.2:1: ",
        4,
        Expected::Untouched,
    ),
    (
        "unknown_tag",
        "oci.tag=PLAIN/os:nosuch oci.allow_no_tls dd.of=/dev/vda",
        "404 Not Found (MANIFEST_UNKNOWN: ",
        4,
        Expected::Untouched,
    ),
    (
        "two_layers",
        "oci.tag=PLAIN/os:two-layers oci.allow_no_tls dd.of=/dev/vda",
        "the manifest has 2 layers of media type application/octet-stream+gzip, expected one",
        4,
        Expected::Untouched,
    ),
    (
        "wrong_digest",
        "oci.tag=PLAIN/os:flipped oci.allow_no_tls dd.of=/dev/vda",
        "layer has digest sha256:",
        6,
        Expected::Cleared,
    ),
    (
        "truncated_gzip",
        "oci.tag=PLAIN/os:truncated oci.allow_no_tls dd.of=/dev/vda",
        "its gzip stream is corrupt after",
        6,
        Expected::Cleared,
    ),
    (
        "no_such_disk",
        "oci.tag=PLAIN/os:1 oci.allow_no_tls dd.of=/dev/nosuch dd.timeout=1",
        "ocidd: opening target disk '/dev/nosuch': No such file",
        5,
        Expected::Untouched,
    ),
    (
        "unknown_parameter",
        "oci.tag=PLAIN/os:1 oci.allow_no_tls dd.of=/dev/vda dd.fo=/dev/vdb",
        "ocidd: unknown parameter 'dd.fo', similar to 'dd.of'",
        2,
        Expected::Untouched,
    ),
    (
        "plain_http_needs_permission",
        "oci.tag=PLAIN/os:1 dd.of=/dev/vda",
        "oci.allow_no_tls allows plain HTTP",
        4,
        Expected::Untouched,
    ),
    (
        "unknown_certificate_authority",
        "oci.tag=TLS/os:1 dd.of=/dev/vda",
        "certificate authority into /etc/ocidd/ca.d",
        4,
        Expected::Untouched,
    ),
];

pub fn cases() -> impl Iterator<Item = Case> {
    let rows = FAILURES.iter().map(|(name, ..)| case(name, fails));
    rows.chain([case("disk_too_small", disk_too_small)])
}

fn fails(lab: &Lab, case: &Case) -> Result<()> {
    let row = FAILURES.iter().find(|(name, ..)| *name == case.name);
    let (_, parameters, message, code, disk) = row.context("finding the case's row")?;
    lab.boot(case, parameters)?.expect_failed(message, *code, *disk)
}

fn disk_too_small(lab: &Lab, case: &Case) -> Result<()> {
    let disk = lab.used_disk(case, "disk", 4 << 20)?;
    lab.boot_on(disk, case, INSTALL, &lab.built.initramfs, Hardware::default())?.expect_failed(
        "the disk has 4194304 bytes (4 MiB)",
        5,
        Expected::Untouched,
    )
}
