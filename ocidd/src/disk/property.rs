//! Texts a disk has, and patterns of a selector that may be true of them. Pure. Tested with `selector.rs`.

use crate::disk::bus::Transport;
use crate::disk::bus::spellings_of;
use crate::disk::probe::FoundDisk;

/// A text a disk has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Property {
    Serial,
    Wwn,
    Model,
    Path,
    Transport,
}

/// A folded text, and whether more may stand before or after it.
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

    /// The spellings of this property that a disk answers to. The first is the one to show; none where the disk lacks it.
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

/// `naa.5000…`, `0x5000…` and udev's `wwn-0x5000…` are one and the same name.
pub(super) fn strip_wwn_prefix(text: &str) -> &str {
    let prefixes = ["wwn-0x", "0x", "naa.", "eui.", "nvme-eui."];
    let stripped = prefixes.iter().find_map(|prefix| {
        let (start, rest) = text.split_at_checked(prefix.len())?;
        start.eq_ignore_ascii_case(prefix).then_some(rest)
    });
    // Nothing but a prefix, as in `naa.*`, stays as it is.
    stripped.filter(|rest| rest.starts_with(|c: char| c.is_ascii_hexdigit())).unwrap_or(text)
}

impl Pattern {
    /// `None` where a `*` stands inside.
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

    /// Whether it can be true of one disk only, as far as the text tells.
    pub(super) fn is_exact(&self) -> bool {
        !self.open_start && !self.open_end
    }
}

/// One form for all ways to write a text: lower case, a single blank for each run of blanks and `_`.
fn fold(text: &str) -> String {
    let text = text.to_lowercase();
    text.split([' ', '_']).filter(|word| !word.is_empty()).collect::<Vec<&str>>().join(" ")
}
