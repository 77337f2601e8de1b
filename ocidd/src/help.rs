//! `ocidd --help`.

use std::fmt;

use params::PARAMETERS;

use crate::{disk::selector, report::failure};

/// Displays the help text.
#[derive(Clone, Copy, Debug)]
pub struct Help;

impl fmt::Display for Help {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "Install a raw disk image from an OCI registry: fetch it, verify it, write it to a disk.\n\
             The image can be compressed by gzip, zstd or xz.\n\n\
             Usage: ocidd [PARAMETER]...\n\n\
             Parameters, as on a kernel command line. The last of repeated ones wins. Parameters with\n\
             other prefixes are ignored; unknown oci.*, dd.* and ocidd.* parameters are rejected.\n\n",
        )?;
        for parameter in &PARAMETERS {
            writeln!(f, "  {}\n      {}", parameter.syntax, parameter.help)?;
        }
        f.write_str(
            "  -h, --help\n      Print help\n  \
               -V, --version\n      Print version\n\n\
             A selector consists of parts separated by commas. Exactly one disk must match all of them.\n\
             Removable and read-only disks, loop devices and disks in use never match. '*' at either\n\
             end of a text matches anything:\n",
        )?;
        for (part, meaning) in selector::PARTS {
            writeln!(f, "  {part:<20} {meaning}")?;
        }
        f.write_str(
            "\nIf the image or the disk is missing, ocidd asks for it on the console.\n\n\
             Files:\n  \
               /etc/ocidd/parameters  parameters, one per line; the command line overrides them\n  \
               /etc/ocidd/ca.d        additional certificate authorities, as PEM files\n  \
               /etc/ocidd/keys.d      public keys, as PEM files: one of them must have signed the image\n  \
               /etc/ocidd/auth.json   credentials, in the format of docker's config.json\n\n\
             Examples:\n  \
               ocidd oci.tag=registry.example/os:1 dd.of=/dev/sda dd.bs=1M\n  \
               ocidd oci.tag=10.0.2.2:5000/os:1 oci.allow_no_tls dd.of=/dev/vda wait\n  \
               ocidd oci.tag=registry.example/os:1 dd.of=transport:nvme,smallest dd.verify=readback\n  \
               ocidd oci.tag=registry.example/os:1 dd.of=serial:S3Z8NB0K ocidd.dry_run\n\n\
             Exit codes:\n",
        )?;
        for (code, meaning) in failure::EXIT_CODES {
            writeln!(f, "  {code}  {meaning}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_and_reference_contain_all_tables() {
        let help = Help.to_string();
        let reference = include_str!("../../docs/reference.md");
        let assert_row = |row: String| {
            assert!(reference.contains(&row), "docs/reference.md lacks this row:\n{row}");
        };
        for parameter in &PARAMETERS {
            assert!(help.contains(parameter.key()) && help.contains(parameter.help));
            // A bar in a Markdown table needs a backslash.
            let syntax = parameter.syntax.replace('|', "\\|");
            assert_row(format!("| `{syntax}` | {} |\n", parameter.help));
        }
        for (part, meaning) in selector::PARTS {
            assert_row(format!("| `{part}` | {meaning} |\n"));
        }
        for (code, meaning) in failure::EXIT_CODES {
            assert_row(format!("| {code} | {meaning} |\n"));
        }
        for cause in failure::tests::ALL_CAUSES {
            assert_row(format!("| `{}` | {} | {} |\n", cause.id, cause.exit_code, cause.remedy));
        }
    }
}
