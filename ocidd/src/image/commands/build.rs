//! `build`: creates a bundle in the store.

use std::{fs::File, path::PathBuf};

use anyhow::Context as _;
use clap::Args;
use oci::{bundle, document, reference::ManifestReference};
use registry::session::Session;

use super::{created, print, short};
use crate::image::error::{Error, Result};

/// Bundle kernel, initramfs, root file system and command line into an image of the store
#[derive(Args, Debug)]
pub(in crate::image) struct Build {
    #[arg(long, value_name = "FILE")]
    rootfs_file: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    initramfs_file: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    kernel_file: Option<PathBuf>,
    /// Kernel command line
    #[arg(long, value_name = "TEXT", default_value = "")]
    command_line: String,
    /// Media types of the bundle
    #[arg(long, value_enum, default_value = "ironcore")]
    format: BundleFormat,
    /// Name of the image in the store [default: none]
    #[arg(value_name = "REF")]
    name: Option<String>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum BundleFormat {
    /// `application/vnd.ironcore.image.…`, read by boot-operator and ironcore-image
    Ironcore,
    /// `application/vnd.onmetal.image.…v1alpha1…`, read by onmetal-image; needs all three files
    Onmetal,
}

pub(super) fn run(args: &Build, session: &Session) -> Result<()> {
    if let Some(name) = &args.name {
        name.parse::<ManifestReference>()?;
    }
    let flavour = match args.format {
        BundleFormat::Ironcore => bundle::IRONCORE,
        BundleFormat::Onmetal => bundle::ONMETAL,
    };
    let files = [
        (flavour.rootfs, &args.rootfs_file),
        (flavour.initramfs, &args.initramfs_file),
        (flavour.kernel, &args.kernel_file),
    ];
    let given = files.iter().filter(|(_, file)| file.is_some()).count();
    match (args.format, given) {
        (_, 0) => {
            let hint = "pass --kernel-file, --initramfs-file or --rootfs-file";
            return Err(Error::new("the bundle has no file", hint));
        }
        (BundleFormat::Onmetal, 1 | 2) => {
            let message =
                format!("onmetal-image needs kernel, initramfs and rootfs, found {given} of them");
            return Err(Error::new(message, "--format ironcore accepts fewer"));
        }
        _ => {}
    }
    let store = session.store()?;
    let mut layers = Vec::new();
    for (media_type, path) in files {
        let Some(path) = path else { continue };
        let doing = || format!("reading {}", path.display());
        let (digest, size) =
            store.add(File::open(path).with_context(doing)?).with_context(doing)?;
        layers.push(document::descriptor(media_type, digest, size)?);
    }
    let (config, manifest) = bundle::manifest(&flavour, &args.command_line, layers, created()?)?;
    store.add(config.as_slice())?;
    let image = store.add_manifest(&manifest)?;
    store.keep(&image, args.name.as_deref())?;
    session.observer().note(format!("built {}", short(image.digest())));
    print(&format!("{}\n", image.digest()))
}
