//! Boots that end in the emergency shell, with a disk that does not boot.

use super::lab::Case;
use super::lab::Lab;
use crate::testbed::sample::Expected;
use anyhow::Result;

pub const CASES: [Case; 10] = [
    Case { name: "registry_down", run: registry_down },
    Case { name: "unknown_tag", run: unknown_tag },
    Case { name: "two_layers", run: two_layers },
    Case { name: "wrong_digest", run: wrong_digest },
    Case { name: "truncated_gzip", run: truncated_gzip },
    Case { name: "disk_too_small", run: disk_too_small },
    Case { name: "no_such_disk", run: no_such_disk },
    Case { name: "unknown_word", run: unknown_word },
    Case { name: "plain_http_is_not_allowed_by_itself", run: plain_http_is_not_allowed_by_itself },
    Case { name: "unknown_certificate_authority", run: unknown_certificate_authority },
];

fn tag(lab: &Lab, tag: &str) -> String {
    format!("oci.tag={}/os:{tag} oci.allow_no_tls dd.of=/dev/vda", lab.plain.guest())
}

fn registry_down(lab: &Lab, case: &Case) -> Result<()> {
    // Nothing listens on port 1 of the loopback.
    lab.boot(case, "oci.tag=10.0.2.2:1/os:1 oci.allow_no_tls oci.retries=0 dd.of=/dev/vda")?
        .expect_failed(
            "ocidd: resolving 10.0.2.2:1/os:1: connecting to http://10.0.2.2:1: ",
            4,
            Expected::Untouched,
        )
}

fn unknown_tag(lab: &Lab, case: &Case) -> Result<()> {
    lab.boot(case, &tag(lab, "nosuch"))?.expect_failed(
        "404 Not Found (MANIFEST_UNKNOWN: ",
        4,
        Expected::Untouched,
    )
}

fn two_layers(lab: &Lab, case: &Case) -> Result<()> {
    let said =
        "the manifest has 2 layers of media type application/octet-stream+gzip, expected one";
    lab.boot(case, &tag(lab, "two-layers"))?.expect_failed(said, 4, Expected::Untouched)
}

fn wrong_digest(lab: &Lab, case: &Case) -> Result<()> {
    lab.boot(case, &tag(lab, "flipped"))?.expect_failed(
        "layer has digest sha256:",
        6,
        Expected::Cleared,
    )
}

fn truncated_gzip(lab: &Lab, case: &Case) -> Result<()> {
    lab.boot(case, &tag(lab, "truncated"))?.expect_failed(
        "its gzip stream is corrupt after",
        6,
        Expected::Cleared,
    )
}

fn disk_too_small(lab: &Lab, case: &Case) -> Result<()> {
    lab.boot_small(case, &tag(lab, "1"))?.expect_failed(
        "the disk has 4194304 bytes (4 MiB)",
        5,
        Expected::Untouched,
    )
}

fn no_such_disk(lab: &Lab, case: &Case) -> Result<()> {
    let words = format!(
        "oci.tag={}/os:1 oci.allow_no_tls dd.of=/dev/nosuch dd.timeout=1",
        lab.plain.guest()
    );
    lab.boot(case, &words)?.expect_failed(
        "ocidd: opening target disk '/dev/nosuch': No such file",
        5,
        Expected::Untouched,
    )
}

fn unknown_word(lab: &Lab, case: &Case) -> Result<()> {
    let said = "ocidd: unknown parameter 'dd.fo', similar to 'dd.of'";
    lab.boot(case, &format!("{} dd.fo=/dev/vdb", tag(lab, "1")))?.expect_failed(
        said,
        2,
        Expected::Untouched,
    )
}

fn plain_http_is_not_allowed_by_itself(lab: &Lab, case: &Case) -> Result<()> {
    let words = format!("oci.tag={}/os:1 dd.of=/dev/vda", lab.plain.guest());
    lab.boot(case, &words)?.expect_failed(
        "oci.allow_no_tls allows plain HTTP",
        4,
        Expected::Untouched,
    )
}

fn unknown_certificate_authority(lab: &Lab, case: &Case) -> Result<()> {
    let words = format!("oci.tag={}/os:1 dd.of=/dev/vda", lab.tls.guest());
    lab.boot(case, &words)?.expect_failed(
        "certificate authority into /etc/ocidd/ca.d",
        4,
        Expected::Untouched,
    )
}
