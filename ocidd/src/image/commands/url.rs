//! `url`: the URL and headers of a layer, for programs that download by themselves.

use anyhow::{Context as _, anyhow};
use clap::Args;
use oci::platform::Platform;
use oci_spec::image::Descriptor;
use registry::{auth::Access, location::Location, session::Session};
use serde_json::json;

use super::{layer_name, print_json, resolve_manifest};
use crate::image::error::Result;

/// Print the URL of a layer and the headers to send, as JSON
#[derive(Args, Debug)]
pub(in crate::image) struct Url {
    /// kernel, initramfs, rootfs, a title, or the number of the layer, counted from 0
    #[arg(long, value_name = "LAYER")]
    layer: String,
    /// registry/repository:tag
    #[arg(value_name = "REF")]
    image: String,
    /// Platform to select from an image index [default: this machine's]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
}

pub(super) fn run(args: &Url, session: &Session) -> Result<()> {
    let mut place = Location::open(session, &args.image, Access::Pull)?;
    let (_, manifest) = resolve_manifest(&mut place, args.platform.as_ref())?;
    let layer = choose(manifest.layers(), &args.layer)?;
    let (remote, _) = place
        .remote()
        .with_context(|| format!("'{}' is not in a registry, so it has no URL", args.image))?;
    // The authorization of the manifest is also valid for blobs.
    let headers = match remote.endpoint.authorization() {
        Some(authorization) => json!({ "Authorization": [authorization] }),
        None => json!({}),
    };
    let url = remote.endpoint.url(&format!("blobs/{}", layer.digest()));
    print_json(&json!({ "headers": headers, "url": url }))
}

/// By name, title or number.
fn choose<'a>(layers: &'a [Descriptor], wanted: &str) -> anyhow::Result<&'a Descriptor> {
    let by_name = layers.iter().find(|layer| {
        layer_name(layer) == Some(wanted) || oci::bundle::name_of(layer) == Some(wanted)
    });
    let by_number = || wanted.parse().ok().and_then(|at: usize| layers.get(at));
    by_name.or_else(by_number).ok_or_else(|| {
        let known: Vec<String> = layers
            .iter()
            .enumerate()
            .map(|(at, layer)| match layer_name(layer) {
                Some(name) => format!("{at} ({name})"),
                None => at.to_string(),
            })
            .collect();
        anyhow!("layer '{wanted}' not found; the layers are: {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use oci::{document, document::Annotations};

    use super::*;

    #[test]
    fn selects_a_layer_by_name_title_or_number() {
        let kernel = document::describe("application/vnd.ironcore.image.kernel", b"").unwrap();
        let titled = |title: &str| {
            let title = Annotations::from([(document::TITLE.to_owned(), title.to_owned())]);
            document::with_annotations(document::describe(document::BYTES, b"").unwrap(), title)
        };
        let unnamed = document::describe("a/b", b"").unwrap();
        let layers = [unnamed, kernel, titled("disk.raw.gz"), titled("1")];
        for (wanted, at) in [("kernel", 1), ("disk.raw.gz", 2), ("0", 0), ("1", 3), ("2", 2)] {
            let chosen = choose(&layers, wanted).unwrap();
            assert!(std::ptr::eq(chosen, &raw const layers[at]), "{wanted}");
        }
        for wanted in ["4", "rootfs", "", "-1"] {
            let error = choose(&layers, wanted).unwrap_err().to_string();
            let known = "the layers are: 0, 1 (kernel), 2 (disk.raw.gz), 3 (1)";
            assert_eq!(error, format!("layer '{wanted}' not found; {known}"));
        }
    }
}
