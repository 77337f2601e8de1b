//! Something that builds and tests use, how to see that it is there, and which packages bring it.

use crate::arch::Arch;
use crate::cmd;
use crate::setup::Need;
use std::path::Path;
use std::path::PathBuf;

/// Something a subcommand uses.
#[derive(Debug)]
pub(super) struct Tool {
    pub(super) detect: Detect,
    /// What it is for.
    pub(super) reason: &'static str,
    pub(super) needs: &'static [Need],
    pub(super) packages: Packages,
}

/// How to see that something is there.
#[derive(Debug)]
pub(super) enum Detect {
    /// Any of these programs is in `PATH`.
    Program(&'static [&'static str]),
    /// This C header is where compilers look.
    Header(&'static str),
    /// This file exists.
    File(&'static str),
}

/// The packages, separated by spaces, by package manager. Empty where there is none or we know none.
#[derive(Debug)]
pub(super) struct Packages {
    pub(super) apt: &'static str,
    pub(super) dnf: &'static str,
    pub(super) apk: &'static str,
    pub(super) pacman: &'static str,
}

impl Packages {
    /// For tools whose package has their own name everywhere.
    pub(super) const fn all(name: &'static str) -> Self {
        Self { apt: name, dnf: name, apk: name, pacman: name }
    }

    pub(super) const fn of([apt, dnf, apk, pacman]: [&'static str; 4]) -> Self {
        Self { apt, dnf, apk, pacman }
    }
}

impl Tool {
    /// What people call it.
    pub(super) fn name(&self) -> String {
        match self.detect {
            Detect::Program(names) => names.join(" or "),
            Detect::Header(name) => format!("<{name}>"),
            Detect::File(path) => path.to_owned(),
        }
    }

    /// Looks without starting a program.
    pub(super) fn is_there(&self) -> bool {
        self.place().is_some()
    }

    /// Where it is.
    pub(super) fn place(&self) -> Option<PathBuf> {
        match self.detect {
            Detect::Program(names) => names.iter().find_map(|name| cmd::find(name)),
            Detect::Header(name) => include_folders()
                .iter()
                .map(|folder| Path::new(folder).join(name))
                .find(|path| path.exists()),
            Detect::File(path) => Some(PathBuf::from(path)).filter(|path| path.exists()),
        }
    }
}

pub(super) const fn program(
    names: &'static [&'static str],
    reason: &'static str,
    needs: &'static [Need],
    packages: Packages,
) -> Tool {
    Tool { detect: Detect::Program(names), reason, needs, packages }
}

pub(super) const fn header(
    name: &'static str,
    reason: &'static str,
    needs: &'static [Need],
    packages: Packages,
) -> Tool {
    Tool { detect: Detect::Header(name), reason, needs, packages }
}

/// Where the host's compiler looks: the common folder, and Debian's for the architecture.
fn include_folders() -> Vec<String> {
    let own = Arch::host().map(|arch| format!("/usr/include/{}-linux-gnu", arch.cpu()));
    ["/usr/include".to_owned(), "/usr/local/include".to_owned()].into_iter().chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_programs_files_and_headers_only_where_they_are() {
        let tool = |detect| Tool {
            detect,
            reason: "test",
            needs: &[Need::Test],
            packages: Packages::all("test"),
        };
        for (detect, wanted) in [
            (Detect::Program(&["no-such-program", "sh"]), true),
            (Detect::Program(&["no-such-program"]), false),
            (Detect::File("/"), true),
            (Detect::File("/no/such/file"), false),
            (Detect::Header("no/such/header.h"), false),
        ] {
            let tool = tool(detect);
            assert_eq!(tool.is_there(), wanted, "{tool:?}");
        }
    }
}
