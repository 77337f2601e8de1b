//! `cargo xtask completions`: prints shell completions of the subcommands and flags.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::{Cli, host::report};

/// Print shell completions
///
/// The script completes `cargo xtask …` and uses cargo's own completion for other subcommands.
/// It also defines and completes a function `xtask` for `cargo xtask`. Do not use it in other
/// projects.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  source <(cargo xtask completions bash)
      For this shell; in zsh, run compinit first
  cargo xtask completions bash >~/.xtask.bash && echo 'source ~/.xtask.bash' >>~/.bashrc
      For future bash shells
  cargo xtask completions fish >~/.config/fish/conf.d/xtask.fish
      For future fish shells")]
pub struct Args {
    /// Shell to complete
    #[arg(value_enum)]
    shell: Completed,
}

/// The shells that were tested with `cargo xtask`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Completed {
    Bash,
    Zsh,
    Fish,
}

/// The completions of clap for a program `xtask`, and a function that uses them for `cargo xtask`.
fn script(shell: Completed) -> String {
    let (shell, bridge) = match shell {
        Completed::Bash => (Shell::Bash, include_str!("completions/cargo.bash")),
        Completed::Zsh => (Shell::Zsh, include_str!("completions/cargo.zsh")),
        Completed::Fish => (Shell::Fish, include_str!("completions/cargo.fish")),
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "xtask", &mut script);
    format!("{}{bridge}", String::from_utf8_lossy(&script))
}

pub fn run(args: &Args) {
    report::result(script(args.shell).trim_end());
}

#[cfg(test)]
mod tests {
    use xshell::Shell as Runner;

    use super::*;
    use crate::host::cmd;

    #[test]
    fn completes_every_subcommand_in_every_shell() {
        for shell in [Completed::Bash, Completed::Zsh, Completed::Fish] {
            let script = script(shell);
            for subcommand in Cli::command().get_subcommands() {
                assert!(script.contains(subcommand.get_name()), "{shell:?}: {subcommand}");
            }
        }
    }

    /// Runs bash's completion. Every machine that builds kernels has bash.
    #[test]
    fn bash_completes_through_cargo() {
        if cmd::find("bash").is_none() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("script");
        let ask = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1))\n\
            _xtask_of_cargo cargo \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"; echo \"${COMPREPLY[@]}\"";
        std::fs::write(&file, script(Completed::Bash)).unwrap();
        for (line, wanted) in [
            ("cargo xtask build-", "build-kernel build-initramfs"),
            // The word at the cursor is not yet a complete subcommand.
            ("cargo xtask tree", "tree"),
            ("cargo xtask verify --prof", "--profile"),
            ("cargo xtask tree --arch ", "x86_64 arm64"),
            // A subcommand of cargo itself.
            ("cargo build --prof", ""),
        ] {
            let shell = Runner::new().unwrap();
            let bash = shell.cmd("bash").args(["--norc", "-c", ask, "bash"]).arg(&file);
            let found = cmd::clean_env(bash).args(line.split(' ')).quiet().read().unwrap();
            assert_eq!(found, wanted, "{line}");
        }
    }
}
