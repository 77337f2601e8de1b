//! What apt complains of, out of all that it says. Pure.

/// How apt begins its complaints, of versions before 3 and since.
const MARKS: [&str; 4] = ["E: ", "W: ", "Error: ", "Warning: "];

/// The lines apt marks as errors and warnings, without the marks and repetitions.
pub(super) fn read(output: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(output);
    let complaint =
        |line: &str| MARKS.iter().find_map(|mark| line.strip_prefix(mark)).map(str::to_owned);
    // An unknown package is complained of as a name, as a glob and as a regular expression.
    let mut lines: Vec<String> = text
        .lines()
        .filter_map(complaint)
        .filter(|line| !line.starts_with("Couldn't find any package by"))
        .collect();
    lines.dedup();
    lines
}

/// Whether apt could not read its own lists. Debian 12's (2.6) says so in these words.
pub(super) fn tell_of_damage(output: &[u8]) -> bool {
    let text = String::from_utf8_lossy(output);
    text.contains("The package lists or status file could not be parsed or opened")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_errors_and_warnings_once() {
        let said = b"Hit:1 http://m stable\nE: Unable to locate package x\nE: Couldn't find any package by glob 'x'\nW: old\nWarning: old\n";
        assert_eq!(read(said), ["Unable to locate package x", "old"]);
    }

    #[test]
    fn lists_that_cannot_be_read_are_damaged_and_an_unknown_package_is_not() {
        let unreadable = b"E: LZ4F: x_Packages.lz4 Unexpected end of file\nE: The package lists or status file could not be parsed or opened.\n";
        assert!(tell_of_damage(unreadable));
        assert!(!tell_of_damage(b"E: Unable to locate package x\n"));
    }
}
