//! Compiles a small busybox that is linked with musl dynamically. Goes in: busybox's source, and a folder with what Debian's musl and kernel headers hold.
//! Comes out: the program. Compilers see paths relative to that folder only, so it may lie anywhere.

use crate::arch::Arch;
use crate::cmd;
use crate::output;
use crate::project;
use crate::sources::Pin;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use std::path::Path;
use xshell::Cmd;
use xshell::Shell;

/// The version that Alpine's series of the pin has too.
const VERSION: &str = "1.37.0";
const SHA256: &str = "3311dff32e746499f4df0d5df04d7eb396382d7e108bb9250e7b519b837043a4";

/// Where packages are unpacked, beside the source.
pub(super) const ROOT: &str = "root";

/// The options that are on; with them come those that are on by default where these are.
pub(super) const OPTIONS: [&str; 40] = [
    "ASH",
    "ASH_ALIAS",
    "ASH_ECHO",
    "ASH_JOB_CONTROL",
    "ASH_PRINTF",
    "ASH_TEST",
    "BASENAME",
    "BASH_IS_NONE",
    "BUSYBOX",
    "CAT",
    "CMP",
    "DD",
    "DMESG",
    "FEATURE_DEVPTS",
    "FEATURE_EDITING",
    "FEATURE_INSTALLER",
    "FEATURE_READLINK_FOLLOW",
    "FEATURE_SH_MATH",
    "GREP",
    "HALT",
    "HEAD",
    "INCLUDE_SUSv2",
    "LFS",
    "LONG_OPTS",
    "LS",
    "MKDIR",
    "MOUNT",
    "MV",
    "POWEROFF",
    "PS",
    "READLINK",
    "REBOOT",
    "RM",
    "SETSID",
    "SHA256SUM",
    "SHOW_USAGE",
    "SH_IS_ASH",
    "SLEEP",
    "SYNC",
    "WC",
];

/// The project's own release, as it lies in Debian's archive: the same bytes that busybox.net gives out.
pub(super) fn pin() -> Pin {
    Pin {
        name: "busybox".to_owned(),
        version: VERSION.to_owned(),
        url: format!(
            "https://deb.debian.org/debian/pool/main/b/busybox/busybox_{VERSION}.orig.tar.bz2"
        ),
        sha256: SHA256.to_owned(),
    }
}

/// The C compiler for `arch`.
pub(super) fn compiler(arch: Arch) -> String {
    format!("{}gcc", prefix(arch))
}

fn prefix(arch: Arch) -> &'static str {
    if Arch::host() == Some(arch) { "" } else { arch.cross_prefix() }
}

/// musl, which is loader and library in one file.
pub(super) fn loader(arch: Arch, room: &Path) -> Result<Vec<u8>> {
    let triple = triple(arch);
    // Debian 13 has all of /lib below /usr.
    let found = ["lib", "usr/lib"]
        .map(|folder| room.join(ROOT).join(folder).join(&triple).join("libc.so"))
        .into_iter()
        .find(|file| file.is_file());
    let file = found.ok_or_else(|| anyhow!("Debian's musl holds no {triple}/libc.so"))?;
    std::fs::read(&file).with_context(|| format!("reading {}", file.display()))
}

fn triple(arch: Arch) -> String {
    format!("{}-linux-musl", arch.cpu())
}

/// Unpacks the source into `room`, where the packages lie already, and compiles it.
pub(super) fn compile(arch: Arch, room: &Path, tarball: &Path) -> Result<Vec<u8>> {
    let shell = Shell::new()?;
    shell.change_dir(room);
    cmd::clean_env(shell.cmd("tar").args(["--extract", "--bzip2", "--file"]).arg(tarball))
        .quiet()
        .run()
        .with_context(|| format!("unpacking {}", tarball.display()))?;
    write_specs(arch, room)?;
    let source = room.join(format!("busybox-{VERSION}"));
    shell.change_dir(&source);
    configure(&shell, &source)?;
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let (packages, triple, host) =
        (format!("../{ROOT}"), triple(arch), format!("{}-linux-gnu", arch.cpu()));
    let compiler = [
        compiler(arch),
        "-specs=../musl.specs".to_owned(),
        format!("-L{packages}/lib/{triple}"),
        format!("-idirafter {packages}/usr/include -idirafter {packages}/usr/include/{host}"),
    ];
    make(&shell, &[&format!("-j{jobs}"), "busybox"], |make| {
        make.arg(format!("CC={}", compiler.join(" ")))
            .arg(format!("CROSS_COMPILE={}", prefix(arch)))
    })?;
    let program = std::fs::read(source.join("busybox")).context("reading busybox")?;
    // Else a boot would prove nothing of the loader.
    let loader = format!("/lib/ld-musl-{}.so.1\0", arch.cpu());
    if !program.windows(loader.len()).any(|window| window == loader.as_bytes()) {
        bail!("busybox was not linked with musl's loader");
    }
    Ok(program)
}

/// The compiler's instructions as Debian's package has them, for where the package is unpacked.
fn write_specs(arch: Arch, room: &Path) -> Result<()> {
    let specs = room.join(ROOT).join("usr/lib").join(triple(arch)).join("musl-gcc.specs");
    let text =
        std::fs::read_to_string(&specs).with_context(|| format!("reading {}", specs.display()))?;
    let text = text.replace("/usr/", &format!("../{ROOT}/usr/"));
    std::fs::write(room.join("musl.specs"), text).context("writing the compiler's instructions")
}

fn configure(shell: &Shell, source: &Path) -> Result<()> {
    let file = source.join(".config");
    make(shell, &["allnoconfig"], |make| make)?;
    let text = std::fs::read_to_string(&file).context("reading busybox's configuration")?;
    let is_other = |line: &&str| {
        let name = line.trim_start_matches("# ").split([' ', '=']).next().unwrap_or_default();
        !name.strip_prefix("CONFIG_").is_some_and(|name| OPTIONS.contains(&name))
    };
    let others = text.lines().filter(is_other).map(|line| format!("{line}\n"));
    let ours = OPTIONS.iter().map(|option| format!("CONFIG_{option}=y\n"));
    std::fs::write(&file, others.chain(ours).collect::<String>())
        .context("writing busybox's configuration")?;
    // Options that were not asked before are answered by an empty line, which is their default.
    make(shell, &["oldconfig"], |make| make.stdin("\n".repeat(2000)))?;
    let text = std::fs::read_to_string(&file).context("reading busybox's configuration")?;
    let lacking: Vec<&str> = OPTIONS
        .into_iter()
        .filter(|option| !text.lines().any(|line| line == format!("CONFIG_{option}=y")))
        .collect();
    if !lacking.is_empty() {
        bail!("busybox {VERSION} drops the options {}", lacking.join(", "));
    }
    Ok(())
}

fn make<'a>(
    shell: &'a Shell,
    words: &[&str],
    adjust: impl FnOnce(Cmd<'a>) -> Cmd<'a>,
) -> Result<()> {
    let command = cmd::clean_env(shell.cmd("make").args(words)).quiet().ignore_status();
    let command = adjust(command).env("LC_ALL", "C").env("TZ", "UTC").env("SOURCE_DATE_EPOCH", "0");
    let output = command.output().context("starting make")?;
    if !output.status.success() {
        let log = project::logs().join("busybox-sample.log");
        output::write(&log, &[output.stdout, output.stderr].concat())?;
        bail!(
            "`make {}` of busybox ended with {}, log in {}",
            words.join(" "),
            output.status,
            log.display()
        );
    }
    Ok(())
}
