//! Debian's `reprotest` over a boot file: it builds again with its own variations, among them two that ours lack, an order of directory entries that
//! changes with every look, and another kernel version. Goes in: what to build. Comes out: which variations were on, and why any was not.

use crate::arch::Arch;
use crate::build;
use crate::build_initramfs;
use crate::cache::Cache;
use crate::cmd;
use crate::config;
use crate::env;
use crate::env::Settings;
use crate::kernel;
use crate::kernel::KernelRequest;
use crate::reproduce::conditions;
use crate::reproduce::elsewhere;
use crate::reproduce::elsewhere::Processor;
use crate::setup;
use crate::setup::Need;
use crate::sources::SourceOptions;
use crate::sources::Sources;
use anyhow::Context as _;
use anyhow::Result;
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
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

/// What is built again.
struct Subject<'a> {
    /// Our own build of it.
    ours: &'a Path,
    /// Where a build puts it.
    output: PathBuf,
    /// The subcommand that builds it.
    words: Vec<&'a str>,
    has_one_processor: bool,
}

/// Builds the initramfs here, and again under `reprotest`; fails where the two differ.
pub fn reprotest(arch: Arch, options: &SourceOptions) -> Result<String> {
    setup::require(&[Need::Binaries, Need::Compiler(arch), Need::Test])?;
    let settings = Settings::read()?;
    let config = config::read_image_config(arch)?;
    let image = build_initramfs::build(arch, &config, &settings, &Sources::open(options)?)?;
    let options = SourceOptions { sources: Some(image.parts.set), ..options.clone() };
    let words = vec!["build-initramfs", "--arch", arch.kernel()];
    let output = build_initramfs::output_path(arch);
    // Ours had every processor, and reprotest would give it no fewer.
    let subject = Subject { ours: &image.path, output, words, has_one_processor: true };
    build_again(&subject, &settings, &options)
}

/// Takes the kernel asked for from the cache or builds it, and builds it again under `reprotest`; fails where the two differ.
pub fn reprotest_kernel(request: &KernelRequest<'_>, options: &SourceOptions) -> Result<String> {
    let (arch, profile) = (request.arch, request.profile);
    let ours = kernel::build(request)?.image;
    let name = profile.to_string();
    let words = vec!["build-kernel", "--arch", arch.kernel(), "--profile", &name];
    let output = build::kernel_path(arch, profile);
    let subject = Subject { ours: &ours, output, words, has_one_processor: false };
    build_again(&subject, request.settings, options)
}

fn build_again(
    subject: &Subject<'_>,
    settings: &Settings,
    options: &SourceOptions,
) -> Result<String> {
    let folder = tempfile::tempdir().context("making a folder for reprotest")?;
    let project = folder.path().join("project");
    std::fs::create_dir(&project).context("making a folder for reprotest")?;
    elsewhere::copy_project(&project)?;
    let script = script(folder.path(), subject, settings, options)?;
    let artifact = Path::new("out").join(subject.output.file_name().unwrap_or_default());
    let control = folder.path().join("control");
    shelve(subject.ours, &control, &artifact)?;
    let off = off(subject, &Lack::look()?);
    let shell = Shell::new()?;
    shell
        .cmd("reprotest")
        .args(["--no-diffoscope", "--min-cpus", "1", "--variations", &chosen(&off)])
        .arg("--control-build")
        .arg(control)
        .arg("-s")
        .arg(&project)
        .arg(script)
        .arg(artifact)
        .quiet()
        .ignore_stdout()
        .run()
        .context("building again under reprotest")?;
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
fn off(subject: &Subject<'_>, lacks: &[Lack]) -> Vec<(&'static str, &'static str)> {
    let user = "it needs sudo and a second user who may read Rust's folders; `cargo xtask verify` varies the user";
    let processors =
        "one would take twice as long; `cargo xtask verify --kernel` varies the number of jobs";
    let mut off = vec![("user_group", user)];
    if !subject.has_one_processor {
        off.push(("num_cpus", processors));
    }
    off.extend(lacks.iter().map(|lack| lack.told()));
    off
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

/// What `reprotest` runs in its copy of the project.
fn script(
    folder: &Path,
    subject: &Subject<'_>,
    settings: &Settings,
    options: &SourceOptions,
) -> Result<String> {
    let (programs, target) = (folder.join("bin"), folder.join("target"));
    for folder in [&programs, &target] {
        std::fs::create_dir(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let day = conditions::make_day(folder)?;
    // Only a kernel needs make.
    let make = cmd::find("make").map(|make| ("make", make.into()));
    for (name, program) in [("cargo", cmd::cargo())].into_iter().chain(make) {
        elsewhere::write_on_another_day(&programs.join(name), &program, &day)?;
    }
    let mut words = vec![
        format!("CARGO={}", programs.join("cargo").display()),
        format!("FS_MTIME=@{}", settings.fs_mtime),
        format!("KERNEL_BUILD_TIMESTAMP=@{}", settings.kernel_timestamp.as_second()),
    ];
    if let Some((value, _)) = env::variables()?.get(env::KERNEL_CONFIG) {
        words.push(format!("{}={value}", env::KERNEL_CONFIG));
    }
    // Its home folder does not exist.
    for (variable, name) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        words.push(format!("{variable}={}", elsewhere::home_of(variable, name)?.display()));
    }
    if subject.has_one_processor {
        words.extend(["taskset".to_owned(), "-c".to_owned(), Processor::First.find()?]);
    }
    words.push(elsewhere::copy_this_program(folder)?.display().to_string());
    words.extend(subject.words.iter().map(|word| (*word).to_owned()));
    words.extend(elsewhere::words_of(options)?);
    let words: Vec<String> = words.iter().map(|word| cmd::quoted(word)).collect();
    // Disorder is for sources: what cargo writes stays out of disorderfs, which takes its time. The cache's sources serve again, its kernels and
    // object files do not, nor does ccache, which would read every header twice. reprotest shows another day through libfaketime, under which
    // rustc never starts; see day.c.
    Ok(format!(
        "unset LD_PRELOAD\n\
         mkdir -p cache/ocidd/ccache\n\
         ln -s {} target\n\
         echo disable=true > cache/ocidd/ccache/ccache.conf\n\
         for name in sources apt locks; do ln -s {}/$name cache/ocidd/; done\n\
         exec env XDG_CACHE_HOME=\"$PWD/cache\" CARGO_MANIFEST_DIR=\"$PWD/xtask\" PATH={}:\"$PATH\" {}",
        cmd::quoted(&target.display().to_string()),
        cmd::quoted(&Cache::location()?.display().to_string()),
        cmd::quoted(&programs.display().to_string()),
        words.join(" ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_off_and_why() {
        let subject = |has_one_processor| Subject {
            ours: Path::new("ours"),
            output: PathBuf::from("out/ours"),
            words: Vec::new(),
            has_one_processor,
        };
        assert_eq!(chosen(&off(&subject(false), &[])), "+all,-user_group,-num_cpus");
        let off = off(&subject(true), &[Lack::Fuse]);
        assert_eq!(chosen(&off), "+all,-user_group,-fileordering");
        let told = told(&off);
        assert!(told.contains("varied environment, build_path,"), "{told}");
        assert!(told.ends_with("fileordering (/dev/fuse cannot be opened)"), "{told}");
        assert!(!told.contains("domain_host ("), "{told}");
    }
}
