//! Writes a release into an OCI image layout, with the tags that it will have in a registry.

use std::{fs::File, path::Path};

use anyhow::{Context as _, Result};
use oci::{
    document,
    document::{Annotations, Descriptor},
    layout::Store,
};
use oci_spec::image::ImageManifest;

use super::{
    forms,
    forms::{Blob, Files, ReleaseInfo},
    release::{Attestation, Build, Release},
};
use crate::host::output;

/// A manifest or an index in the layout.
#[derive(Clone, Debug)]
pub struct Published {
    /// `None` for a manifest that refers to another one.
    pub tag: Option<String>,
    pub descriptor: Descriptor,
    pub bytes: Vec<u8>,
}

/// Writes every form of a release. Manifests precede the indexes that list them.
pub fn write(store: &Store, release: &Release, info: &ReleaseInfo<'_>) -> Result<Vec<Published>> {
    let base = format!("{}{}", info.version, release.profile.suffix());
    let mut writer = Writer { store, all: Vec::new() };
    let (mut netboot, mut ironcore, mut image) = (Vec::new(), Vec::new(), Vec::new());
    for build in &release.builds {
        let (kernel, initramfs) = (add(store, &build.kernel)?, add(store, &build.initramfs)?);
        let files = Files { build, kernel, initramfs };
        let arch = build.arch.oci();
        let manifest = writer.add(&info.netboot(&files)?, Some(format!("{base}-{arch}")))?;
        for attestation in &build.attestations {
            writer.refer(&manifest, attestation, build.created())?;
        }
        netboot.push(info.netboot_entry(&manifest, build.arch));
        let (config, artifact) = info.ironcore(&files)?;
        store.add(config.as_slice())?;
        let manifest = writer.add(&artifact, Some(format!("{base}-ironcore-{arch}")))?;
        ironcore.push(forms::entry(&manifest, build.arch));
        let artifact = forms::add_container(store, build)?;
        let manifest = writer.add(&artifact, Some(format!("{base}-image-{arch}")))?;
        image.push(forms::entry(&manifest, build.arch));
    }
    writer.add_index(ironcore, Annotations::new(), format!("{base}-ironcore"))?;
    writer.add_index(image, Annotations::new(), format!("{base}-image"))?;
    let index = writer.add_index(netboot, info.netboot_annotations(), base)?;
    let created = release.builds.first().map(Build::created).unwrap_or_default();
    writer.refer(&index, &sums(release), created)?;
    Ok(writer.all)
}

fn add(store: &Store, path: &Path) -> Result<Blob> {
    let reading = || format!("reading {}", path.display());
    store.add(File::open(path).with_context(reading)?).with_context(reading)
}

struct Writer<'a> {
    store: &'a Store,
    all: Vec<Published>,
}

impl Writer<'_> {
    fn add(&mut self, manifest: &ImageManifest, tag: Option<String>) -> Result<Descriptor> {
        self.store.add(document::EMPTY_JSON)?;
        self.keep(document::MANIFEST, document::to_bytes(manifest)?, tag)
    }

    fn add_index(
        &mut self,
        entries: Vec<Descriptor>,
        annotations: Annotations,
        tag: String,
    ) -> Result<Descriptor> {
        let bytes = document::to_bytes(&document::index_of(entries, annotations))?;
        self.keep(document::INDEX, bytes, Some(tag))
    }

    fn keep(
        &mut self,
        media_type: &str,
        bytes: Vec<u8>,
        tag: Option<String>,
    ) -> Result<Descriptor> {
        let descriptor = document::describe(media_type, &bytes)?;
        self.store.add(bytes.as_slice())?;
        self.store.keep(&descriptor, tag.as_deref())?;
        self.all.push(Published { tag, descriptor: descriptor.clone(), bytes });
        Ok(descriptor)
    }

    /// Adds an artifact that refers to `subject`.
    fn refer(
        &mut self,
        subject: &Descriptor,
        attestation: &Attestation,
        created: &str,
    ) -> Result<()> {
        let Attestation { name, media_type, bytes } = attestation;
        let blob = self.store.add(bytes.as_slice())?;
        let annotations = Annotations::from([(document::CREATED.to_owned(), created.to_owned())]);
        let layers = vec![forms::titled(media_type, blob, name)?];
        let mut artifact = document::artifact(media_type, layers, annotations)?;
        artifact.set_subject(Some(subject.clone()));
        self.add(&artifact, None).map(drop)
    }
}

/// The digests of the boot files in the format of `sha256sum --check`.
fn sums(release: &Release) -> Attestation {
    let outputs = release.builds.iter().flat_map(|build| &build.manifest.outputs);
    let mut lines: Vec<_> =
        outputs.map(|(name, output)| format!("{}  {name}\n", output.sha256)).collect();
    lines.sort();
    let (name, bytes) = (output::SUMS.to_owned(), lines.concat().into_bytes());
    Attestation { name, media_type: "text/plain", bytes }
}
