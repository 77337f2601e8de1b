//! What somebody changed in a kernel's configuration, as lines of a fragment. Goes in: the configuration before and after, each whole and as the
//! kernel's `savedefconfig` has it, which leaves out every default. Comes out: only what does not follow from something else. Pure.

use crate::kernel::options;
use crate::kernel::options::Wanted;
use anyhow::Result;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// A configuration.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// The values of all options that can be seen; `n` where one is off.
    full: BTreeMap<String, String>,
    /// The names of those that are not as they are by default, in the order of the menu.
    chosen: Vec<String>,
}

/// An option and its value, which prints as a line of a fragment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Setting {
    /// `CONFIG_…`
    name: String,
    /// As in `.config`, but `n` for what is off.
    value: String,
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.value.as_str() {
            "n" => write!(f, "# {} is not set", self.name),
            value => write!(f, "{}={value}", self.name),
        }
    }
}

impl State {
    /// Out of the texts of `.config` and of what `savedefconfig` wrote.
    pub(super) fn new(full: &str, minimal: &str) -> Result<Self> {
        let value = |option: Wanted| (option.name, option.value.unwrap_or_default());
        let read = options::parse_fragment;
        Ok(Self {
            full: read(".config", full)?.into_iter().map(value).collect(),
            chosen: read("defconfig", minimal)?.into_iter().map(|option| option.name).collect(),
        })
    }

    fn setting(&self, name: &str) -> Setting {
        let value = self.full.get(name).map_or("n", String::as_str);
        Setting { name: name.to_owned(), value: value.to_owned() }
    }
}

/// The options somebody changed. Also those that `wanted` asks for and that are gone with another: the build would miss them.
pub(super) fn changes(before: &State, after: &State, wanted: &[Wanted]) -> Vec<Setting> {
    let mut seen = BTreeSet::new();
    let mut settings = Vec::new();
    // What is chosen, and what was before and has gone back to its default.
    for name in after.chosen.iter().chain(&before.chosen) {
        let value = after.full.get(name);
        if value.is_some() && value != before.full.get(name) && seen.insert(name.as_str()) {
            settings.push(after.setting(name));
        }
    }
    let lasting: BTreeMap<&str, &Wanted> =
        wanted.iter().map(|option| (option.name.as_str(), option)).collect();
    for (name, option) in lasting {
        let setting = after.setting(name);
        if option.value.as_ref().is_some_and(|value| *value != setting.value) && seen.insert(name) {
            settings.push(setting);
        }
    }
    settings
}

/// The options of `after` that are otherwise in `found`: as they are in `after`, and their line in `found`.
pub(super) fn missing(found: &State, after: &State) -> Vec<(Setting, String)> {
    let names: BTreeSet<&String> = found.full.keys().chain(after.full.keys()).collect();
    let settings = names.into_iter().map(|name| (after.setting(name), found.setting(name)));
    settings
        .filter(|(wanted, found)| wanted != found)
        .map(|(wanted, found)| (wanted, found.to_string()))
        .collect()
}

/// The lines of a fragment.
pub(super) fn fragment(settings: &[Setting]) -> String {
    let lines: Vec<String> = settings.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// A warning for each option that would be a module.
pub(super) fn modules(settings: &[Setting]) -> Vec<String> {
    settings
        .iter()
        .filter(|setting| setting.value == "m")
        .map(|setting| {
            format!(
                "'{setting}' makes a module, and the initramfs carries none  hint: say y in the menu"
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(full: &str, minimal: &str) -> State {
        State::new(full, minimal).unwrap()
    }

    fn told(before: &State, after: &State, fragment: &str) -> Vec<String> {
        let wanted = options::parse_fragment("f", fragment).unwrap();
        changes(before, after, &wanted).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn tells_what_was_changed_and_not_what_follows() {
        let before = state(
            "# Linux\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_N=64\nCONFIG_S=\"x\"\nCONFIG_OLD=y\nCONFIG_SAME=y\n",
            "CONFIG_OLD=y\nCONFIG_SAME=y\n",
        );
        // B was chosen, and brought FOLLOWS with it; A was switched off; N and S were set; OLD went back to its default.
        let after = state(
            "# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_FOLLOWS=y\nCONFIG_N=512\nCONFIG_S=\"y z\"\n# CONFIG_OLD is not set\nCONFIG_SAME=y\n",
            "# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_N=512\nCONFIG_S=\"y z\"\nCONFIG_SAME=y\n",
        );
        assert_eq!(
            told(&before, &after, ""),
            [
                "# CONFIG_A is not set",
                "CONFIG_B=y",
                "CONFIG_N=512",
                "CONFIG_S=\"y z\"",
                "# CONFIG_OLD is not set"
            ]
        );
        assert_eq!(told(&before, &before, "CONFIG_A=y\n"), Vec::<String>::new());
    }

    #[test]
    fn an_option_that_appears_and_is_refused_is_a_change() {
        let before = state("# CONFIG_A is not set\n", "");
        let after = state(
            "CONFIG_A=y\n# CONFIG_CHILD is not set\n",
            "CONFIG_A=y\n# CONFIG_CHILD is not set\n",
        );
        assert_eq!(told(&before, &after, ""), ["CONFIG_A=y", "# CONFIG_CHILD is not set"]);
    }

    /// Its parent's line says enough to the kernel; but a fragment that asks for it would fail the build.
    #[test]
    fn an_option_that_is_gone_is_told_only_where_a_fragment_asks_for_it() {
        let before = state("CONFIG_A=y\nCONFIG_CHILD=y\n", "CONFIG_CHILD=y\n");
        let after = state("# CONFIG_A is not set\n", "# CONFIG_A is not set\n");
        assert_eq!(told(&before, &after, ""), ["# CONFIG_A is not set"]);
        assert_eq!(
            told(&before, &after, "CONFIG_A=n\nCONFIG_A=y\nCONFIG_CHILD=y\n"),
            ["# CONFIG_A is not set", "# CONFIG_CHILD is not set"]
        );
    }

    #[test]
    fn finds_what_a_build_would_have_otherwise() {
        let after = state("CONFIG_A=y\nCONFIG_B=y\n# CONFIG_C is not set\n", "");
        let found = state("CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_D=1\n", "");
        let missing: Vec<_> = missing(&found, &after)
            .into_iter()
            .map(|(wanted, found)| (wanted.to_string(), found))
            .collect();
        let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
        assert_eq!(
            missing,
            [
                pair("CONFIG_B=y", "# CONFIG_B is not set"),
                pair("# CONFIG_D is not set", "CONFIG_D=1")
            ]
        );
    }

    #[test]
    fn warns_of_modules() {
        let before = state("# CONFIG_A is not set\n# CONFIG_B is not set\n", "");
        let after = state("CONFIG_A=m\nCONFIG_B=y\n", "CONFIG_A=m\nCONFIG_B=y\n");
        let warnings = modules(&changes(&before, &after, &[]));
        assert!(matches!(warnings.as_slice(), [one] if one.starts_with("'CONFIG_A=m' makes")));
    }
}
