//! Finds the one disk that a selector matches, or explains for every disk why not. Pure.

use oci::size::{Bytes, Rounded};
use thiserror::Error;

use crate::disk::{
    device::DeviceError,
    probe::FoundDisk,
    selector::{Extreme, Part, Selector, accepts, values},
};

/// Why there is no target disk. With a table, which explains every rejected disk.
#[derive(Debug, Error)]
pub enum TargetError {
    /// A disk may appear later.
    #[error("no disk matches '{selector}'; this machine has no disks")]
    NoDisks { selector: String },
    /// A matching disk may appear later.
    #[error("no disk matches '{selector}'; the disks of this machine:\n{table}no disk is selected")]
    NoMatch { selector: String, table: String },
    /// Waiting for more disks does not help.
    #[error(
        "{} disks match '{selector}'; the disks of this machine:\n{table}no disk is selected",
        matching.len()
    )]
    Ambiguous {
        selector: String,
        /// Paths of the matching disks.
        matching: Vec<String>,
        table: String,
    },
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// A disk and the reasons to reject it.
type Verdict<'a> = (&'a FoundDisk, Vec<String>);

impl Selector {
    /// The only disk that may be overwritten and has every property.
    pub fn choose<'a>(&self, disks: &'a [FoundDisk]) -> Result<&'a FoundDisk, TargetError> {
        let mut verdicts: Vec<Verdict<'a>> =
            disks.iter().map(|disk| (disk, self.reject_reasons(disk))).collect();
        if let Some(extreme) = self.extreme {
            keep_extreme(extreme, &mut verdicts);
        }
        let left: Vec<&'a FoundDisk> = remaining(&verdicts).collect();
        let (selector, table) = (self.text.clone(), table(&verdicts));
        match left.as_slice() {
            [only] => Ok(only),
            [] if disks.is_empty() => Err(TargetError::NoDisks { selector }),
            [] => Err(TargetError::NoMatch { selector, table }),
            several => Err(TargetError::Ambiguous {
                selector,
                matching: several.iter().map(|disk| disk.path.clone()).collect(),
                table,
            }),
        }
    }

    /// Whether it selects by a unique property, so that disks found later cannot change the choice.
    pub fn is_unique(&self) -> bool {
        self.parts.iter().any(|part| match part {
            Part::Text { property: "serial" | "wwn" | "path", pattern } => pattern.is_exact(),
            Part::Text { .. } | Part::Size { .. } => false,
        })
    }

    fn reject_reasons(&self, disk: &FoundDisk) -> Vec<String> {
        let mut reasons: Vec<String> =
            self.parts.iter().filter_map(|part| part.reject_reason(disk)).collect();
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
    fn reject_reason(&self, disk: &FoundDisk) -> Option<String> {
        match self {
            Self::Text { property, pattern } => {
                let values = values(property, disk);
                if pattern.matches_any(&values) {
                    return None;
                }
                Some(match values.first() {
                    Some(shown) => format!("{property} is '{shown}'"),
                    None => format!("has no {property}"),
                })
            }
            Self::Size { sign, bytes } => {
                let (found, wanted) = (disk.size_bytes, *bytes);
                if accepts(sign, found.cmp(&wanted)) {
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

/// The disks that are not rejected.
fn remaining<'a>(verdicts: &[Verdict<'a>]) -> impl Iterator<Item = &'a FoundDisk> {
    verdicts.iter().filter(|(_, reasons)| reasons.is_empty()).map(|(disk, _)| *disk)
}

/// Rejects all remaining disks except those of the smallest, or largest, size.
fn keep_extreme(extreme: Extreme, verdicts: &mut [Verdict<'_>]) {
    let sizes = remaining(verdicts).map(|disk| disk.size_bytes);
    let (best, reason) = match extreme {
        Extreme::Smallest => (sizes.min(), "is not the smallest"),
        Extreme::Largest => (sizes.max(), "is not the largest"),
    };
    for (disk, reasons) in verdicts {
        if reasons.is_empty() && Some(disk.size_bytes) != best {
            reasons.push(reason.to_owned());
        }
    }
}

const COLUMNS: [&str; 7] = ["disk", "size", "transport", "model", "serial", "wwn", "path"];

/// The disks in aligned columns. Each verdict is on a line of its own because consoles are narrow.
fn table(verdicts: &[Verdict<'_>]) -> String {
    let mut rows = vec![(COLUMNS.map(str::to_owned), String::new())];
    rows.extend(verdicts.iter().map(|(disk, reasons)| match reasons.as_slice() {
        [] => (cells(disk), "      matches\n".to_owned()),
        reasons => (cells(disk), format!("      no: {}\n", reasons.join("; "))),
    }));
    let mut widths = [0; COLUMNS.len()];
    for (cells, _) in &rows {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |(cells, verdict): &([String; COLUMNS.len()], String)| {
        let cells = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("  {}\n{verdict}", cells.collect::<Vec<String>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn cells(disk: &FoundDisk) -> [String; 7] {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    [
        disk.path.clone(),
        Rounded(disk.size_bytes).to_string(),
        disk.transport.to_owned(),
        or_dash(&disk.model),
        or_dash(&disk.serial),
        or_dash(&disk.wwn),
        or_dash(&disk.bus_path),
    ]
}

#[cfg(test)]
mod tests;
