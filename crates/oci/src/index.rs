//! Image indexes: one manifest for each platform, and the choice of the one that fits. Pure.

use crate::manifest::list;
use crate::platform::Platform;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use oci_spec::image::ImageIndex;

/// One manifest of an index.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// As it stands there; what the others are named by does not matter until one is chosen.
    pub digest: String,
    pub platform: Option<Platform>,
}

/// The entries of an OCI image index or of a Docker manifest list, in their order.
pub fn parse(bytes: &[u8]) -> Result<Vec<Entry>> {
    let index: ImageIndex = serde_json::from_slice(bytes).context("reading the image index")?;
    Ok(entries_of(&index))
}

pub fn entries_of(index: &ImageIndex) -> Vec<Entry> {
    let entries = index.manifests().iter().map(|entry| Entry {
        digest: entry.digest().to_string(),
        platform: entry.platform().as_ref().map(Platform::from_spec),
    });
    entries.collect()
}

/// The one entry for `platform`, whatever the order. An entry that names no platform is taken where it is the only one. Of those that differ by
/// a variant nobody asked for, the one that runs on every variant is taken.
pub fn choose<'a>(entries: &'a [Entry], platform: &Platform) -> Result<&'a Entry> {
    let is_attestation = |entry: &&Entry| entry.platform.as_ref().is_some_and(Platform::is_unknown);
    let images: Vec<&Entry> = entries.iter().filter(|entry| !is_attestation(entry)).collect();
    if let [entry @ Entry { platform: None, .. }] = images.as_slice() {
        return Ok(entry);
    }
    let grade = |entry: &&Entry| platform.serves(entry.platform.as_ref()?);
    let best = images.iter().filter_map(grade).max();
    let fitting: Vec<&Entry> =
        images.iter().filter(|entry| best.is_some() && grade(entry) == best).copied().collect();
    match fitting.as_slice() {
        [entry] => Ok(entry),
        [] => bail!(
            "the image index has no manifest for {platform}; it has: {}; hint: {}",
            list(images.iter().map(|entry| match &entry.platform {
                Some(platform) => platform.to_string(),
                None => format!("{} (no platform)", entry.digest),
            })),
            // Without any platform in it, no other word of this kind would find one either.
            if images.iter().any(|entry| entry.platform.is_some()) {
                "oci.platform=OS/ARCHITECTURE chooses another"
            } else {
                "name a manifest by its digest, as in oci.tag=…@sha256:…"
            }
        ),
        several => bail!(
            "the image index has {} manifests for {platform}: {}; hint: name one by its digest, as in oci.tag=…@sha256:…",
            several.len(),
            list(several.iter().map(|entry| match &entry.platform {
                Some(offered) if offered != platform => format!("{} ({offered})", entry.digest),
                _ => entry.digest.clone(),
            }))
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// Each is named by its place; `-` has no platform.
    fn entries(platforms: &[&str]) -> Vec<Entry> {
        let entry = |(number, text): (usize, &&str)| Entry {
            digest: format!("sha256:{number}"),
            platform: (*text != "-").then(|| text.parse().unwrap()),
        };
        platforms.iter().enumerate().map(entry).collect()
    }

    #[test]
    fn the_platform_asked_for_is_chosen_whatever_the_order() {
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
            let chosen = choose(&entries, &asked.parse().unwrap()).unwrap();
            assert_eq!(chosen, &entries[place], "{asked} from {platforms:?}");
        }
    }

    #[test]
    fn tells_what_there_is_where_not_exactly_one_fits() {
        for (platforms, asked, fault) in [
            (
                &["linux/arm64", "unknown/unknown", "linux/s390x"][..],
                "amd64",
                "the image index has no manifest for linux/amd64; it has: linux/arm64, linux/s390x; hint: oci.platform=",
            ),
            (
                &["linux/amd64"],
                "linux/amd64/v3",
                "no manifest for linux/amd64/v3; it has: linux/amd64;",
            ),
            (&["unknown/unknown"], "amd64", "it has: none;"),
            (&[], "amd64", "it has: none; hint: name a manifest by its digest"),
            (
                &["-", "-"],
                "amd64",
                "it has: sha256:0 (no platform), sha256:1 (no platform); hint: name",
            ),
            (
                &["linux/amd64", "linux/arm64", "linux/x86_64"],
                "amd64",
                "has 2 manifests for linux/amd64: sha256:0, sha256:2; hint: name one by its digest",
            ),
            (
                &["linux/amd64/v2", "linux/amd64/v3"],
                "amd64",
                "has 2 manifests for linux/amd64: sha256:0 (linux/amd64/v2), sha256:1 (linux/amd64/v3); hint",
            ),
        ] {
            let error = choose(&entries(platforms), &asked.parse().unwrap()).unwrap_err();
            assert!(error.to_string().contains(fault), "{asked} from {platforms:?}: {error}");
        }
    }

    #[test]
    fn reads_entries_with_and_without_platforms() {
        let entry = |platform: &str| {
            format!(r#"{{"mediaType":"x/y","digest":"sha256:{HASH}","size":7{platform}}}"#)
        };
        let text = format!(
            r#"{{"schemaVersion":2,"manifests":[{},{},{}]}}"#,
            entry(
                r#","platform":{"os":"linux","architecture":"aarch64","variant":"v8","os.version":"1","features":["sse4"]}"#
            ),
            entry(r#","platform":{"os":"unknown","architecture":"unknown"}"#),
            entry(""),
        );
        let found = parse(text.as_bytes()).unwrap();
        let platforms: Vec<_> =
            found.iter().map(|entry| entry.platform.as_ref().map(Platform::to_string)).collect();
        let wanted = [Some("linux/arm64"), Some("unknown/unknown"), None];
        assert_eq!(platforms, wanted.map(|platform| platform.map(str::to_owned)));
        assert!(found.iter().all(|entry| entry.digest == format!("sha256:{HASH}")));
        let error = format!("{:#}", parse(b"{}").unwrap_err());
        assert!(error.starts_with("reading the image index: missing field"), "{error}");
    }
}
