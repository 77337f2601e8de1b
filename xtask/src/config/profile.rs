//! The profiles a kernel is built in, by name.

use clap::ValueEnum;

/// Which kernel is built.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, ValueEnum)]
pub enum Profile {
    /// The kernel's own default configuration
    #[default]
    Default,
    /// That one with the disks and network cards of real servers, all built in
    Hw,
    /// A small one for boot tests, built in minutes
    Test,
}

impl Profile {
    pub const ALL: [Self; 3] = [Self::Default, Self::Hw, Self::Test];

    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Hw => "hw",
            Self::Test => "test",
        }
    }

    /// What the names of a profile's outputs end with: nothing, for the default one.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Hw => "-hw",
            Self::Test => "-test",
        }
    }
}

impl std::fmt::Display for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
