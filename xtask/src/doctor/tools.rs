//! The programs and headers of `cargo xtask setup`, by who needs them.

use crate::arch::Arch;
use crate::doctor::Section;
use crate::doctor::Trouble;
use crate::doctor::aligned;
use crate::setup;
use crate::setup::Found;
use crate::setup::Need;

pub(super) fn section(arch: Arch) -> Section {
    let found = setup::survey();
    let (lines, missing) = describe(&found, arch);
    let troubles = (!missing.is_empty()).then(|| Trouble {
        fact: format!("{} missing", names(&missing)),
        remedy: setup::remedy_for(&missing),
    });
    Section { title: "tools", lines, troubles: troubles.into_iter().collect() }
}

/// A line for each tool and one for each command that installs what a group lacks; and the missing ones that a build for `arch` needs.
fn describe(found: &[Found], arch: Arch) -> (Vec<String>, Vec<&Found>) {
    let for_build = [Need::Binaries, Need::Kernel, Need::Compiler(arch)];
    let is_needed = |tool: &&Found| tool.needs.iter().any(|need| for_build.contains(need));
    let of_others = |tool: &&Found| tool.needs.iter().all(|need| matches!(need, Need::Compiler(_)));
    let (needed, rest): (Vec<&Found>, Vec<&Found>) = found.iter().partition(is_needed);
    let (others, tests): (Vec<&Found>, Vec<&Found>) = rest.into_iter().partition(of_others);
    let mut lines = Vec::new();
    for (title, tools) in [
        (format!("for a build for {arch}:"), &needed),
        ("for builds for other machines:".to_owned(), &others),
        ("for tests, demo and bench:".to_owned(), &tests),
    ] {
        if tools.is_empty() {
            continue;
        }
        lines.push(title);
        let rows: Vec<_> = tools.iter().map(|tool| row(tool)).collect();
        lines.extend(aligned(&rows).into_iter().map(|line| format!("  {line}")));
        let missing = missing(tools);
        if !missing.is_empty() {
            lines.push(format!("  to install what is missing: {}", setup::remedy_for(&missing)));
        }
    }
    (lines, missing(&needed))
}

fn missing<'a>(tools: &[&'a Found]) -> Vec<&'a Found> {
    tools.iter().copied().filter(|tool| tool.path.is_none()).collect()
}

fn row(tool: &Found) -> [String; 3] {
    match &tool.path {
        Some(path) => [tool.name.clone(), path.display().to_string(), tool.version.clone()],
        None => [tool.name.clone(), "MISSING".to_owned(), tool.reason.to_owned()],
    }
}

fn names(missing: &[&Found]) -> String {
    let names: Vec<&str> = missing.iter().map(|tool| tool.name.as_str()).collect();
    format!("{} {}", names.join(", "), if names.len() == 1 { "is" } else { "are" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn tool(name: &str, needs: &'static [Need], is_there: bool) -> Found {
        Found {
            name: name.to_owned(),
            needs,
            reason: "is good for something",
            path: is_there.then(|| PathBuf::from("/bin").join(name)),
            version: "1.0".to_owned(),
        }
    }

    #[test]
    fn only_what_a_build_needs_is_in_its_way() {
        let found = [
            tool("gcc", &[Need::Binaries, Need::Kernel], true),
            tool("flex", &[Need::Kernel], false),
            tool("aarch64-linux-gnu-gcc", &[Need::Compiler(Arch::Arm64)], false),
            tool("skopeo", &[Need::Test], false),
        ];
        for (arch, wanted) in
            [(Arch::X86_64, "flex is"), (Arch::Arm64, "flex, aarch64-linux-gnu-gcc are")]
        {
            let (lines, missing) = describe(&found, arch);
            assert_eq!(names(&missing), wanted);
            assert_eq!(lines[0], format!("for a build for {arch}:"));
            let page = lines.join("\n");
            for fact in ["gcc", "/bin/gcc", "1.0", "MISSING", "good for something", "skopeo"] {
                assert!(page.contains(fact), "{page}");
            }
            assert_eq!(page.contains("for builds for other machines:"), arch == Arch::X86_64);
        }
    }
}
