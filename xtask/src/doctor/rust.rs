//! The Rust compiler, and which target a build would choose for each architecture.

use crate::arch::Arch;
use crate::cmd;
use crate::doctor::Section;
use crate::doctor::Trouble;
use crate::download;
use crate::toolchain;
use crate::toolchain::Outlook;

pub(super) fn section(arch: Arch) -> Section {
    let (version, sysroot) = match toolchain::compiler() {
        Ok(found) => found,
        Err(error) => {
            let fact = format!("{error:#}");
            let remedy = "install Rust by rustup, see https://rustup.rs".to_owned();
            let troubles = vec![Trouble { fact: fact.clone(), remedy }];
            return Section { title: "rust", lines: vec![fact], troubles };
        }
    };
    let mut lines = vec![format!("{version} in {}", sysroot.display())];
    let mut troubles = Vec::new();
    let outlooks = Arch::ALL.map(|arch| (arch, toolchain::outlook(arch, &sysroot)));
    let is_ready = outlooks.iter().all(|(_, (_, outlook))| *outlook == Outlook::Ready);
    let way = if is_ready { Ok(()) } else { way_to_add() };
    for (target_arch, (targets, outlook)) in &outlooks {
        match foresee(targets, *outlook, &way) {
            Ok(line) => lines.push(format!("{target_arch}: {line}")),
            Err(fact) => {
                lines.push(format!("{target_arch}: {fact}"));
                let [musl, _] = targets;
                troubles.extend(
                    (*target_arch == arch)
                        .then(|| Trouble { fact, remedy: format!("rustup target add {musl}") }),
                );
            }
        }
    }
    Section { title: "rust", lines, troubles }
}

/// What a build would do about its target; or why it would fail.
fn foresee(
    [musl, gnu]: &[String; 2],
    outlook: Outlook,
    way: &Result<(), String>,
) -> Result<String, String> {
    match (outlook, way) {
        (Outlook::Ready, _) => Ok(format!("{musl}, because it is installed")),
        (_, Ok(())) => Ok(format!("{musl}, which the build adds by rustup")),
        (Outlook::Addable, Err(reason)) => Ok(format!(
            "{gnu}, because it is installed and {musl} is not, and cannot be added: {reason}"
        )),
        (Outlook::Lacking, Err(reason)) => {
            Err(format!("neither {musl} nor {gnu} is installed, and none can be added: {reason}"))
        }
    }
}

/// Whether rustup is there and whom it fetches from answers.
fn way_to_add() -> Result<(), String> {
    if cmd::find("rustup").is_none() {
        return Err("there is no rustup in PATH".to_owned());
    }
    let server = std::env::var("RUSTUP_DIST_SERVER")
        .unwrap_or_else(|_| "https://static.rust-lang.org".to_owned());
    // A mirror may answer with an error for this name and have the targets; that it answers is enough.
    match download::probe(&format!("{server}/dist/channel-rust-stable.toml.sha256")) {
        Ok(()) | Err(download::DownloadError::Status(_)) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foresees_what_a_build_would_do() {
        let targets = ["a-musl".to_owned(), "a-gnu".to_owned()];
        let no_way = Err("no way".to_owned());
        for (outlook, way, wanted) in [
            (Outlook::Ready, &no_way, Ok("a-musl, because it is installed")),
            (Outlook::Addable, &Ok(()), Ok("a-musl, which the build adds by rustup")),
            (
                Outlook::Addable,
                &no_way,
                Ok("a-gnu, because it is installed and a-musl is not, and cannot be added: no way"),
            ),
            (Outlook::Lacking, &Ok(()), Ok("a-musl, which the build adds by rustup")),
            (
                Outlook::Lacking,
                &no_way,
                Err("neither a-musl nor a-gnu is installed, and none can be added: no way"),
            ),
        ] {
            let found = foresee(&targets, outlook, way);
            assert_eq!(found.as_deref().map_err(String::as_str), wanted, "{outlook:?}");
        }
    }
}
