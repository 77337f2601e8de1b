//! Checks the options and turns them into a plan. Pure.

use std::{str::FromStr, time::Duration};

use oci::{platform::Platform, reference::Image};
use params::{Options, Retries};
use registry::http::{CertificateCheck, DEFAULT_TIMEOUT, Network, Tls};

use crate::{
    disk::selector::Target,
    report::diagnostic::Diagnostic,
    trust::Trust,
    write::{ends::Gpt, sink::Verify},
};

/// Whether the operator has to confirm.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Confirm {
    No,
    Ask,
}

/// What an install does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InstallMode {
    /// Everything except writing.
    DryRun,
    /// Install unless the disk already contains the image.
    UnlessInstalled,
    Always,
}

/// A checked install.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    pub image: Image,
    pub platform: Platform,
    /// Trusted keys.
    pub trust: Trust,
    pub network: Network,
    pub retries: Retries,
    /// Registries to try first, as `host[:port]`.
    pub mirrors: Vec<String>,
    pub disk: Target,
    /// How long to wait for the disk.
    pub disk_timeout: Duration,
    /// Maximum size of one write, if set.
    pub transfer_size: Option<u64>,
    pub gpt: Gpt,
    pub verify: Verify,
    pub confirm: Confirm,
    pub mode: InstallMode,
}

/// Enough for a slow switch port or a registry restart: about three minutes in total.
const DEFAULT_RETRIES: Retries = Retries(Some(8));
/// Disks at slow controllers and USB appear late.
const DEFAULT_DISK_TIMEOUT: Duration = Duration::from_secs(10);

/// The image of the options, if there is one.
pub fn parse_image(options: &Options) -> Result<Option<Image>, Diagnostic> {
    Ok(match (&options.tag, &options.blob) {
        (Some(_), Some(_)) => return Err(exclusive("oci.tag and oci.blob")),
        (Some(tag), None) => Some(Image::Manifest(parse_reference("oci.tag", tag)?)),
        (None, Some(blob)) => Some(Image::Blob(parse_reference("oci.blob", blob)?)),
        (None, None) => None,
    })
}

fn parse_reference<T>(key: &str, value: &str) -> Result<T, Diagnostic>
where
    T: FromStr<Err = oci::Error>,
{
    value.parse().map_err(|error| {
        let hint = match error {
            oci::Error::Scheme { .. } => {
                Some("remove the scheme, and set oci.allow_no_tls for plain HTTP".to_owned())
            }
            oci::Error::NoDigest(_) => Some("set oci.tag for a tag".to_owned()),
            _ => None,
        };
        invalid(key, Diagnostic { message: error.to_string(), hint })
    })
}

fn exclusive(parameters: &str) -> Diagnostic {
    Diagnostic::new(format!("{parameters} are mutually exclusive"), "remove one of them")
}

/// Names the parameter with an invalid value.
fn invalid(key: &str, problem: impl Into<Diagnostic>) -> Diagnostic {
    let Diagnostic { message, hint } = problem.into();
    Diagnostic { message: format!("{key}: {message}"), hint }
}

impl TryFrom<&Options> for Plan {
    type Error = Diagnostic;

    fn try_from(options: &Options) -> Result<Self, Diagnostic> {
        let image = parse_image(options)?.ok_or_else(|| {
            Diagnostic::new("no image is given", "set oci.tag=registry/repository:tag")
        });
        let disk = options.disk.as_deref();
        let disk =
            disk.ok_or_else(|| Diagnostic::new("no target disk is given", "set dd.of=/dev/…"))?;
        let platform = options.platform.as_deref().map(str::parse).transpose();
        let platform = platform.map_err(|error| invalid("oci.platform", error))?;
        Ok(Self {
            image: image?,
            platform: platform.unwrap_or_else(Platform::of_host),
            trust: match &options.verify_key {
                Some(keys) => Trust::parse(keys).map_err(|e| invalid("oci.verify_key", e))?,
                None => Trust::Site,
            },
            network: network_of(options),
            retries: options.retries.unwrap_or(DEFAULT_RETRIES),
            mirrors: options.mirrors.clone(),
            disk: disk.parse().map_err(|problem: Diagnostic| invalid("dd.of", problem))?,
            disk_timeout: options.disk_timeout.unwrap_or(DEFAULT_DISK_TIMEOUT),
            transfer_size: options.transfer_size,
            gpt: if options.keep_gpt { Gpt::Keep } else { Gpt::Move },
            verify: if options.read_back { Verify::ReadBack } else { Verify::Nothing },
            confirm: if options.wait { Confirm::Ask } else { Confirm::No },
            mode: match (options.dry_run, options.skip_if_installed) {
                (true, true) => {
                    return Err(exclusive("ocidd.dry_run and ocidd.skip_if_installed"));
                }
                (true, false) => InstallMode::DryRun,
                (false, true) => InstallMode::UnlessInstalled,
                (false, false) => InstallMode::Always,
            },
        })
    }
}

/// The network settings of the options.
pub fn network_of(options: &Options) -> Network {
    Network {
        tls: if options.allow_no_tls { Tls::Plain } else { Tls::Required },
        certificates: if options.insecure_skip_verify {
            CertificateCheck::Skip
        } else {
            CertificateCheck::Verify
        },
        timeout: options.timeout.unwrap_or(DEFAULT_TIMEOUT),
        http_proxy: options.http_proxy.clone(),
        https_proxy: options.https_proxy.clone(),
        no_proxy: options.no_proxy.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            tag: Some("r.example/os:1".to_owned()),
            disk: Some("/dev/vda".to_owned()),
            ..Options::default()
        }
    }

    #[test]
    fn defaults_to_tls_and_no_confirmation() {
        let plan = Plan::try_from(&options()).unwrap();
        assert_eq!(
            (plan.network.tls, plan.network.certificates, plan.confirm, plan.mode),
            (Tls::Required, CertificateCheck::Verify, Confirm::No, InstallMode::Always)
        );
        let plan = Plan::try_from(&Options {
            allow_no_tls: true,
            insecure_skip_verify: true,
            wait: true,
            dry_run: true,
            ..options()
        })
        .unwrap();
        assert_eq!(
            (plan.network.tls, plan.network.certificates, plan.confirm, plan.mode),
            (Tls::Plain, CertificateCheck::Skip, Confirm::Ask, InstallMode::DryRun)
        );
    }

    #[test]
    fn rejects_missing_and_conflicting_options() {
        let blob = Some("r.example/os@sha256:00".to_owned());
        for (options, fault) in [
            (Options { blob: blob.clone(), ..options() }, "mutually exclusive"),
            (Options { tag: None, ..options() }, "no image is given"),
            (Options { disk: None, ..options() }, "no target disk is given"),
            (
                Options { tag: Some("os".to_owned()), ..options() },
                "oci.tag: 'os' does not name a registry",
            ),
            (Options { tag: None, blob, ..options() }, "oci.blob: invalid digest 'sha256:00'"),
            (Options { platform: Some("/".to_owned()), ..options() }, "oci.platform: "),
            (Options { verify_key: Some("x,".to_owned()), ..options() }, "oci.verify_key: 'x'"),
            (Options { disk: Some("sda".to_owned()), ..options() }, "dd.of: "),
            (Options { dry_run: true, skip_if_installed: true, ..options() }, "mutually exclusive"),
        ] {
            let error = Plan::try_from(&options).unwrap_err().to_string();
            assert!(error.contains(fault), "{error}");
        }
    }
}
