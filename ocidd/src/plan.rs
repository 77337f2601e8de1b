//! Options made into a plan: what is fetched, how, and where it goes. Pure; whether registry and disk agree is found out later.

use crate::args::Options;
use crate::args::Retries;
use crate::disk::selector::BadTarget;
use crate::disk::selector::Target;
use crate::disk::sink::Gpt;
use crate::disk::sink::Verify;
use crate::trust::BadName;
use crate::trust::Trust;
use oci::platform::Platform;
use oci::platform::PlatformError;
use oci::reference::Image;
use oci::reference::ReferenceError;
use registry::http::CertificateCheck;
use registry::http::DEFAULT_TIMEOUT;
use registry::http::Network;
use registry::http::Tls;
use std::time::Duration;
use thiserror::Error;

/// Whether a person has to say yes first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Confirm {
    No,
    Ask,
}

/// What is done besides writing the image, or in its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Depth {
    /// Everything but the writing.
    DryRun,
    /// Unless the disk carries the image already.
    UnlessInstalled,
    Always,
}

/// An install, ready to be carried out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    pub image: Image,
    pub platform: Platform,
    /// Who has to have signed the image.
    pub trust: Trust,
    pub network: Network,
    pub retries: Retries,
    /// Registries that are asked before the image's own, as `host[:port]`.
    pub mirrors: Vec<String>,
    pub disk: Target,
    /// How long to wait for the disk.
    pub disk_timeout: Duration,
    /// The most bytes to write at once, where the operator cares.
    pub transfer_size: Option<u64>,
    pub gpt: Gpt,
    pub verify: Verify,
    pub confirm: Confirm,
    pub depth: Depth,
}

#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum BadPlan {
    #[error(
        "oci.tag and oci.blob are both given; hint: leave one out, the image is one or the other"
    )]
    TwoImages,
    #[error("no image is named; hint: set oci.tag=registry/repository:tag")]
    NoImage,
    #[error("no target disk is named; hint: set dd.of=/dev/…")]
    NoDisk,
    #[error("oci.tag: {}{}", .0, reference_hint(.0))]
    Tag(ReferenceError),
    #[error("oci.blob: {}{}", .0, reference_hint(.0))]
    Blob(ReferenceError),
    #[error("oci.platform: {0}")]
    Platform(PlatformError),
    #[error("oci.verify_key: {0}")]
    Key(BadName),
    #[error(
        "oci.blob is given, and a bare blob has no signature for the trusted keys; hint: name a manifest by oci.tag"
    )]
    UnsignedBlob,
    #[error("dd.of: {0}")]
    Disk(BadTarget),
    #[error("ocidd.dry_run and ocidd.skip_if_installed are both given; hint: leave one out")]
    TwoDepths,
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

/// Enough for a switch that takes its time to forward, or a registry that is being restarted: about three minutes in all.
const DEFAULT_RETRIES: Retries = Retries::Times(8);
/// Disks behind slow controllers and USB come late.
const DEFAULT_DISK_TIMEOUT: Duration = Duration::from_secs(10);

/// The image the options name, if they name one.
pub fn parse_image(options: &Options) -> Result<Option<Image>, BadPlan> {
    match (&options.tag, &options.blob) {
        (Some(_), Some(_)) => Err(BadPlan::TwoImages),
        (Some(tag), None) => {
            tag.parse().map(|reference| Some(Image::Manifest(reference))).map_err(BadPlan::Tag)
        }
        (None, Some(blob)) => {
            blob.parse().map(|reference| Some(Image::Blob(reference))).map_err(BadPlan::Blob)
        }
        (None, None) => Ok(None),
    }
}

impl TryFrom<&Options> for Plan {
    type Error = BadPlan;

    fn try_from(options: &Options) -> Result<Self, BadPlan> {
        let platform = options.platform.as_deref().map(str::parse).transpose();
        let disk = options.disk.as_deref().ok_or(BadPlan::NoDisk)?;
        Ok(Self {
            image: parse_image(options)?.ok_or(BadPlan::NoImage)?,
            platform: platform.map_err(BadPlan::Platform)?.unwrap_or_else(Platform::of_host),
            trust: match &options.verify_key {
                Some(keys) => Trust::parse(keys).map_err(BadPlan::Key)?,
                None => Trust::Site,
            },
            network: network_of(options),
            retries: options.retries.unwrap_or(DEFAULT_RETRIES),
            mirrors: options.mirrors.clone(),
            disk: disk.parse().map_err(BadPlan::Disk)?,
            disk_timeout: options.disk_timeout.unwrap_or(DEFAULT_DISK_TIMEOUT),
            transfer_size: options.transfer_size,
            gpt: if options.keep_gpt { Gpt::Keep } else { Gpt::Move },
            verify: if options.read_back { Verify::ReadBack } else { Verify::Nothing },
            confirm: if options.wait { Confirm::Ask } else { Confirm::No },
            depth: match (options.dry_run, options.skip_if_installed) {
                (true, true) => return Err(BadPlan::TwoDepths),
                (true, false) => Depth::DryRun,
                (false, true) => Depth::UnlessInstalled,
                (false, false) => Depth::Always,
            },
        })
    }
}

/// How the options use the network.
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
    fn tls_is_required_and_nobody_asked_unless_said() {
        let plan = Plan::try_from(&options()).unwrap();
        assert_eq!(
            (plan.network.tls, plan.network.certificates, plan.confirm, plan.depth),
            (Tls::Required, CertificateCheck::Verify, Confirm::No, Depth::Always)
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
            (plan.network.tls, plan.network.certificates, plan.confirm, plan.depth),
            (Tls::Plain, CertificateCheck::Skip, Confirm::Ask, Depth::DryRun)
        );
    }

    #[test]
    fn names_what_is_missing_or_too_much() {
        let blob = Some("r.example/os@sha256:00".to_owned());
        for (options, fault) in [
            (Options { blob: blob.clone(), ..options() }, "both given"),
            (Options { tag: None, ..options() }, "no image is named"),
            (Options { disk: None, ..options() }, "no target disk is named"),
            (
                Options { tag: Some("os".to_owned()), ..options() },
                "oci.tag: 'os' does not name a registry",
            ),
            (Options { tag: None, blob, ..options() }, "oci.blob: invalid digest 'sha256:00'"),
            (Options { platform: Some("/".to_owned()), ..options() }, "oci.platform: "),
            (Options { verify_key: Some("x,".to_owned()), ..options() }, "oci.verify_key: 'x'"),
            (Options { disk: Some("sda".to_owned()), ..options() }, "dd.of: "),
            (Options { dry_run: true, skip_if_installed: true, ..options() }, "both given"),
        ] {
            let error = Plan::try_from(&options).unwrap_err().to_string();
            assert!(error.contains(fault), "{error}");
        }
    }
}
