//! Image indexes that lead each platform to its image. Pure.

use crate::document;
use crate::document::Annotations;
use crate::document::Document;
use crate::names;
use crate::platform::Platform;
use anyhow::Result;
use anyhow::bail;
use oci_spec::image::Arch;
use oci_spec::image::Descriptor;
use oci_spec::image::ImageIndex;
use oci_spec::image::MediaType;
use oci_spec::image::Os;

/// The entry for an image whose manifest is `bytes`. It repeats what others look for before they follow it.
pub fn entry_for(platform: &Platform, image: &Descriptor, bytes: &[u8]) -> Result<Descriptor> {
    let media_type = image.media_type().as_ref();
    let Document::Manifest(manifest) = Document::parse(bytes, media_type)? else {
        bail!("{} is an image index itself; hint: push it without --platform", image.digest());
    };
    let mut entry = document::descriptor(media_type, document::digest_of(image)?, image.size())?;
    let (key, _) = names::DISK_TYPE;
    let disk_type = manifest.annotations().as_ref().and_then(|annotations| annotations.get(key));
    let annotations: Annotations =
        disk_type.map(|value| (key.to_owned(), value.clone())).into_iter().collect();
    entry = document::with_annotations(entry, annotations);
    entry.set_artifact_type(manifest.artifact_type().clone());
    entry.set_platform(Some(platform.to_spec()));
    Ok(entry)
}

/// The index, or a new one, with `entry` in place of the one for the same platform. The order does not depend on who came first.
pub fn with_entry(index: Option<ImageIndex>, entry: Descriptor) -> ImageIndex {
    let platform = platform_of(&entry);
    let mut index = index.unwrap_or_default();
    let mut entries = index.manifests().clone();
    entries.retain(|other| platform_of(other) != platform);
    entries.push(entry);
    entries.sort_by_key(|entry| entry.platform().as_ref().map(sort_key));
    index.set_schema_version(2);
    // It may have been Docker's.
    index.set_media_type(Some(MediaType::ImageIndex));
    index.set_manifests(entries);
    index
}

/// In our one spelling of it.
fn platform_of(entry: &Descriptor) -> Option<Platform> {
    entry.platform().as_ref().map(Platform::from_spec)
}

fn sort_key(platform: &oci_spec::image::Platform) -> (String, String, Option<String>) {
    let (os, architecture): (&Os, &Arch) = (platform.os(), platform.architecture());
    (os.to_string(), architecture.to_string(), platform.variant().clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry for `platform`; `tag` makes it differ from others.
    fn entry(platform: &str, tag: &str) -> Descriptor {
        let mut entry = document::describe(names::MANIFEST, tag.as_bytes()).unwrap();
        entry.set_platform(Some(platform.parse::<Platform>().unwrap().to_spec()));
        entry
    }

    fn index(entries: &[Descriptor]) -> ImageIndex {
        entries.iter().fold(None, |index, entry| Some(with_entry(index, entry.clone()))).unwrap()
    }

    #[test]
    fn the_order_of_pushes_does_not_matter() {
        let entries = ["linux/arm64", "linux/amd64/v3", "linux/amd64", "freebsd/amd64"];
        let mut entries = entries.map(|platform| entry(platform, platform));
        let bytes = document::to_bytes(&index(&entries)).unwrap();
        for _ in 0..entries.len() {
            entries.rotate_left(1);
            assert_eq!(document::to_bytes(&index(&entries)).unwrap(), bytes);
        }
        let platforms = index(&entries).manifests().iter().map(platform_of).collect::<Vec<_>>();
        let wanted = ["freebsd/amd64", "linux/amd64", "linux/amd64/v3", "linux/arm64"];
        assert_eq!(platforms, wanted.map(|text| text.parse().ok()));
    }

    #[test]
    fn an_image_takes_the_place_of_that_for_the_same_platform_however_it_is_spelt() {
        let mut old = entry("linux/arm64", "old");
        let mut platform = old.platform().clone().unwrap();
        platform.set_architecture("arm64".into());
        platform.set_variant(Some("v8".to_owned()));
        old.set_platform(Some(platform));
        let other = entry("linux/amd64", "other");
        let new = entry("linux/arm64", "new");
        let mut before = index(std::slice::from_ref(&other));
        before.set_manifests(vec![old, other.clone()]);
        assert_eq!(*with_entry(Some(before), new.clone()).manifests(), [other, new]);
    }

    #[test]
    fn what_else_an_index_says_stays() {
        let mut docker = index(&[entry("linux/amd64", "a")]);
        docker.set_media_type(Some(MediaType::Other(names::DOCKER_INDEX.to_owned())));
        docker.set_annotations(Some([("a".to_owned(), "b".to_owned())].into_iter().collect()));
        let index = with_entry(Some(docker), entry("linux/arm64", "b"));
        assert_eq!(index.media_type(), &Some(MediaType::ImageIndex));
        assert_eq!(index.annotations().as_ref().unwrap()["a"], "b");
    }

    #[test]
    fn an_entry_repeats_the_type_of_its_image() {
        let platform: Platform = "linux/amd64".parse().unwrap();
        for (more, artifact_type, disk_type) in [
            ("", None, None),
            (
                r#","artifactType":"a/b","annotations":{"disktype":"raw","x":"y"}"#,
                Some("a/b"),
                Some("raw"),
            ),
        ] {
            let config = serde_json::to_string(&document::empty_config().unwrap()).unwrap();
            let text = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]{more}}}"#);
            let image = document::describe(names::MANIFEST, text.as_bytes()).unwrap();
            let entry = entry_for(&platform, &image, text.as_bytes()).unwrap();
            assert_eq!(entry.artifact_type().as_ref().map(AsRef::as_ref), artifact_type);
            assert_eq!(document::annotation(&entry, "disktype"), disk_type);
            assert_eq!(document::annotation(&entry, "x"), None);
        }
        let nested = document::to_bytes(&index(&[entry("linux/amd64", "a")])).unwrap();
        let image = document::describe(names::INDEX, &nested).unwrap();
        entry_for(&platform, &image, &nested).unwrap_err();
    }
}
