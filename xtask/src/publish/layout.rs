//! One release put into an OCI image layout, under the tags that it will have in a registry.

use super::arrange;
use super::arrange::Blob;
use super::arrange::Files;
use super::arrange::Kit;
use super::container;
use super::release::Build;
use super::release::Release;
use crate::output;
use anyhow::Context as _;
use anyhow::Result;
use oci::document;
use oci::document::Annotations;
use oci::document::Artifact;
use oci::document::Descriptor;
use oci::layout::Store;
use registry::location::Location;
use registry::session::Session;
use std::fs::File;
use std::path::Path;

/// A manifest or an index in the layout.
#[derive(Clone, Debug)]
pub(super) struct Published {
    /// None of what refers to another.
    pub(super) tag: Option<String>,
    pub(super) descriptor: Descriptor,
    pub(super) bytes: Vec<u8>,
}

/// What was found under a tag of the layout.
pub(super) fn place<'a>(session: &'a Session, folder: &Path, tag: &str) -> Result<Location<'a>> {
    Ok(Location::in_store(session.observer(), Store::open_existing(folder)?, tag))
}

/// Writes every form of a release. Manifests come before the indexes that lead to them.
pub(super) fn write(store: &Store, release: &Release, kit: &Kit<'_>) -> Result<Vec<Published>> {
    let base = format!("{}{}", kit.version, release.profile.suffix());
    let mut writer = Writer { store, all: Vec::new() };
    let (mut netboot, mut ironcore, mut image) = (Vec::new(), Vec::new(), Vec::new());
    for build in &release.builds {
        let (kernel, initramfs) = (add(store, &build.kernel)?, add(store, &build.initramfs)?);
        let files = Files {
            arch: build.arch,
            kernel: &kernel,
            initramfs: &initramfs,
            created: build.created(),
            revision: build.manifest.commit.as_ref().map(|commit| commit.id.as_str()),
        };
        let arch = build.arch.oci();
        let manifest = writer.add(&kit.netboot(&files)?, Some(format!("{base}-{arch}")))?;
        writer.refer(&manifest, build)?;
        netboot.push(kit.netboot_entry(&manifest, build.arch));
        let (config, artifact) = kit.ironcore(&files)?;
        store.add(config.as_slice())?;
        let manifest = writer.add(&artifact, Some(format!("{base}-ironcore-{arch}")))?;
        ironcore.push(arrange::entry(&manifest, build.arch));
        let artifact = container::add(store, build)?;
        let manifest = writer.add(&artifact, Some(format!("{base}-image-{arch}")))?;
        image.push(arrange::entry(&manifest, build.arch));
    }
    writer.add_index(ironcore, Annotations::new(), format!("{base}-ironcore"))?;
    writer.add_index(image, Annotations::new(), format!("{base}-image"))?;
    let index = writer.add_index(netboot, kit.netboot_annotations(), base)?;
    writer.refer_sums(&index, release)?;
    Ok(writer.all)
}

fn add(store: &Store, path: &Path) -> Result<Blob> {
    let doing = || format!("reading {}", path.display());
    let (digest, size_bytes) =
        store.add(File::open(path).with_context(doing)?).with_context(doing)?;
    Ok(Blob { digest, size_bytes })
}

struct Writer<'a> {
    store: &'a Store,
    all: Vec<Published>,
}

impl Writer<'_> {
    fn add(&mut self, artifact: &Artifact, tag: Option<String>) -> Result<Descriptor> {
        self.store.add(document::EMPTY_JSON)?;
        self.keep(document::MANIFEST, artifact.to_bytes()?, tag)
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

    /// The papers of a build, each as an artifact that refers to the build's manifest.
    fn refer(&mut self, subject: &Descriptor, build: &Build) -> Result<()> {
        for paper in &build.papers {
            self.refer_one(subject, &paper.name, paper.media_type, &paper.bytes, build.created())?;
        }
        Ok(())
    }

    /// The digests of the boot files, as `sha256sum --check` reads them.
    fn refer_sums(&mut self, subject: &Descriptor, release: &Release) -> Result<()> {
        let mut lines: Vec<String> = Vec::new();
        for build in &release.builds {
            let own = build.manifest.outputs.iter();
            lines.extend(own.map(|(name, output)| format!("{}  {name}\n", output.sha256)));
        }
        lines.sort();
        let created = release.builds.first().map(Build::created).unwrap_or_default();
        let bytes = lines.concat().into_bytes();
        self.refer_one(subject, output::SUMS, "text/plain", &bytes, created)
    }

    fn refer_one(
        &mut self,
        subject: &Descriptor,
        name: &str,
        media_type: &str,
        bytes: &[u8],
        created: &str,
    ) -> Result<()> {
        self.store.add(bytes)?;
        let title = Annotations::from([(document::TITLE.to_owned(), name.to_owned())]);
        let artifact = Artifact {
            artifact_type: Some(media_type.to_owned()),
            config: document::empty_config()?,
            layers: vec![document::with_annotations(document::describe(media_type, bytes)?, title)],
            annotations: Annotations::from([(document::CREATED.to_owned(), created.to_owned())]),
            subject: Some(subject.clone()),
        };
        self.add(&artifact, None).map(drop)
    }
}
