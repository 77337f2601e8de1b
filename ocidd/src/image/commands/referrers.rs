//! `referrers`: lists what is attached to an image.

use clap::Args;
use oci::{document, document::Document};
use oci_spec::image::Descriptor;
use registry::{auth::Access, location::Location, session::Session};

use super::{list::table, print, print_json, short};
use crate::image::error::Result;

/// List what is attached to an image
#[derive(Args, Debug)]
pub(in crate::image) struct Referrers {
    /// registry/repository:tag or oci:DIR:NAME
    #[arg(value_name = "REF")]
    image: String,
    /// List only this type
    #[arg(long = "type", alias = "artifact-type", value_name = "MEDIA-TYPE")]
    artifact_type: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Referrers, session: &Session) -> Result<()> {
    let mut place = Location::open(session, &args.image, Access::Pull)?;
    let image = place.resolve()?.descriptor;
    let mut found = Vec::new();
    for referrer in place.referrers(&document::digest_of(&image)?)? {
        let artifact_type = type_of(&mut place, &referrer)?;
        if args.artifact_type.as_ref().is_none_or(|wanted| *wanted == artifact_type) {
            found.push((artifact_type, referrer));
        }
    }
    if args.json {
        return print_json(&found.iter().map(|(_, referrer)| referrer).collect::<Vec<_>>());
    }
    let mut rows = vec![["TYPE", "ID", "DIGEST"].map(str::to_owned)];
    for (artifact_type, referrer) in &found {
        let digest = referrer.digest();
        rows.push([artifact_type.clone(), short(digest).to_owned(), digest.to_string()]);
    }
    print(&table(&rows))
}

/// The type in the list, otherwise in the manifest.
fn type_of(place: &mut Location<'_>, referrer: &Descriptor) -> Result<String> {
    if let Some(artifact_type) = referrer.artifact_type() {
        return Ok(artifact_type.to_string());
    }
    Ok(match place.read_manifest(referrer)?.parse()? {
        Document::Manifest(manifest) => match manifest.artifact_type() {
            Some(artifact_type) => artifact_type.to_string(),
            None => manifest.config().media_type().to_string(),
        },
        Document::Index(index) => {
            index.artifact_type().as_ref().map(ToString::to_string).unwrap_or_default()
        }
    })
}
