//! Checks the claim that the same inputs give the same bytes: builds the initramfs a second time with everything varied that must not matter, and compares.
//! Goes in: an architecture and where sources come from. Comes out: nothing, or the first entry that differs.

mod difference;

use crate::arch::Arch;
use crate::build_initramfs;
use crate::cmd;
use crate::config;
use crate::env::Settings;
use crate::gzip;
use crate::newc;
use crate::output;
use crate::project;
use crate::report;
use crate::setup;
use crate::setup::Need;
use crate::sources::SourceOptions;
use crate::sources::Sources;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;
use xshell::Cmd;
use xshell::Shell;
use xshell::cmd;

/// Any user but the one who builds first.
const OTHER_USER: &str = "4321";

/// Variables that would change the programs if they reached the compilers.
const POISON: [(&str, &str); 5] = [
    ("RUSTFLAGS", "-Copt-level=0 -Cdebuginfo=2"),
    ("CARGO_BUILD_RUSTFLAGS", "-Copt-level=0"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
    ("CFLAGS", "-O0 -g3"),
    ("SOURCE_DATE_EPOCH", "1"),
];

/// Builds the initramfs here, and again from a copy elsewhere; fails where the two differ.
pub fn check(arch: Arch, options: &SourceOptions) -> Result<()> {
    let config = config::read_image_config(arch)?;
    let settings = Settings::read()?;
    setup::require(&[Need::Binaries, Need::Compiler(arch), Need::Test])?;
    let image = build_initramfs::build(arch, &config, &settings, &Sources::open(options)?)?;
    let first =
        std::fs::read(&image.path).with_context(|| format!("reading {}", image.path.display()))?;

    let folder = tempfile::Builder::new()
        .prefix("ocidd again ")
        .tempdir()
        .context("making a folder for the second build")?;
    let elsewhere = Elsewhere::new(folder.path())?;
    report::step(format_args!("building the initramfs again in {}", folder.path().display()));
    let second = elsewhere
        .build(arch, &settings, options, image.parts.set_name())
        .context("building the initramfs a second time")?;
    if first == second {
        report::step("both builds gave the same bytes");
        return Ok(());
    }
    let evidence = project::logs().join(format!("initramfs-{}-again.gz", arch.oci()));
    output::write(&evidence, &second)?;
    let difference = difference::first(
        &newc::read(&gzip::inflate(&first)?)?,
        &newc::read(&gzip::inflate(&second)?)?,
    );
    bail!(
        "two builds of the initramfs differ: {}; compare {} with {}",
        difference
            .unwrap_or_else(|| "all entries are equal, but their compression is not".to_owned()),
        image.path.display(),
        evidence.display()
    )
}

/// Another copy of the project, with a home and a cargo folder of its own.
struct Elsewhere {
    project: PathBuf,
    home: PathBuf,
    cargo_home: PathBuf,
}

impl Elsewhere {
    fn new(folder: &Path) -> Result<Self> {
        let elsewhere = Self {
            project: folder.join("a project"),
            home: folder.join("home"),
            cargo_home: folder.join("cargo"),
        };
        for folder in [&elsewhere.project, &elsewhere.home, &elsewhere.cargo_home] {
            std::fs::create_dir(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        copy_project(&elsewhere.project)?;
        // The packages are the same, and cargo reaches them by another path. Where a mirror serves them, the settings say so.
        let cargo_home = home_of("CARGO_HOME", ".cargo")?;
        for name in ["registry", "config.toml", "credentials.toml"] {
            let original = cargo_home.join(name);
            if original.exists() {
                std::os::unix::fs::symlink(&original, elsewhere.cargo_home.join(name))
                    .with_context(|| format!("linking {}", original.display()))?;
            }
        }
        Ok(elsewhere)
    }

    /// Builds with this very xtask, in another environment, and gives the bytes.
    fn build(
        &self,
        arch: Arch,
        settings: &Settings,
        options: &SourceOptions,
        set: &str,
    ) -> Result<Vec<u8>> {
        let shell = Shell::new()?;
        shell.change_dir("/");
        let xtask = std::env::current_exe().context("finding this program")?;
        let mut build = varied(&shell)?.arg(xtask).args([
            "build-initramfs",
            "--arch",
            arch.kernel(),
            "--sources",
            set,
        ]);
        if options.locked {
            build = build.arg("--locked");
        }
        if options.offline {
            build = build.arg("--offline");
        }
        if let Some(folder) = &options.source_dir {
            build = build.arg("--source-dir").arg(std::path::absolute(folder)?);
        }
        self.with_environment(build, settings)?.quiet().ignore_stdout().run()?;
        let name = build_initramfs::output_path(arch);
        let path = self.project.join("out").join(name.file_name().unwrap_or_default());
        std::fs::read(&path).with_context(|| format!("reading {}", path.display()))
    }

    fn with_environment<'a>(&self, build: Cmd<'a>, settings: &Settings) -> Result<Cmd<'a>> {
        let cache = home_of("XDG_CACHE_HOME", ".cache")?;
        let rustup = home_of("RUSTUP_HOME", ".rustup")?;
        let mut build = cmd::clean_env(build)
            .envs(POISON)
            .env("FS_MTIME", format!("@{}", settings.fs_mtime))
            .env("KERNEL_BUILD_TIMESTAMP", "@0")
            .env("CARGO_MANIFEST_DIR", self.project.join("xtask"))
            .env("HOME", &self.home)
            .env("CARGO_HOME", &self.cargo_home)
            .env("RUSTUP_HOME", rustup)
            .env("XDG_CACHE_HOME", cache)
            .env("USER", "somebody")
            .env("LOGNAME", "somebody")
            .env("TZ", "Pacific/Auckland")
            .env("LANG", "tr_TR.UTF-8")
            .env("LC_ALL", "tr_TR.UTF-8");
        for name in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN"] {
            if let Some(value) = std::env::var_os(name) {
                build = build.env(name, value);
            }
        }
        Ok(build)
    }
}

/// The start of a command line that runs the rest of it as another user, on one processor, under another umask.
fn varied(shell: &Shell) -> Result<Cmd<'_>> {
    let processor = first_processor(
        &std::fs::read_to_string("/proc/self/status").context("reading /proc/self/status")?,
    );
    let map = &[format!("--map-user={OTHER_USER}"), format!("--map-group={OTHER_USER}")];
    let mut command =
        if cmd!(shell, "unshare --user {map...} true").quiet().ignore_stderr().run().is_ok() {
            cmd!(shell, "unshare --user {map...} taskset")
        } else {
            report::warn(
                "this machine allows no user namespaces: the second build runs as the same user",
            );
            cmd!(shell, "taskset")
        };
    command = command.args(["-c", &processor]);
    Ok(command.args(["sh", "-c", "umask 077; exec \"$@\"", "sh"]))
}

/// The first processor this process may run on, out of the text of `/proc/self/status`.
fn first_processor(status: &str) -> String {
    let list =
        status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or_default();
    let digits: String = list.trim().chars().take_while(char::is_ascii_digit).collect();
    if digits.is_empty() { "0".to_owned() } else { digits }
}

/// A folder that `variable` names, else the one of this name in the home folder.
fn home_of(variable: &str, name: &str) -> Result<PathBuf> {
    let named = std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    named
        .or_else(|| std::env::home_dir().map(|home| home.join(name)))
        .with_context(|| format!("neither {variable} nor HOME is set"))
}

/// Copies what git knows or would add: no outputs, no settings of this machine.
fn copy_project(to: &Path) -> Result<()> {
    let shell = Shell::new()?;
    shell.change_dir(project::root());
    let files = cmd!(shell, "git ls-files -z --cached --others --exclude-standard")
        .quiet()
        .output()
        .context("listing the project's files")?
        .stdout;
    for name in files.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name: &OsStr = std::os::unix::ffi::OsStrExt::from_bytes(name);
        let (from, to) = (project::root().join(name), to.join(name));
        // Deleted, and git has not been told.
        if !from.is_file() {
            continue;
        }
        let copying = || format!("copying {}", from.display());
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder).with_context(copying)?;
        }
        std::fs::copy(&from, &to).with_context(copying)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_processor_it_may_use() {
        for (status, processor) in [
            ("Name:\tx\nCpus_allowed_list:\t0-1\n", "0"),
            ("Cpus_allowed_list:\t12,14-15\n", "12"),
            ("Cpus_allowed:\tff\n", "0"),
            ("", "0"),
        ] {
            assert_eq!(first_processor(status), processor);
        }
    }
}
