//! Rows of the matrix and how they are tried: an install with each fault, by each name, in each format.

use End::{Failed, Installed};
use ocidd::report::failure::Cause;

use crate::{
    fake::Fake,
    images::{Layer, Packing, image},
    run::{By, Heard, install_heard, no_certificates},
    target::{DISK, Left, Target},
};

/// How an install has to end.
pub(super) enum End {
    /// With the image on the disk. Each retry's line holds its part of the list, in order.
    Installed(&'static [&'static str]),
    Failed {
        cause: Cause,
        says: &'static str,
        /// Requests that were sent again before.
        retries: usize,
        left: Left,
    },
}

pub(super) struct Row {
    fault: &'static str,
    /// The ways to name the image that meet this fault.
    by: &'static [By],
    spoil: fn(&mut Fake),
    end: End,
    /// How long the registry may be silent: long enough for a busy machine, where silence is not the fault itself.
    timeout: &'static str,
}

const IMAGE_BYTES: usize = (5 << 20) + 100;

pub(super) const fn row(
    fault: &'static str,
    by: &'static [By],
    spoil: fn(&mut Fake),
    end: End,
) -> Row {
    Row { fault, by, spoil, end, timeout: "oci.timeout=30" }
}

impl Row {
    /// With an installer that soon takes silence for a fault.
    pub(super) const fn impatient(self) -> Self {
        Self { timeout: "oci.timeout=1", ..self }
    }
}

pub(super) const fn failed(cause: Cause, says: &'static str, retries: usize, left: Left) -> End {
    Failed { cause, says, retries, left }
}

pub(super) fn assert_rows(rows: &[Row]) {
    let image = image(IMAGE_BYTES);
    for packing in Packing::ALL {
        let layer = Layer::new(packing.pack(&image));
        for row in rows {
            for by in row.by {
                assert_row(row, *by, packing, &layer, &image);
            }
        }
    }
}

fn assert_row(row: &Row, by: By, packing: Packing, layer: &Layer, image: &[u8]) {
    let rule = format!("{}, by {by:?}, {packing:?}", row.fault);
    let mut fake = Fake::with(layer);
    fake.set_layers(&[packing.media_type()]);
    (row.spoil)(&mut fake);
    let address = fake.address();
    let filled =
        |text: &str| text.replace("REGISTRY", &address).replace("LAYER", &layer.digest.to_string());
    let word = by.word(&address, layer);
    let registry = fake.serve();
    let (target, heard) = (Target::new(DISK), Heard::default());
    let words = [word.as_str(), "oci.allow_no_tls", row.timeout];
    let outcome = install_heard(&words, &target, no_certificates(target.folder.path()), &heard);
    let retries = heard.retries();
    match (&row.end, outcome) {
        (Installed(wanted), Ok(_)) => {
            target.assert_installed(&rule, image);
            assert_eq!(retries.len(), wanted.len(), "{rule}: {retries:#?}");
            for (line, part) in retries.iter().zip(*wanted) {
                assert!(
                    line.contains(&filled(part)),
                    "{rule}: the retry\n  {line}\nlacks\n  {part}"
                );
            }
        }
        (Failed { cause, says, retries: wanted, left }, Err(failure)) => {
            let text = failure.diagnostic().to_string();
            assert_eq!(failure.cause, *cause, "{rule}: {text}");
            assert!(text.contains(&filled(says)), "{rule}: the message\n  {text}\nlacks\n  {says}");
            assert_eq!(retries.len(), *wanted, "{rule}: {retries:#?}");
            target.assert_left(&rule, *left, image);
        }
        (Installed(_), Err(failure)) => panic!("{rule}: {failure}"),
        (Failed { .. }, Ok(done)) => panic!("{rule}: {}", done.message),
    }
    drop(registry);
}
