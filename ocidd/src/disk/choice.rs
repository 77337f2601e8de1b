//! Finds the one disk that a selector matches, or explains for every disk why not. Pure.

use oci::size::{Bytes, Rounded};
use thiserror::Error;

use crate::disk::{
    probe::FoundDisk,
    selector::{Extreme, Part, Property, Selector},
};

/// Why no disk was chosen. Prints several lines, the last one a hint.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ChoiceError {
    /// A matching disk may appear later.
    #[error("no disk matches '{selector}'{table}")]
    NoMatch { selector: String, table: String },
    /// Waiting for more disks does not help.
    #[error("{} disks match '{selector}'{table}", matching.len())]
    Ambiguous {
        selector: String,
        /// Paths of the matching disks.
        matching: Vec<String>,
        table: String,
    },
}

/// A disk and the reasons to reject it.
struct Verdict<'a> {
    disk: &'a FoundDisk,
    reasons: Vec<String>,
}

impl Selector {
    /// The only disk that may be overwritten and has every property.
    pub fn choose<'a>(&self, disks: &'a [FoundDisk]) -> Result<&'a FoundDisk, ChoiceError> {
        let mut verdicts: Vec<Verdict<'a>> =
            disks.iter().map(|disk| Verdict { disk, reasons: self.reject_reasons(disk) }).collect();
        if let Some(extreme) = self.extreme {
            keep_extreme(extreme, &mut verdicts);
        }
        let left: Vec<&'a FoundDisk> =
            verdicts.iter().filter(|v| v.reasons.is_empty()).map(|v| v.disk).collect();
        match left.as_slice() {
            [only] => Ok(only),
            [] => Err(ChoiceError::NoMatch {
                selector: self.to_string(),
                table: table(
                    &verdicts,
                    "hint: use a property from this list, such as dd.of=serial:…",
                ),
            }),
            several => Err(ChoiceError::Ambiguous {
                selector: self.to_string(),
                matching: several.iter().map(|disk| disk.path.clone()).collect(),
                table: table(
                    &verdicts,
                    "hint: add a part that matches only one of them, such as serial:…",
                ),
            }),
        }
    }

    /// Whether it selects by a unique property, so that disks found later cannot change the choice.
    pub fn is_unique(&self) -> bool {
        self.parts.iter().any(|part| match part {
            Part::Text { property: Property::Serial | Property::Wwn | Property::Path, pattern } => {
                pattern.is_exact()
            }
            Part::Text { .. } | Part::Size { .. } => false,
        })
    }

    fn reject_reasons(&self, disk: &FoundDisk) -> Vec<String> {
        let mut reasons: Vec<String> =
            self.parts.iter().filter_map(|part| part.reject_reasons(disk)).collect();
        if disk.removable {
            reasons.push("is removable".to_owned());
        }
        if disk.read_only {
            reasons.push("is read-only".to_owned());
        }
        if !disk.holders.is_empty() {
            reasons.push(format!("in use: {}", disk.holders.join(", ")));
        }
        reasons
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
            Self::Size { sign, accepted, bytes } => {
                let (found, wanted) = (disk.size_bytes, *bytes);
                if accepted.contains(&found.cmp(&wanted)) {
                    return None;
                }
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

/// Rejects all remaining disks except those of the smallest, or largest, size.
fn keep_extreme(extreme: Extreme, verdicts: &mut [Verdict<'_>]) {
    let left = verdicts.iter().filter(|v| v.reasons.is_empty()).map(|v| v.disk.size_bytes);
    let (best, reason) = match extreme {
        Extreme::Smallest => (left.min(), "is not the smallest"),
        Extreme::Largest => (left.max(), "is not the largest"),
    };
    for verdict in verdicts.iter_mut().filter(|v| v.reasons.is_empty()) {
        if Some(verdict.disk.size_bytes) != best {
            verdict.reasons.push(reason.to_owned());
        }
    }
}

const COLUMNS: [&str; 7] = ["disk", "size", "transport", "model", "serial", "wwn", "path"];

/// The disks in aligned columns. Each verdict is on a line of its own because consoles are narrow.
fn table(verdicts: &[Verdict<'_>], hint: &str) -> String {
    if verdicts.is_empty() {
        return "; this machine has no disks; hint: check the kernel for the driver of the controller"
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
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("  {}\n", cells.collect::<Vec<String>>().join("  ").trim_end())
    };
    let answers = verdicts.iter().map(|verdict| match verdict.reasons.as_slice() {
        [] => "      matches\n".to_owned(),
        reasons => format!("      no: {}\n", reasons.join("; ")),
    });
    // The row of titles has no answer.
    let answers = std::iter::once(String::new()).chain(answers);
    let lines = rows.iter().zip(answers).map(|(row, answer)| line(row) + &answer);
    format!("; the disks of this machine:\n{}{hint}", lines.collect::<String>())
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
