//! Text of other parties: servers, documents, archives and programs. Control characters move the
//! cursor of a console, forge lines and make a terminal type; bidirectional ones reorder a line.

use std::fmt;

/// Maximum number of characters of a [`Foreign`] text that are shown.
const SHOWN_CHARS: usize = 200;

/// Maximum number of bytes of a [`line`].
pub const LINE_BYTES: usize = 2000;

/// Whether a terminal interprets the character instead of showing it.
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escape_by<T: fmt::Display>(text: &str, kept: &[char], escape: impl Fn(char) -> T) -> String {
    let is_shown = |c: &char| !is_unsafe(*c) || kept.contains(c);
    let show = |c| if is_shown(&c) { String::from(c) } else { escape(c).to_string() };
    text.chars().map(show).collect()
}

/// Escapes control and bidirectional characters like Rust.
pub fn escape(text: &str) -> String {
    escape_by(text, &[], char::escape_debug)
}

/// Escapes them except for newlines and tabs.
pub fn escape_lines(text: &str) -> String {
    escape_by(text, &['\n', '\t'], char::escape_debug)
}

/// Escapes them in a JSON document, except for the newlines between its values.
pub fn escape_json(document: &str) -> String {
    escape_by(document, &['\n'], |c| format!("\\u{:04x}", u32::from(c)))
}

/// One line for a console: escaped, and cut at [`LINE_BYTES`].
pub fn line(text: &str) -> String {
    let mut line = escape(text);
    if line.len() > LINE_BYTES {
        line.truncate(line.floor_char_boundary(LINE_BYTES));
        line.push('…');
    }
    line
}

/// Text of another party. `Display` escapes it and cuts it at 200 characters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Foreign(pub String);

impl<T: Into<String>> From<T> for Foreign {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.char_indices().nth(SHOWN_CHARS).map(|(end, _)| end);
        let shown = end.and_then(|end| self.0.get(..end)).unwrap_or(&self.0);
        f.write_str(&escape(shown))?;
        f.write_str(if end.is_some() { "…" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that a terminal interprets.
    fn all_unsafe() -> impl Iterator<Item = char> {
        let bidi = ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}');
        ('\0'..'\u{20}').chain('\u{7f}'..='\u{9f}').chain(bidi)
    }

    #[test]
    fn escapes_control_and_bidirectional_characters() {
        for c in all_unsafe() {
            for shown in
                [escape(&c.to_string()), line(&c.to_string()), Foreign(c.into()).to_string()]
            {
                assert!(shown.starts_with('\\') && shown.is_ascii(), "{c:?} {shown}");
            }
            let json = escape_json(&format!("[\n\"{c}\"\n]"));
            if c != '\n' {
                assert_eq!(json, format!("[\n\"\\u{:04x}\"\n]", u32::from(c)));
            }
        }
        assert_eq!(escape_lines("a\tb\r\nc"), "a\tb\\r\nc");
        assert_eq!(
            escape("a\x1b[2J\nä '\\\" \u{9b}\u{202e}"),
            r#"a\u{1b}[2J\nä '\" \u{9b}\u{202e}"#
        );
    }

    #[test]
    fn cuts_long_text_between_characters() {
        for c in ['x', 'ä', '€', '🦀'] {
            let text = |count: usize| c.to_string().repeat(count);
            assert_eq!(Foreign(text(200)).to_string(), text(200));
            assert_eq!(Foreign(text(201)).to_string(), text(200) + "…");
            for count in 440..2050 {
                let line = line(&text(count));
                assert!(line.len() <= LINE_BYTES + 3 && line.starts_with(&text(400)));
            }
        }
    }
}
