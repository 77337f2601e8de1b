//! `inspect`: descriptor, manifest and config, for programs and for people.

use std::{fmt::Write as _, io, io::IsTerminal as _};

use anyhow::Context as _;
use clap::Args;
use oci::{document, document::Document, platform::Platform, size::Bytes};
use oci_spec::image::{Descriptor, ImageManifest};
use registry::{auth::Access, location::Location, session::Session};
use serde_json::{Value, json};

use super::{print, print_json, resolve_manifest};
use crate::image::error::Result;

/// The maximum size of a config that is read.
const CONFIG_LIMIT_BYTES: u64 = 4 << 20;

/// Print the descriptor, manifest and config of an image
#[derive(Args, Debug)]
pub(in crate::image) struct Inspect {
    /// Name in the store, otherwise registry/repository:tag or oci:DIR:NAME
    #[arg(value_name = "REF")]
    image: String,
    /// Ask the registry even if the name is in the store
    #[arg(long)]
    remote: bool,
    /// Platform to select from an image index [default: print the index]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Print JSON, even on a terminal
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Inspect, session: &Session) -> Result<()> {
    let mut place = open(args, session)?;
    let fetched = place.resolve()?;
    let document = fetched.parse()?;
    let is_for_people = io::stdout().is_terminal() && !args.json;
    if let (Document::Index(index), None) = (&document, &args.platform) {
        if is_for_people {
            return print(&index_table(&fetched.descriptor, index.manifests()));
        }
        let index: Value = serde_json::from_slice(&fetched.bytes).context("reading the index")?;
        return print_json(&json!({ "descriptor": fetched.descriptor, "index": index }));
    }
    let (fetched, manifest) = resolve_manifest(&mut place, args.platform.as_ref())?;
    let config = read_config(&mut place, &manifest)?;
    if is_for_people {
        return print(&manifest_table(&fetched.descriptor, &manifest, &config));
    }
    let manifest: Value = serde_json::from_slice(&fetched.bytes).context("reading the manifest")?;
    print_json(&json!({ "descriptor": fetched.descriptor, "manifest": manifest, "config": config }))
}

/// Opens a name of the store, or another location.
fn open<'a>(args: &Inspect, session: &'a Session) -> Result<Location<'a>> {
    if !args.remote
        && let Some(store) = session.existing_store()?
        && store.resolve(&args.image)?.is_some()
    {
        return Ok(Location::in_store(store, &args.image));
    }
    Ok(Location::open(session, &args.image, Access::Pull)?)
}

/// The config, or null if it is not JSON.
fn read_config(place: &mut Location<'_>, manifest: &ImageManifest) -> Result<Value> {
    let config = manifest.config();
    let is_json = config.media_type().as_ref().ends_with("json");
    if !is_json || config.size() > CONFIG_LIMIT_BYTES {
        return Ok(Value::Null);
    }
    let bytes = place.read_blob(config)?;
    Ok(serde_json::from_slice(&bytes).context("reading the config")?)
}

fn index_table(image: &Descriptor, manifests: &[Descriptor]) -> String {
    let mut text = format!("index    {}\n", image.digest());
    for manifest in manifests {
        let platform = manifest.platform().as_ref().map_or("no platform".to_owned(), |platform| {
            let variant =
                platform.variant().as_deref().map(|v| format!("/{v}")).unwrap_or_default();
            format!("{}/{}{variant}", platform.os(), platform.architecture())
        });
        writeln!(text, "  {platform:<14}  {}", manifest.digest()).ok();
    }
    text
}

fn manifest_table(image: &Descriptor, manifest: &ImageManifest, config: &Value) -> String {
    let mut text = format!("manifest {}\n", image.digest());
    if let Some(artifact_type) = manifest.artifact_type() {
        writeln!(text, "type     {artifact_type}").ok();
    }
    let annotations =
        manifest.annotations().iter().flatten().collect::<std::collections::BTreeMap<_, _>>();
    for (key, value) in annotations {
        writeln!(text, "  {key} = {value}").ok();
    }
    for (at, layer) in manifest.layers().iter().enumerate() {
        let name = super::layer_name(layer).unwrap_or("-");
        writeln!(text, "layer {at}  {name}, {}, {}", Bytes(layer.size()), layer.media_type()).ok();
        writeln!(text, "         {}", layer.digest()).ok();
        for key in [document::RAW_SIZE, document::RAW_DIGEST] {
            if let Some(value) = document::annotation(layer, key) {
                writeln!(text, "         {key} = {value}").ok();
            }
        }
    }
    if let Some(line) = config.get("commandLine").and_then(Value::as_str) {
        writeln!(text, "command line  {line}").ok();
    }
    text
}
