//! Image indexes: one manifest for each platform.

use oci_spec::image::{Descriptor, ImageIndex, MediaType};

use crate::{
    document,
    document::{Annotations, DISK_TYPE, Document, list},
    error::{Error, Result},
    platform::Platform,
};

/// Selects the entry for `platform`, independent of the order of entries. An entry without a
/// platform is selected if there is no other. If no variant is requested, an entry without a
/// variant is preferred.
pub fn select<'a>(index: &'a ImageIndex, platform: &Platform) -> Result<&'a Descriptor> {
    let images: Vec<(&Descriptor, Option<Platform>)> = index
        .manifests()
        .iter()
        .map(|entry| (entry, platform_of(entry)))
        .filter(|(_, offered)| !offered.as_ref().is_some_and(Platform::is_unknown))
        .collect();
    if let [(entry, None)] = images.as_slice() {
        return Ok(entry);
    }
    let find = |is_match: fn(&Platform, &Platform) -> bool| -> Vec<_> {
        let is_match =
            |offered: &Option<Platform>| offered.as_ref().is_some_and(|it| is_match(platform, it));
        images.iter().filter(|(_, offered)| is_match(offered)).collect()
    };
    let mut matching = find(Platform::eq);
    if matching.is_empty() {
        matching = find(Platform::includes);
    }
    match matching.as_slice() {
        [(entry, _)] => Ok(entry),
        [] => Err(Error::NoMatch {
            platform: platform.to_string(),
            available: list(images.iter().map(|(entry, offered)| match offered {
                Some(offered) => offered.to_string(),
                None => format!("{} (no platform)", entry.digest()),
            })),
            has_platforms: images.iter().any(|(_, offered)| offered.is_some()),
        }),
        several => Err(Error::SeveralMatches {
            platform: platform.to_string(),
            count: several.len(),
            manifests: list(several.iter().map(|(entry, offered)| match offered {
                Some(offered) if offered != platform => format!("{} ({offered})", entry.digest()),
                _ => entry.digest().to_string(),
            })),
        }),
    }
}

/// The entry for an image with the manifest `bytes`. It repeats the properties that other programs
/// read from indexes.
pub fn entry_for(platform: &Platform, image: &Descriptor, bytes: &[u8]) -> Result<Descriptor> {
    let media_type = image.media_type().as_ref();
    let Document::Manifest(manifest) = Document::parse(bytes, media_type)? else {
        return Err(Error::Nested(image.digest().clone()));
    };
    let (key, _) = DISK_TYPE;
    let disk_type = manifest.annotations().as_ref().and_then(|annotations| annotations.get(key));
    let annotations: Annotations =
        disk_type.map(|value| (key.to_owned(), value.clone())).into_iter().collect();
    let entry = document::descriptor(media_type, document::digest_of(image)?, image.size())?;
    let mut entry = document::with_annotations(entry, annotations);
    entry.set_artifact_type(manifest.artifact_type().clone());
    entry.set_platform(Some(platform.to_spec()));
    Ok(entry)
}

/// Adds `entry` to an index, or to a new one, in place of the entry for the same platform. The
/// result does not depend on the order of additions.
pub fn with_entry(index: Option<ImageIndex>, entry: Descriptor) -> ImageIndex {
    let platform = platform_of(&entry);
    let mut index = index.unwrap_or_default();
    let mut entries = index.manifests().clone();
    entries.retain(|other| platform_of(other) != platform);
    entries.push(entry);
    entries.sort_by_key(|entry| {
        let platform = entry.platform().as_ref()?;
        let (os, architecture) = (platform.os().to_string(), platform.architecture().to_string());
        Some((os, architecture, platform.variant().clone()))
    });
    index.set_schema_version(2);
    // The index may have been a Docker manifest list.
    index.set_media_type(Some(MediaType::ImageIndex));
    index.set_manifests(entries);
    index
}

fn platform_of(entry: &Descriptor) -> Option<Platform> {
    entry.platform().as_ref().map(Platform::from_spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: usize) -> String {
        format!("sha256:{number:064}")
    }

    /// Each digest is the position of its entry; `-` has no platform.
    fn entries(platforms: &[&str]) -> ImageIndex {
        let entry = |(number, text): (usize, &&str)| {
            let digest = digest(number).parse().unwrap();
            let mut entry = document::descriptor("x/y", digest, 7).unwrap();
            entry.set_platform((*text != "-").then(|| text.parse::<Platform>().unwrap().to_spec()));
            entry
        };
        let manifests = platforms.iter().enumerate().map(entry).collect();
        document::index_of(manifests, Annotations::new())
    }

    #[test]
    fn selects_the_requested_platform_in_any_order() {
        let attested = ["linux/arm64", "linux/x86_64", "unknown/unknown", "unknown/unknown"];
        for (platforms, asked, place) in [
            (&["linux/arm64", "linux/amd64"][..], "amd64", 1),
            (&["linux/amd64", "linux/arm64"], "amd64", 0),
            (&["linux/arm64", "linux/amd64"], "aarch64", 0),
            (&["linux/amd64", "linux/arm64/v8"], "arm64", 1),
            (&["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7", 1),
            (&["linux/amd64/v3", "linux/amd64"], "amd64", 1),
            (&["linux/amd64/v3", "linux/amd64"], "linux/amd64/v3", 0),
            (&["linux/amd64/v3", "linux/arm64"], "amd64", 0),
            (&["windows/amd64", "linux/amd64"], "amd64", 1),
            (&attested, "amd64", 1),
            (&["-"], "amd64", 0),
            (&["unknown/unknown", "-"], "amd64", 1),
            (&["-", "linux/amd64"], "amd64", 1),
        ] {
            let entries = entries(platforms);
            let selected = select(&entries, &asked.parse().unwrap()).unwrap();
            assert_eq!(selected, &entries.manifests()[place], "{asked} from {platforms:?}");
        }
    }

    #[test]
    fn matches_own_platform_and_requested_variant() {
        for (requested, offered, expected) in [
            ("linux/amd64", "linux/x86_64", true),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/amd64", "linux/amd64/v3", true),
            ("linux/amd64/v3", "linux/amd64/v3", true),
            ("linux/amd64/v3", "linux/amd64", false),
            ("linux/amd64/v3", "linux/amd64/v2", false),
            ("linux/amd64", "linux/arm64", false),
            ("linux/amd64", "windows/amd64", false),
            ("linux/amd64", "unknown/unknown", false),
            ("unknown/unknown", "unknown/unknown", false),
        ] {
            let entries = entries(&[offered]);
            let found = select(&entries, &requested.parse().unwrap());
            assert_eq!(found.is_ok(), expected, "{requested} from {offered}");
        }
    }

    #[test]
    fn lists_the_entries_unless_exactly_one_matches() {
        for (platforms, asked, fault) in [
            (
                &["linux/arm64", "unknown/unknown", "linux/s390x"][..],
                "amd64",
                "the image index has no manifest for linux/amd64; it has: linux/arm64, linux/s390x",
            ),
            (
                &["linux/amd64"],
                "linux/amd64/v3",
                "no manifest for linux/amd64/v3; it has: linux/amd64",
            ),
            (&["unknown/unknown"], "amd64", "it has: none"),
            (&[], "amd64", "it has: none"),
            (&["-", "-"], "amd64", "it has: DIGEST0 (no platform), DIGEST1 (no platform)"),
            (
                &["linux/amd64", "linux/arm64", "linux/x86_64"],
                "amd64",
                "has 2 manifests for linux/amd64: DIGEST0, DIGEST2",
            ),
            (
                &["linux/amd64/v2", "linux/amd64/v3"],
                "amd64",
                "has 2 manifests for linux/amd64: DIGEST0 (linux/amd64/v2), DIGEST1 (linux/amd64/v3)",
            ),
        ] {
            let error = select(&entries(platforms), &asked.parse().unwrap()).unwrap_err();
            let error = (0..3)
                .fold(error.to_string(), |text, n| text.replace(&digest(n), &format!("DIGEST{n}")));
            assert!(error.ends_with(fault), "{asked} from {platforms:?}: {error}");
        }
    }

    #[test]
    fn reads_entries_with_and_without_platforms() {
        let entry = |platform: &str| {
            let digest = digest(0);
            format!(r#"{{"mediaType":"x/y","digest":"{digest}","size":7{platform}}}"#)
        };
        let text = format!(
            r#"{{"schemaVersion":2,"manifests":[{},{},{}]}}"#,
            entry(
                r#","platform":{"os":"linux","architecture":"aarch64","variant":"v8","os.version":"1","features":["sse4"]}"#
            ),
            entry(r#","platform":{"os":"unknown","architecture":"unknown"}"#),
            entry(""),
        );
        let found = document::parse_index(text.as_bytes()).unwrap();
        let platforms: Vec<_> = found
            .manifests()
            .iter()
            .map(|entry| platform_of(entry).map(|platform| platform.to_string()))
            .collect();
        let wanted = [Some("linux/arm64"), Some("unknown/unknown"), None];
        assert_eq!(platforms, wanted.map(|platform| platform.map(str::to_owned)));
        let Error::Document { source, .. } = document::parse_index(b"{}").unwrap_err() else {
            panic!("another error")
        };
        assert!(source.to_string().starts_with("missing field"), "{source}");
    }

    /// An entry for `platform`; `tag` makes it differ from others.
    fn entry(platform: &str, tag: &str) -> Descriptor {
        let mut entry = document::describe(document::MANIFEST, tag.as_bytes()).unwrap();
        entry.set_platform(Some(platform.parse::<Platform>().unwrap().to_spec()));
        entry
    }

    fn index(entries: &[Descriptor]) -> ImageIndex {
        entries.iter().fold(None, |index, entry| Some(with_entry(index, entry.clone()))).unwrap()
    }

    #[test]
    fn result_does_not_depend_on_the_order_of_additions() {
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
    fn replaces_the_entry_for_the_same_platform_in_any_spelling() {
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
    fn keeps_other_properties_of_the_index() {
        let mut docker = index(&[entry("linux/amd64", "a")]);
        docker.set_media_type(Some(MediaType::Other(document::DOCKER_INDEX.to_owned())));
        docker.set_annotations(Some([("a".to_owned(), "b".to_owned())].into_iter().collect()));
        let index = with_entry(Some(docker), entry("linux/arm64", "b"));
        assert_eq!(index.media_type(), &Some(MediaType::ImageIndex));
        assert_eq!(index.annotations().as_ref().unwrap()["a"], "b");
    }

    #[test]
    fn entry_repeats_the_type_of_its_image() {
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
            let image = document::describe(document::MANIFEST, text.as_bytes()).unwrap();
            let entry = entry_for(&platform, &image, text.as_bytes()).unwrap();
            assert_eq!(entry.artifact_type().as_ref().map(AsRef::as_ref), artifact_type);
            assert_eq!(document::annotation(&entry, "disktype"), disk_type);
            assert_eq!(document::annotation(&entry, "x"), None);
        }
        let nested = document::to_bytes(&index(&[entry("linux/amd64", "a")])).unwrap();
        let image = document::describe(document::INDEX, &nested).unwrap();
        entry_for(&platform, &image, &nested).unwrap_err();
    }
}
