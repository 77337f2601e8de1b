//! `cargo xtask completions`: prints a completion script for a shell.

use crate::Cli;
use crate::report;
use clap::CommandFactory as _;
use clap_complete::Shell;

/// Print shell completions
///
/// The script completes `cargo xtask …`, handing all other subcommands of cargo to cargo's own
/// completion, and defines a function `xtask` that stands for `cargo xtask` and is completed too.
/// In other projects than this one leave the script out.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  source <(cargo xtask completions bash)
      For this shell. The same for zsh, where compinit must have run before
  cargo xtask completions bash >~/.xtask.bash && echo 'source ~/.xtask.bash' >>~/.bashrc
      For every later one
  cargo xtask completions fish >~/.config/fish/conf.d/xtask.fish
      For every later fish")]
pub struct Args {
    /// The shell to print them for
    #[arg(value_enum)]
    shell: Completed,
}

/// The shells whose completion was tried with `cargo xtask`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Completed {
    Bash,
    Zsh,
    Fish,
}

/// The script of clap for a program `xtask`, adapted to `cargo xtask`.
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
    use super::*;
    use crate::cmd;
    use xshell::Shell as Runner;

    #[test]
    fn every_script_knows_every_subcommand() {
        for shell in [Completed::Bash, Completed::Zsh, Completed::Fish] {
            let script = script(shell);
            for subcommand in Cli::command().get_subcommands() {
                assert!(script.contains(subcommand.get_name()), "{shell:?}: {subcommand}");
            }
        }
    }

    /// What bash does after Tab. Every machine that builds kernels has bash.
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
            // The word at the cursor is not yet a subcommand, whose flags would come next.
            ("cargo xtask tree", "tree"),
            ("cargo xtask verify --prof", "--profile"),
            ("cargo xtask tree --arch ", "x86_64 arm64"),
            // Another's: none of ours to complete.
            ("cargo build --prof", ""),
        ] {
            let shell = Runner::new().unwrap();
            let bash = shell.cmd("bash").args(["--norc", "-c", ask, "bash"]).arg(&file);
            let found = cmd::clean_env(bash).args(line.split(' ')).quiet().read().unwrap();
            assert_eq!(found, wanted, "{line}");
        }
    }
}
