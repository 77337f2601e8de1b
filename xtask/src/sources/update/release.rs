//! Versions of releases, and which of them may follow which. Pure.

/// A release by its numbers: 6.12 is the first of series 6.12, 6.12.3 a later one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Release {
    series: (u32, u32),
    patch: u32,
}

impl Release {
    /// Reads two or three numbers between dots. Anything else, such as `6.13-rc1`, is no release.
    pub(super) fn parse(version: &str) -> Option<Self> {
        let numbers: Option<Vec<u32>> = version.split('.').map(number).collect();
        match numbers?.as_slice() {
            [major, minor] => Some(Self { series: (*major, *minor), patch: 0 }),
            [major, minor, patch] => Some(Self { series: (*major, *minor), patch: *patch }),
            _ => None,
        }
    }

    pub(super) fn is_of_the_series_of(self, other: Self) -> bool {
        self.series == other.series
    }
}

fn number(digits: &str) -> Option<u32> {
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    if is_plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers_within_a_series() {
        let release = |version| Release::parse(version).unwrap();
        assert!(release("6.12.10") > release("6.12.9") && release("6.12.1") > release("6.12"));
        for (one, other, wanted) in [
            ("6.12", "6.12.109", true),
            ("6.12.110", "6.12.109", true),
            ("6.13.1", "6.12.109", false),
            ("7.12.1", "6.12.109", false),
            ("6.1.200", "6.12.109", false),
        ] {
            assert_eq!(release(one).is_of_the_series_of(release(other)), wanted, "{one} {other}");
        }
    }

    #[test]
    fn other_versions_are_no_releases() {
        for version in [
            "",
            "6",
            "6.12.",
            "6.12-rc1",
            "3.23.0_rc2",
            "6.12.1.1",
            "6.+12",
            "6.012",
            "6.12.x",
            "99999999999.1",
        ] {
            assert_eq!(Release::parse(version), None, "{version}");
        }
    }
}
