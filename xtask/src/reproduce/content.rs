//! Where two files begin to differ, in words: the part of an ELF file or of a kernel image, and the offset in it. Bytes in, a sentence out.

mod layout;

use crate::output;
use crate::reproduce::content::layout::Part;

/// Bytes of each side that are shown.
const SHOWN: usize = 8;

/// The first difference, or `None` where there is none.
pub fn difference(one: &[u8], other: &[u8]) -> Option<String> {
    if one == other {
        return None;
    }
    let (mine, theirs) = (layout::parts(one), layout::parts(other));
    let named = mine.iter().zip(&theirs).find_map(|(mine, theirs)| in_part(mine, theirs));
    Some(named.unwrap_or_else(|| spot(one, other)))
}

/// The difference of two parts at the same place of a file.
fn in_part(one: &Part<'_>, other: &Part<'_>) -> Option<String> {
    if one.name != other.name {
        return Some(format!("one has {} where the other has {}", one.name, other.name));
    }
    if one.bytes == other.bytes {
        return None;
    }
    let place = format!("{}, which begins at {:#x}", one.name, one.offset);
    if let (Some(unpacked), Some(others)) = (one.unpacked(), other.unpacked())
        && let Some(difference) = difference(&unpacked, &others)
    {
        return Some(format!("{place}; unpacked: {difference}"));
    }
    Some(format!("{place}: {}", spot(one.bytes, other.bytes)))
}

/// The first byte that differs, and what follows it on both sides.
fn spot(one: &[u8], other: &[u8]) -> String {
    let at = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let shown = |bytes: &[u8]| match bytes.get(at..) {
        Some(rest) if !rest.is_empty() => output::hex(rest.get(..SHOWN).unwrap_or(rest)),
        _ => "its end".to_owned(),
    };
    let lengths = if one.len() == other.len() {
        format!("{} bytes", one.len())
    } else {
        format!("{} and {} bytes", one.len(), other.len())
    };
    format!(
        "{lengths}, the first difference at offset {at:#x}: {} and {}",
        shown(one),
        shown(other)
    )
}

#[cfg(test)]
mod tests;
