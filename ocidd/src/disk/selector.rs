//! The values of `dd.of`: a path, or properties of a disk. `choice.rs` finds the disk.
//!
//! ```text
//! selector = part *( "," part )              the disk must match every part
//! part     = ("serial:" | "wwn:" | "model:" | "path:" | "transport:") TEXT
//!          | "size:" [">=" | "<=" | ">" | "<" | "="] SIZE
//!                                            default "="; 100G is GiB, 100GB is 10^9 like in dd
//!          | "smallest" | "largest"           of the disks that match all other parts
//! TEXT     = ["*"] text ["*"]                 case is ignored, a comma is written "\,"
//! ```
//!
//! In TEXT, `_` also matches a blank, so that a model needs no quotes on a kernel command line.

use std::{cmp::Ordering, fmt, path::PathBuf, str::FromStr};

use params::parse_size;

use crate::{
    disk::{bus::TRANSPORTS, probe::FoundDisk},
    report::diagnostic::Diagnostic,
};

/// The target disk, as given by the operator.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// A device or a regular file.
    Path(PathBuf),
    Selector(Selector),
}

/// Properties that exactly one disk must have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Selector {
    /// As given.
    pub(super) text: String,
    pub(super) parts: Vec<Part>,
    pub(super) extreme: Option<Extreme>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Part {
    /// A property of [`PROPERTIES`].
    Text { property: &'static str, pattern: Pattern },
    /// A sign of [`SIGNS`].
    Size { sign: &'static str, bytes: u64 },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Extreme {
    Smallest,
    Largest,
}

/// Signs of comparisons of sizes; a prefix of another follows it.
const SIGNS: [&str; 5] = [">=", "<=", ">", "<", "="];

/// Whether the sign of a comparison accepts this result.
pub(super) fn accepts(sign: &str, ordering: Ordering) -> bool {
    match sign {
        ">=" => ordering.is_ge(),
        "<=" => ordering.is_le(),
        ">" => ordering.is_gt(),
        "<" => ordering.is_lt(),
        _ => ordering.is_eq(),
    }
}

/// Syntax and meaning of each kind of part, for errors, help and documentation.
pub const PARTS: [(&str, &str); 8] = [
    ("serial:TEXT", "the serial number"),
    ("wwn:TEXT", "the world wide name, with or without naa., eui. or 0x"),
    ("model:TEXT", "the model"),
    ("path:TEXT", "where it is plugged in, as pci-0000:00:1f.2-ata-1"),
    ("transport:TEXT", "nvme, sata, sas, usb, virtio, mmc, iscsi, scsi, …"),
    ("size:>=SIZE", "its size, as 100G or 100GB; also <=, >, < and ="),
    ("smallest", "the smallest of those that match"),
    ("largest", "the largest of those that match"),
];

impl FromStr for Target {
    type Err = Diagnostic;

    fn from_str(text: &str) -> Result<Self, Diagnostic> {
        if text.starts_with('/') {
            return Ok(Self::Path(text.into()));
        }
        text.parse().map(Self::Selector)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Selector(selector) => f.write_str(&selector.text),
        }
    }
}

impl FromStr for Selector {
    type Err = Diagnostic;

    fn from_str(text: &str) -> Result<Self, Diagnostic> {
        let mut selector = Self { text: text.to_owned(), parts: Vec::new(), extreme: None };
        for (number, part) in split_parts(text).iter().enumerate() {
            let extreme = match part.as_str() {
                "smallest" => Extreme::Smallest,
                "largest" => Extreme::Largest,
                _ => {
                    let parsed = parse_part(part)?.ok_or_else(|| unknown(text, part, number))?;
                    selector.parts.push(parsed);
                    continue;
                }
            };
            if selector.extreme.replace(extreme).is_some() {
                return Err(Diagnostic::new(
                    "'smallest' and 'largest' are mutually exclusive",
                    "use one of them, once",
                ));
            }
        }
        Ok(selector)
    }
}

/// The texts between commas, trimmed, with `\,` replaced by a comma. Parameters contain no NUL.
fn split_parts(text: &str) -> Vec<String> {
    let text = text.replace("\\,", "\0");
    text.split(',').map(|part| part.trim().replace('\0', ",")).collect()
}

/// `None` if the name of the part is unknown.
fn parse_part(part: &str) -> Result<Option<Part>, Diagnostic> {
    let Some((name, value)) = part.split_once(':') else {
        return Ok(None);
    };
    if name == "size" {
        return parse_comparison(part, value).map(Some);
    }
    let Some(property) = PROPERTIES.into_iter().find(|known| *known == name) else {
        return Ok(None);
    };
    if value.trim().is_empty() {
        return Err(Diagnostic::new(format!("'{part}' has no value"), format!("write {part}TEXT")));
    }
    let value = if property == "wwn" { strip_wwn_prefix(value.trim()) } else { value };
    let pattern = Pattern::new(value).ok_or_else(|| {
        let message = format!("'{part}' contains a '*' in the middle");
        Diagnostic::new(message, "'*' is valid at the start and at the end")
    })?;
    let is_known = |transport| {
        let disk = FoundDisk { transport, ..FoundDisk::default() };
        pattern.matches_any(&values(property, &disk))
    };
    if property == "transport" && !TRANSPORTS.into_iter().any(is_known) {
        let hint = format!("one of {}", TRANSPORTS.join(", "));
        return Err(Diagnostic::new(format!("unknown transport '{part}'"), hint));
    }
    Ok(Some(Part::Text { property, pattern }))
}

fn parse_comparison(part: &str, value: &str) -> Result<Part, Diagnostic> {
    let value = value.trim();
    let signed = SIGNS.into_iter().find_map(|sign| Some((sign, value.strip_prefix(sign)?)));
    let (sign, size) = signed.unwrap_or(("=", value));
    let bytes = parse_size(size.trim()).ok_or_else(|| {
        Diagnostic::new(
            format!("invalid size '{part}'"),
            "write size:>=100G, with >=, <=, >, < or = and a suffix of dd",
        )
    })?;
    Ok(Part::Size { sign, bytes })
}

fn unknown(text: &str, part: &str, number: usize) -> Diagnostic {
    if number == 0 && !text.is_empty() && !text.contains([',', ':']) {
        // `sda`, or `dev/sda`.
        let below_dev = part.strip_prefix("dev/").unwrap_or(part);
        return Diagnostic::new(
            format!("'{part}' is neither a path nor a selector"),
            format!("a path begins with '/', such as /dev/{below_dev}"),
        );
    }
    let comma = if number > 0 { "a comma in a text is written '\\,'; " } else { "" };
    let parts = PARTS.map(|(part, _)| part).join(", ");
    Diagnostic::new(
        format!("unknown part '{part}' of a disk selector"),
        format!("{comma}the parts are {parts}"),
    )
}

/// Text properties of a disk.
const PROPERTIES: [&str; 5] = ["serial", "wwn", "model", "path", "transport"];

/// All spellings of a text property of a disk; the first one is shown. Empty if it is missing.
pub(super) fn values(property: &str, disk: &FoundDisk) -> Vec<String> {
    let shown = match property {
        "serial" => disk.serial.as_deref(),
        "wwn" => disk.wwn.as_deref(),
        "model" => disk.model.as_deref(),
        "path" => disk.bus_path.as_deref(),
        _ => Some(disk.transport),
    };
    let Some(shown) = shown else { return Vec::new() };
    let other = match (property, disk.transport) {
        ("wwn", _) => strip_wwn_prefix(shown).to_owned(),
        ("transport", "sata") => "ata".to_owned(),
        // Newer versions of udev append the drive at the port, which is 0 except for parallel ATA.
        ("path", "sata") if !shown.ends_with(".1") => format!("{shown}.0"),
        ("path", "virtio") => format!("virtio-{shown}"),
        _ => return vec![shown.to_owned()],
    };
    vec![shown.to_owned(), other]
}

/// A folded text, and whether more text may precede or follow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Pattern {
    core: String,
    open_start: bool,
    open_end: bool,
}

/// `naa.5000…`, `0x5000…` and `wwn-0x5000…` of udev are the same name.
pub(super) fn strip_wwn_prefix(text: &str) -> &str {
    let prefixes = ["wwn-0x", "0x", "naa.", "eui.", "nvme-eui."];
    let stripped = prefixes.iter().find_map(|prefix| {
        let (start, rest) = text.split_at_checked(prefix.len())?;
        start.eq_ignore_ascii_case(prefix).then_some(rest)
    });
    // A mere prefix, as in `naa.*`, is kept.
    stripped.filter(|rest| rest.starts_with(|c: char| c.is_ascii_hexdigit())).unwrap_or(text)
}

impl Pattern {
    /// `None` if a `*` is in the middle.
    pub(super) fn new(text: &str) -> Option<Self> {
        let core = fold(text.trim().trim_matches('*'));
        (!core.contains('*')).then(|| Self {
            core,
            open_start: text.trim().starts_with('*'),
            open_end: text.trim().ends_with('*'),
        })
    }

    pub(super) fn matches_any(&self, values: &[String]) -> bool {
        values.iter().any(|value| {
            let value = fold(value);
            match (self.open_start, self.open_end) {
                (false, false) => value == self.core,
                (false, true) => value.starts_with(&self.core),
                (true, false) => value.ends_with(&self.core),
                (true, true) => value.contains(&self.core),
            }
        })
    }

    /// Whether it matches only one text.
    pub(super) fn is_exact(&self) -> bool {
        !self.open_start && !self.open_end
    }
}

/// Lower case, with each run of blanks and `_` replaced by one blank.
fn fold(text: &str) -> String {
    let text = text.to_lowercase();
    text.split([' ', '_']).filter(|part| !part.is_empty()).collect::<Vec<&str>>().join(" ")
}

#[cfg(test)]
mod tests;
