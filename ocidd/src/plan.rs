//! Checks the options and turns them into a plan. Pure.

use crate::disk::selector::SelectorError;
use crate::disk::selector::Target;
use crate::trust::Trust;
use crate::trust::TrustError;
use crate::write::ends::Gpt;
use crate::write::sink::Verify;
use oci::platform::Platform;
use oci::platform::PlatformError;
use oci::reference::Image;
use oci::reference::ReferenceError;
use params::Options;
use params::Retries;
use registry::http::CertificateCheck;
use registry::http::DEFAULT_TIMEOUT;
use registry::http::Network;
use registry::http::Tls;
use std::time::Duration;
use thiserror::Error;

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

#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum PlanError {
    #[error("oci.tag and oci.blob are mutually exclusive; hint: remove one of them")]
    TwoImages,
    #[error("no image is given; hint: set oci.tag=registry/repository:tag")]
    NoImage,
    #[error("no target disk is given; hint: set dd.of=/dev/…")]
    NoDisk,
    #[error("oci.tag: {}{}", .0, reference_hint(.0))]
    Tag(ReferenceError),
    #[error("oci.blob: {}{}", .0, reference_hint(.0))]
    Blob(ReferenceError),
    #[error("oci.platform: {0}")]
    Platform(PlatformError),
    #[error("oci.verify_key: {0}")]
    Key(TrustError),
    #[error(
        "oci.blob is given, but a blob without a manifest has no signature to verify; \
        hint: select a manifest with oci.tag"
    )]
    UnsignedBlob,
    #[error("dd.of: {0}")]
    Disk(SelectorError),
    #[error(
        "ocidd.dry_run and ocidd.skip_if_installed are mutually exclusive; hint: remove one of them"
    )]
    TwoModes,
}

fn reference_hint(error: &ReferenceError) -> &'static str {
    match error {
        ReferenceError::Scheme { .. } => {
            "; hint: remove the scheme, and set oci.allow_no_tls for plain HTTP"
        }
        ReferenceError::NoDigest(_) => "; hint: set oci.tag for a tag",
        _ => "",
    }
}

/// Enough for a slow switch port or a registry restart: about three minutes in total.
const DEFAULT_RETRIES: Retries = Retries::Times(8);
/// Disks at slow controllers and USB appear late.
const DEFAULT_DISK_TIMEOUT: Duration = Duration::from_secs(10);

/// The image of the options, if there is one.
pub fn parse_image(options: &Options) -> Result<Option<Image>, PlanError> {
    match (&options.tag, &options.blob) {
        (Some(_), Some(_)) => Err(PlanError::TwoImages),
        (Some(tag), None) => {
            tag.parse().map(|reference| Some(Image::Manifest(reference))).map_err(PlanError::Tag)
        }
        (None, Some(blob)) => {
            blob.parse().map(|reference| Some(Image::Blob(reference))).map_err(PlanError::Blob)
        }
        (None, None) => Ok(None),
    }
}

impl TryFrom<&Options> for Plan {
    type Error = PlanError;

    fn try_from(options: &Options) -> Result<Self, PlanError> {
        let platform = options.platform.as_deref().map(str::parse).transpose();
        let disk = options.disk.as_deref().ok_or(PlanError::NoDisk)?;
        Ok(Self {
            image: parse_image(options)?.ok_or(PlanError::NoImage)?,
            platform: platform.map_err(PlanError::Platform)?.unwrap_or_else(Platform::of_host),
            trust: match &options.verify_key {
                Some(keys) => Trust::parse(keys).map_err(PlanError::Key)?,
                None => Trust::Site,
            },
            network: network_of(options),
            retries: options.retries.unwrap_or(DEFAULT_RETRIES),
            mirrors: options.mirrors.clone(),
            disk: disk.parse().map_err(PlanError::Disk)?,
            disk_timeout: options.disk_timeout.unwrap_or(DEFAULT_DISK_TIMEOUT),
            transfer_size: options.transfer_size,
            gpt: if options.keep_gpt { Gpt::Keep } else { Gpt::Move },
            verify: if options.read_back { Verify::ReadBack } else { Verify::Nothing },
            confirm: if options.wait { Confirm::Ask } else { Confirm::No },
            mode: match (options.dry_run, options.skip_if_installed) {
                (true, true) => return Err(PlanError::TwoModes),
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
