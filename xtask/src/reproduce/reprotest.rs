//! Debian's `reprotest` over the initramfs: it builds again with its own variations, among them two that ours lack, an order of directory entries that
//! changes with every look, and another kernel version. Goes in: an architecture. Comes out: which variations were on, and why any was not.

use crate::arch::Arch;
use crate::build_initramfs;
use crate::cmd;
use crate::config;
use crate::env::Settings;
use crate::reproduce::conditions;
use crate::reproduce::elsewhere;
use crate::setup;
use crate::setup::Need;
use crate::sources::SourceOptions;
use crate::sources::Sources;
use anyhow::Context as _;
use anyhow::Result;
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use xshell::Shell;

/// Everything it knows, in its order, which `+all` would stand for.
const VARIATIONS: [&str; 14] = [
    "environment",
    "build_path",
    "kernel",
    "aslr",
    "num_cpus",
    "time",
    "user_group",
    "fileordering",
    "domain_host",
    "home",
    "locales",
    "exec_path",
    "timezone",
    "umask",
];

/// Builds the initramfs here, and again under `reprotest`; fails where the two differ.
pub fn reprotest(arch: Arch, options: &SourceOptions) -> Result<String> {
    setup::require(&[Need::Binaries, Need::Compiler(arch), Need::Test])?;
    let settings = Settings::read()?;
    let config = config::read_image_config(arch)?;
    let image = build_initramfs::build(arch, &config, &settings, &Sources::open(options)?)?;
    let options = SourceOptions { sources: Some(image.parts.set), ..options.clone() };

    let folder = tempfile::tempdir().context("making a folder for reprotest")?;
    let project = folder.path().join("project");
    std::fs::create_dir(&project).context("making a folder for reprotest")?;
    elsewhere::copy_project(&project)?;
    let command = build_command(folder.path(), arch, &settings, &options)?;
    let off = off(&Lack::look()?);
    let shell = Shell::new()?;
    let artifact = Path::new("out").join(image.path.file_name().unwrap_or_default());
    let ours = folder.path().join("ours");
    shelve(&image.path, &ours, &artifact)?;
    shell
        .cmd("reprotest")
        .args(["--no-diffoscope", "--min-cpus", "1", "--variations", &chosen(&off)])
        .arg("--control-build")
        .arg(ours)
        .arg("-s")
        .arg(&project)
        .arg(command)
        .arg(artifact)
        .quiet()
        .ignore_stdout()
        .run()
        .context("building the initramfs again under reprotest")?;
    Ok(told(&off))
}

/// Copies our own build to where `reprotest` would have left one without variations, for it to compare with.
fn shelve(built: &Path, folder: &Path, artifact: &Path) -> Result<()> {
    let copy = folder.join("source-root").join(artifact);
    let shelving = || format!("copying {} to {}", built.display(), copy.display());
    std::fs::create_dir_all(copy.parent().unwrap_or(folder)).with_context(shelving)?;
    std::fs::copy(built, &copy).with_context(shelving)?;
    Ok(())
}

/// What a machine may lack.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Lack {
    Faketime,
    Disorderfs,
    Fuse,
    NameSpaces,
}

impl Lack {
    /// All that this machine lacks.
    fn look() -> Result<Vec<Self>> {
        let shell = Shell::new()?;
        let unshare = shell.cmd("unshare").args(["-r", "--uts", "true"]);
        let has_name_spaces = unshare.quiet().ignore_stderr().run().is_ok();
        let has_fuse = File::options().read(true).write(true).open("/dev/fuse").is_ok();
        let lacks = [
            (Self::Faketime, cmd::find("faketime").is_none()),
            (Self::Disorderfs, cmd::find("disorderfs").is_none()),
            (Self::Fuse, !has_fuse),
            (Self::NameSpaces, !has_name_spaces),
        ];
        Ok(lacks.into_iter().filter(|(_, lacks)| *lacks).map(|(lack, _)| lack).collect())
    }

    /// The variation that needs it, and what to say of it.
    fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::Faketime => ("time", "there is no faketime"),
            Self::Disorderfs => ("fileordering", "there is no disorderfs"),
            Self::Fuse => ("fileordering", "/dev/fuse cannot be opened"),
            Self::NameSpaces => ("domain_host", "this machine allows no name spaces"),
        }
    }
}

/// The variations that are off, and why.
fn off(lacks: &[Lack]) -> Vec<(&'static str, &'static str)> {
    let user = "it needs sudo and a second user who may read Rust's folders; `cargo xtask verify` varies the user";
    [("user_group", user)].into_iter().chain(lacks.iter().map(|lack| lack.told())).collect()
}

fn chosen(off: &[(&str, &str)]) -> String {
    off.iter().fold("+all".to_owned(), |mut chosen, (name, _)| {
        // Writing to a String cannot fail.
        write!(chosen, ",-{name}").ok();
        chosen
    })
}

fn told(off: &[(&str, &str)]) -> String {
    let on: Vec<&str> =
        VARIATIONS.into_iter().filter(|name| off.iter().all(|(off, _)| off != name)).collect();
    let reasons: Vec<String> = off.iter().map(|(name, why)| format!("{name} ({why})")).collect();
    format!("reprotest varied {}; off: {}", on.join(", "), reasons.join(", "))
}

/// The script that builds in reprotest's copy of the project.
fn build_command(
    folder: &Path,
    arch: Arch,
    settings: &Settings,
    options: &SourceOptions,
) -> Result<String> {
    let cargo = folder.join("cargo-on-another-day");
    elsewhere::write_cargo(&cargo, &cmd::cargo(), &conditions::make_day(folder)?)?;
    let mut build =
        vec![format!("FS_MTIME=@{}", settings.fs_mtime), "KERNEL_BUILD_TIMESTAMP=@0".to_owned()];
    // Its home folder does not exist.
    for (variable, name) in
        [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup"), ("XDG_CACHE_HOME", ".cache")]
    {
        build.push(format!("{variable}={}", elsewhere::home_of(variable, name)?.display()));
    }
    // Ours had every processor, and reprotest would give it no fewer.
    build.extend(["taskset".to_owned(), "-c".to_owned(), elsewhere::first_processor()?]);
    build.push(elsewhere::copy_this_program(folder)?.display().to_string());
    build.extend(["build-initramfs", "--arch", arch.kernel()].map(str::to_owned));
    build.extend(elsewhere::words_of(options)?);
    let words: Vec<String> = build.iter().map(|word| quoted(word)).collect();
    // reprotest shows another day through libfaketime, under which rustc never starts; see day.c.
    Ok(format!(
        "unset LD_PRELOAD\n\
         if [ -n \"$FAKETIME\" ]; then CARGO={}; else CARGO={}; fi\n\
         exec env CARGO=\"$CARGO\" CARGO_MANIFEST_DIR=\"$PWD/xtask\" {}",
        quoted(&cargo.display().to_string()),
        quoted(&cmd::cargo().display().to_string()),
        words.join(" ")
    ))
}

/// A word as the shell reads it back.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_off_and_why() {
        let off = off(&[Lack::Fuse]);
        assert_eq!(chosen(&off), "+all,-user_group,-fileordering");
        let told = told(&off);
        assert!(told.contains("varied environment, build_path,"), "{told}");
        assert!(told.ends_with("fileordering (/dev/fuse cannot be opened)"), "{told}");
        assert!(!told.contains("domain_host ("), "{told}");
    }

    #[test]
    fn quotes_for_the_shell() {
        let shell = Shell::new().unwrap();
        let word = "it's $HOME \"so\"";
        let said = shell.cmd("sh").arg("-c").arg(format!("printf %s {}", quoted(word)));
        assert_eq!(said.quiet().read().unwrap(), word);
    }
}
