//! Options made into a plan: what is fetched, how, and where it goes. Pure; whether registry and disk agree is found out later.

use crate::args::Options;
use crate::reference::BadReference;
use crate::reference::BlobReference;
use crate::reference::ManifestReference;
use crate::reference::Repository;
use std::fmt;
use std::path::PathBuf;
use thiserror::Error;

/// What holds the disk image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Image {
    Manifest(ManifestReference),
    Blob(BlobReference),
}

impl Image {
    pub fn repository(&self) -> &Repository {
        match self {
            Self::Manifest(reference) => &reference.repository,
            Self::Blob(reference) => &reference.repository,
        }
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest(reference) => reference.fmt(f),
            Self::Blob(reference) => reference.fmt(f),
        }
    }
}

/// Whether a registry must prove who it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tls {
    Required,
    /// Plain HTTP: `oci.allow_no_tls`.
    Plain,
}

/// Whether a person has to say yes first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Confirm {
    No,
    Ask,
}

/// An install, ready to be carried out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    pub image: Image,
    pub tls: Tls,
    pub disk: PathBuf,
    /// The most bytes to write at once, where the operator cares.
    pub transfer_size: Option<u64>,
    pub confirm: Confirm,
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
    #[error("oci.tag: {0}")]
    Tag(BadReference),
    #[error("oci.blob: {0}")]
    Blob(BadReference),
}

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
        Ok(Self {
            image: parse_image(options)?.ok_or(BadPlan::NoImage)?,
            tls: if options.allow_no_tls { Tls::Plain } else { Tls::Required },
            disk: options.disk.as_deref().ok_or(BadPlan::NoDisk)?.into(),
            transfer_size: options.transfer_size,
            confirm: if options.wait { Confirm::Ask } else { Confirm::No },
        })
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
            (plan.tls, plan.confirm, plan.transfer_size),
            (Tls::Required, Confirm::No, None)
        );
        let plan =
            Plan::try_from(&Options { allow_no_tls: true, wait: true, ..options() }).unwrap();
        assert_eq!((plan.tls, plan.confirm), (Tls::Plain, Confirm::Ask));
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
                "oci.tag: 'os' names no registry",
            ),
            (Options { tag: None, blob, ..options() }, "oci.blob: digest 'sha256:00'"),
        ] {
            let error = Plan::try_from(&options).unwrap_err().to_string();
            assert!(error.contains(fault), "{error}");
        }
    }
}
