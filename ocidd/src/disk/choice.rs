//! Which of the machine's disks a selector means: exactly one, or an error with a table that tells of every disk why not. Pure.

use crate::disk::holders::list;
use crate::disk::probe::FoundDisk;
use crate::disk::selector::Extreme;
use crate::disk::selector::Part;
use crate::disk::selector::Property;
use crate::disk::selector::Selector;
use oci::size::Bytes;
use oci::size::Rounded;
use thiserror::Error;

/// Why no disk was chosen. Prints in several lines, the last of them a hint.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ChoiceError {
    /// A disk that matches may appear later.
    #[error("no disk matches '{selector}'{table}")]
    NoMatch { selector: String, table: String },
    /// More disks can only make it worse.
    #[error("{} disks match '{selector}'{table}", matching.len())]
    Ambiguous {
        selector: String,
        /// `/dev/…` of those that match.
        matching: Vec<String>,
        table: String,
    },
}

/// A disk and everything that speaks against it.
struct Verdict<'a> {
    disk: &'a FoundDisk,
    against: Vec<String>,
}

impl Selector {
    /// The one disk of `disks` that is free to be overwritten and has every property. Loop devices and the like are no [`FoundDisk`].
    pub fn choose<'a>(&self, disks: &'a [FoundDisk]) -> Result<&'a FoundDisk, ChoiceError> {
        let mut verdicts: Vec<Verdict<'a>> =
            disks.iter().map(|disk| Verdict { disk, against: self.reject_reasons(disk) }).collect();
        if let Some(extreme) = self.extreme {
            keep_extreme(extreme, &mut verdicts);
        }
        let left: Vec<&'a FoundDisk> =
            verdicts.iter().filter(|v| v.against.is_empty()).map(|v| v.disk).collect();
        match left.as_slice() {
            [only] => Ok(only),
            [] => Err(ChoiceError::NoMatch {
                selector: self.to_string(),
                table: table(&verdicts, "hint: take a property from this list, as dd.of=serial:…"),
            }),
            several => Err(ChoiceError::Ambiguous {
                selector: self.to_string(),
                matching: several.iter().map(|disk| disk.path.clone()).collect(),
                table: table(
                    &verdicts,
                    "hint: add a part that is true of one of them, as serial:…",
                ),
            }),
        }
    }

    /// Whether it names one disk by what is its own, so that disks found later cannot change the choice.
    pub fn is_unique(&self) -> bool {
        self.parts.iter().any(|part| match part {
            Part::Text { property: Property::Serial | Property::Wwn | Property::Path, pattern } => {
                pattern.is_exact()
            }
            Part::Text { .. } | Part::Size { .. } => false,
        })
    }

    fn reject_reasons(&self, disk: &FoundDisk) -> Vec<String> {
        let mut against: Vec<String> =
            self.parts.iter().filter_map(|part| part.reject_reasons(disk)).collect();
        if disk.removable {
            against.push("is removable".to_owned());
        }
        if disk.read_only {
            against.push("is read-only".to_owned());
        }
        if !disk.holders.is_empty() {
            against.push(format!("in use: {}", list(&disk.holders)));
        }
        against
    }
}

impl Part {
    fn reject_reasons(&self, disk: &FoundDisk) -> Option<String> {
        match self {
            Self::Text { property, pattern } => {
                let values = property.values(disk);
                if pattern.matches_any(&values) {
                    return None;
                }
                Some(match values.first() {
                    Some(shown) => format!("{} is '{shown}'", property.name()),
                    None => format!("has no {}", property.name()),
                })
            }
            Self::Size { comparison, bytes } => {
                let (found, wanted) = (disk.size_bytes, *bytes);
                if comparison.holds(found, wanted) {
                    return None;
                }
                let sign = comparison.sign();
                let rounded = (Rounded(found).to_string(), Rounded(wanted).to_string());
                Some(if rounded.0 == rounded.1 {
                    format!("size {} is not {sign} {}", Bytes(found), Bytes(wanted))
                } else {
                    format!("size {} is not {sign} {}", rounded.0, rounded.1)
                })
            }
        }
    }
}

/// Speaks against all that are left but those of the smallest, or largest, size among them.
fn keep_extreme(extreme: Extreme, verdicts: &mut [Verdict<'_>]) {
    let left = verdicts.iter().filter(|v| v.against.is_empty()).map(|v| v.disk.size_bytes);
    let (best, reason) = match extreme {
        Extreme::Smallest => (left.min(), "is not the smallest"),
        Extreme::Largest => (left.max(), "is not the largest"),
    };
    for verdict in verdicts.iter_mut().filter(|v| v.against.is_empty()) {
        if Some(verdict.disk.size_bytes) != best {
            verdict.against.push(reason.to_owned());
        }
    }
}

const COLUMNS: [&str; 7] = ["disk", "size", "transport", "model", "serial", "wwn", "path"];

/// The disks in aligned columns. The verdict has a line of its own below each: consoles are narrow, and wrapped columns are hard to read.
fn table(verdicts: &[Verdict<'_>], hint: &str) -> String {
    if verdicts.is_empty() {
        return "; this machine shows no disk at all; hint: is the controller's driver in the kernel?"
            .to_owned();
    }
    let mut rows = vec![COLUMNS.map(str::to_owned)];
    rows.extend(verdicts.iter().map(|verdict| cells(verdict.disk)));
    let widths: Vec<usize> = (0..COLUMNS.len())
        .map(|column| {
            rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max()
        })
        .map(Option::unwrap_or_default)
        .collect();
    let mut lines = vec!["; the disks of this machine:".to_owned()];
    let mut verdicts = verdicts.iter();
    for (number, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        lines.push(format!("  {}", cells.collect::<Vec<String>>().join("  ").trim_end()));
        if number > 0
            && let Some(verdict) = verdicts.next()
        {
            lines.push(match verdict.against.as_slice() {
                [] => "      matches".to_owned(),
                against => format!("      no: {}", against.join("; ")),
            });
        }
    }
    lines.push(hint.to_owned());
    lines.join("\n")
}

fn cells(disk: &FoundDisk) -> [String; 7] {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    [
        disk.path.clone(),
        Rounded(disk.size_bytes).to_string(),
        disk.transport.to_string(),
        or_dash(&disk.model),
        or_dash(&disk.serial),
        or_dash(&disk.wwn),
        or_dash(&disk.bus_path),
    ]
}

#[cfg(test)]
mod tests;
