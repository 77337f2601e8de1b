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

use crate::disk::bus::Transport;
use crate::disk::bus::spellings_of;
use crate::disk::probe::FoundDisk;
use params::parse_size;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use thiserror::Error;

/// The target disk, as given by the operator.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// A device or a regular file.
    Path(PathBuf),
    Selector(Selector),
}

/// Properties that exactly one disk must have. Prints the original text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Selector {
    text: String,
    pub(super) parts: Vec<Part>,
    pub(super) extreme: Option<Extreme>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Part {
    Text { property: Property, pattern: Pattern },
    Size { comparison: Comparison, bytes: u64 },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Extreme {
    Smallest,
    Largest,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Comparison {
    AtLeast,
    AtMost,
    More,
    Less,
    Equal,
}

#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum SelectorError {
    #[error(
        "'{text}' is neither a path nor a selector; hint: a path begins with '/', such as {path}"
    )]
    NoPath { text: String, path: String },
    #[error("unknown part '{part}' of a disk selector; hint: the parts are {}", parts())]
    Unknown { part: String },
    #[error(
        "unknown part '{part}' of a disk selector; hint: a comma in a text is written '\\,'; \
        the parts are {}",
        parts()
    )]
    UnknownAfterComma { part: String },
    #[error("'{part}' has no value; hint: write {part}TEXT")]
    NoValue { part: String },
    #[error(
        "'{part}' contains a '*' in the middle; hint: '*' is valid at the start and at the end"
    )]
    InnerStar { part: String },
    #[error(
        "invalid size '{part}'; hint: write size:>=100G, with >=, <=, >, < or = and a suffix of dd"
    )]
    Size { part: String },
    #[error("unknown transport '{part}'; hint: one of {}", transports())]
    Transport { part: String },
    #[error("'smallest' and 'largest' are mutually exclusive; hint: use one of them, once")]
    TwoExtremes,
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

fn transports() -> String {
    Transport::ALL.map(Transport::name).join(", ")
}

fn parts() -> String {
    PARTS.map(|(part, _)| part).join(", ")
}

impl FromStr for Target {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
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
            Self::Selector(selector) => selector.fmt(f),
        }
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
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
                return Err(SelectorError::TwoExtremes);
            }
        }
        Ok(selector)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The texts between commas, trimmed, with `\,` replaced by a comma.
fn split_parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (piece, after) = rest.split_at(if rest.starts_with("\\,") { 2 } else { c.len_utf8() });
        rest = after;
        match (piece, parts.last_mut()) {
            (",", _) => parts.push(String::new()),
            ("\\,", Some(part)) => part.push(','),
            (_, Some(part)) => part.push_str(piece),
            (_, None) => {}
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

/// `None` if the name of the part is unknown.
fn parse_part(part: &str) -> Result<Option<Part>, SelectorError> {
    let Some((name, value)) = part.split_once(':') else {
        return Ok(None);
    };
    let property = match name {
        "size" => return parse_comparison(part, value).map(Some),
        "serial" => Property::Serial,
        "wwn" => Property::Wwn,
        "model" => Property::Model,
        "path" => Property::Path,
        "transport" => Property::Transport,
        _ => return Ok(None),
    };
    if value.trim().is_empty() {
        return Err(SelectorError::NoValue { part: part.to_owned() });
    }
    let value = if property == Property::Wwn { strip_wwn_prefix(value.trim()) } else { value };
    let pattern =
        Pattern::new(value).ok_or_else(|| SelectorError::InnerStar { part: part.to_owned() })?;
    let is_known = |transport: Transport| pattern.matches_any(&transport_names(transport));
    if property == Property::Transport && !Transport::ALL.into_iter().any(is_known) {
        return Err(SelectorError::Transport { part: part.to_owned() });
    }
    Ok(Some(Part::Text { property, pattern }))
}

fn parse_comparison(part: &str, value: &str) -> Result<Part, SelectorError> {
    let value = value.trim();
    let (comparison, size) = [
        Comparison::AtLeast,
        Comparison::AtMost,
        Comparison::More,
        Comparison::Less,
        Comparison::Equal,
    ]
    .into_iter()
    .find_map(|comparison| Some((comparison, value.strip_prefix(comparison.sign())?)))
    .unwrap_or((Comparison::Equal, value));
    let bytes =
        parse_size(size.trim()).ok_or_else(|| SelectorError::Size { part: part.to_owned() })?;
    Ok(Part::Size { comparison, bytes })
}

fn unknown(text: &str, part: &str, number: usize) -> SelectorError {
    let part = part.to_owned();
    if number > 0 {
        SelectorError::UnknownAfterComma { part }
    } else if text.contains([',', ':']) || text.is_empty() {
        SelectorError::Unknown { part }
    } else {
        // `sda`, or `dev/sda`.
        let below_dev = part.strip_prefix("dev/").unwrap_or(&part);
        SelectorError::NoPath { path: format!("/dev/{below_dev}"), text: part }
    }
}

impl Comparison {
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::AtLeast => ">=",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::Less => "<",
            Self::Equal => "=",
        }
    }

    pub(super) fn holds(self, left: u64, right: u64) -> bool {
        match self {
            Self::AtLeast => left >= right,
            Self::AtMost => left <= right,
            Self::More => left > right,
            Self::Less => left < right,
            Self::Equal => left == right,
        }
    }
}

/// A text property of a disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Property {
    Serial,
    Wwn,
    Model,
    Path,
    Transport,
}

/// A folded text, and whether more text may precede or follow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Pattern {
    core: String,
    open_start: bool,
    open_end: bool,
}

impl Property {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::Wwn => "wwn",
            Self::Model => "model",
            Self::Path => "path",
            Self::Transport => "transport",
        }
    }

    /// All spellings of this property of a disk; the first one is shown. Empty if it is missing.
    pub(super) fn values(self, disk: &FoundDisk) -> Vec<String> {
        let shown = match self {
            Self::Serial => &disk.serial,
            Self::Wwn => &disk.wwn,
            Self::Model => &disk.model,
            Self::Path => &disk.bus_path,
            Self::Transport => return transport_names(disk.transport),
        };
        let Some(shown) = shown else {
            return Vec::new();
        };
        match self {
            Self::Wwn => vec![shown.clone(), strip_wwn_prefix(shown).to_owned()],
            Self::Path => spellings_of(shown, disk.transport),
            _ => vec![shown.clone()],
        }
    }
}

pub(super) fn transport_names(transport: Transport) -> Vec<String> {
    let mut names = vec![transport.name().to_owned()];
    if transport == Transport::Sata {
        names.push("ata".to_owned());
    }
    names
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
