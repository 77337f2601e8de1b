//! `url`: where a layer is fetched from, for programs that fetch by themselves, as `curl -L`.

use super::layer_name;
use super::print_json;
use super::resolve_manifest;
use crate::image::command::Url;
use crate::image::session::Session;
use crate::registry::auth::Access;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use oci_spec::image::Descriptor;
use serde_json::json;

pub(in crate::image) fn run(args: &Url, session: &Session) -> Result<()> {
    let mut place = session.place(&args.image, Access::Pull)?;
    let (_, manifest) = resolve_manifest(&mut place, args.platform.as_ref())?;
    let layer = choose(manifest.layers(), &args.layer)?;
    let digest = layer.digest().to_string();
    let (remote, _) = place
        .remote()
        .with_context(|| format!("'{}' names no registry: a layout has no URLs", args.image))?;
    // The manifest was asked for with it, so it is good for the blob as well.
    let headers = match remote.authorization() {
        Some(authorization) => json!({ "Authorization": [authorization] }),
        None => json!({}),
    };
    print_json(&json!({ "headers": headers, "url": remote.blob_url(&digest) }))
}

/// By name, title or number.
fn choose<'a>(layers: &'a [Descriptor], wanted: &str) -> Result<&'a Descriptor> {
    let by_name = layers.iter().find(|layer| {
        layer_name(layer) == Some(wanted) || crate::image::bundle::name_of(layer) == Some(wanted)
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
        anyhow!("there is no layer '{wanted}'; there are: {}", known.join(", "))
    })
}
