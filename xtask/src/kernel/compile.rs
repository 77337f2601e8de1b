//! Unpacks, configures, builds and stores a kernel.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use rustix::fs::Mode;
use tempfile::NamedTempFile;
use xshell::Shell;

use crate::{
    host::{cmd, output, project, report},
    kernel::{
        CONFIG, IMAGE, INPUTS, configure,
        key::Key,
        make,
        make::{Make, Place, Surroundings},
        plan::Plan,
    },
    sources::{
        Source,
        cache::{Cache, KERNEL_LOCK},
        debian,
    },
};

/// Builds and stores a kernel, in the cache's `build` directory.
pub fn compile(plan: &Plan<'_>, key: &Key, cache: &Cache) -> Result<PathBuf> {
    let _lock = cache.lock(KERNEL_LOCK, "kernel build")?;
    // Another build may have stored it meanwhile.
    if let Some(folder) = cache.kernel(&key.digest)? {
        return Ok(folder);
    }
    let scratch = cache.folder("build")?;
    output::remove(&scratch)?;
    let place = Place {
        source: cache.folder("build/source")?,
        objects: cache.folder("build/objects")?,
        log: project::logs().join(format!("kernel-{}-{}.log", plan.arch, plan.profile)),
        compiler_cache: cmd::find("ccache").map(|_| cache.folder("ccache")).transpose()?,
        surroundings: Surroundings::default(),
    };
    let (image, config) = compile_in(plan, place)?;

    let filled = cache.temporary_folder()?;
    for (from, to) in [(image, IMAGE), (config, CONFIG)] {
        std::fs::copy(&from, filled.path().join(to))
            .with_context(|| format!("copying {}", from.display()))?;
    }
    output::write(&filled.path().join(INPUTS), key.inputs.as_bytes())?;
    let folder = cache.store_kernel(filled, &key.digest)?;
    output::remove(&scratch)?;
    Ok(folder)
}

/// Builds a kernel in `place`. Returns the paths of its image and configuration there.
pub fn compile_in(plan: &Plan<'_>, place: Place) -> Result<(PathBuf, PathBuf)> {
    let started = Instant::now();
    let title =
        format!("linux {} for {}, profile {}", plan.source.version, plan.arch, plan.profile);
    report::step(format_args!("building {title}; log in {}", place.log.display()));
    let _umask = Umask::set();
    let tree = Make::new(plan, place)?;

    let progress = report::progress_line();
    progress.0.set_message("unpacking the kernel's source");
    unpack(&plan.source, &tree.place.source)?;
    drop(progress);
    configure::configure(plan, &tree)?;
    let (target, image) = plan.arch.kernel_image();
    tree.make(target, &[], &format!("building {title}"))?;
    report::step(format_args!("built {title} in {}", make::minutes(started.elapsed())));
    Ok((tree.place.objects.join(image), tree.place.objects.join(".config")))
}

/// Unpacks the kernel's tarball, or the one in a Debian package, into the existing `folder`,
/// without its top-level directory.
pub fn unpack(source: &Source, folder: &Path) -> Result<()> {
    unpack_into(source, folder).with_context(|| format!("unpacking {}", source.path.display()))
}

fn unpack_into(source: &Source, folder: &Path) -> Result<()> {
    let inner;
    let mut tarball = source.path.as_path();
    if tarball.extension().is_some_and(|extension| extension == "deb") {
        inner = inner_tarball(tarball, folder.parent().unwrap_or(folder))?;
        tarball = inner.path();
    }
    let shell = Shell::new()?;
    let tar = shell
        .cmd("tar")
        .args(["--strip-components=1", "--no-same-owner", "--no-same-permissions", "-C"])
        .arg(folder)
        .arg("-xJf")
        .arg(tarball);
    Ok(cmd::clean_env(tar).quiet().run()?)
}

/// The kernel's tarball in a Debian package, as a temporary file in `folder`.
fn inner_tarball(package: &Path, folder: &Path) -> Result<NamedTempFile> {
    let (mut count, mut tarball) = (0, NamedTempFile::new_in(folder)?);
    for entry in tar::Archive::new(debian::read_tar(package)?.as_slice()).entries()? {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if name.starts_with("./usr/src/linux-source-") && name.ends_with(".tar.xz") {
            ensure!(entry.header().entry_type().is_file(), "'{name}' is not a regular file");
            std::io::copy(&mut entry, &mut tarball)?;
            count += 1;
        }
    }
    ensure!(count == 1, "expected one file like ./usr/src/linux-source-6.12.tar.xz, found {count}");
    Ok(tarball)
}

/// Restores the caller's umask when dropped.
struct Umask(Mode);

impl Umask {
    /// The usual umask, so that the caller's does not reach the kernel.
    fn set() -> Self {
        Self(rustix::process::umask(Mode::from_raw_mode(0o022)))
    }
}

impl Drop for Umask {
    fn drop(&mut self) {
        rustix::process::umask(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Profile, host::arch::Arch};

    /// Replaces the kernel's. Writes the variables that make received to the image.
    const MAKEFILE: &str = "
all:
defconfig:
\techo CONFIG_A=y > $(O)/.config
olddefconfig:
bzImage:
\tmkdir -p $(O)/arch/x86/boot
\tenv | sort > $(O)/arch/x86/boot/bzImage
\techo jobs=$(MAKEFLAGS) cc=$(CC) umask=$$(umask) >> $(O)/arch/x86/boot/bzImage
";

    #[test]
    fn unpacks_the_tarball_in_a_debian_package() {
        let folder = tempfile::tempdir().unwrap();
        let shell = Shell::new().unwrap();
        shell.change_dir(folder.path());
        for path in ["linux-1", "package/DEBIAN", "package/usr/src", "made/source"] {
            shell.create_dir(path).unwrap();
        }
        shell.write_file("linux-1/Makefile", MAKEFILE).unwrap();
        let control = "Package: linux-source-1\nVersion: 1\nArchitecture: all\n\
                       Maintainer: Test <test@example.org>\nDescription: a test\n";
        shell.write_file("package/DEBIAN/control", control).unwrap();
        let package = folder.path().join("linux.deb");
        let build = || {
            xshell::cmd!(shell, "dpkg-deb --build package {package}").quiet().ignore_stdout().run()
        };
        let source = Source {
            name: "linux".to_owned(),
            version: "1".to_owned(),
            origin: String::new(),
            sha256: String::new(),
            path: package.clone(),
        };
        let unpacked = || unpack(&source, &folder.path().join("made/source"));
        build().unwrap();
        let error = format!("{:#}", unpacked().unwrap_err());
        assert!(error.ends_with("linux-source-6.12.tar.xz, found 0"), "{error}");
        let tarball = "package/usr/src/linux-source-1.tar.xz";
        xshell::cmd!(shell, "tar -cJf {tarball} linux-1").quiet().run().unwrap();
        build().unwrap();
        unpacked().unwrap();
        assert_eq!(shell.read_file("made/source/Makefile").unwrap(), MAKEFILE);
        std::fs::write(&package, "junk").unwrap();
        let error = format!("{:#}", unpacked().unwrap_err());
        assert!(error.contains("`dpkg-deb --fsys-tarfile") && error.contains("archive"), "{error}");
    }

    #[test]
    fn make_gets_surroundings_but_not_the_variables_of_the_caller() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["linux-1", "first", "second", "made/1", "made/2"] {
            std::fs::create_dir_all(at(name)).unwrap();
        }
        std::fs::write(at("linux-1/Makefile"), MAKEFILE).unwrap();
        let shell = Shell::new().unwrap();
        shell.change_dir(folder.path());
        xshell::cmd!(shell, "tar -cJf linux.tar.xz linux-1").quiet().run().unwrap();
        let plan = Plan {
            arch: Arch::X86_64,
            profile: Profile::Test,
            source: Source {
                name: "linux".to_owned(),
                version: "1".to_owned(),
                origin: String::new(),
                sha256: String::new(),
                path: at("linux.tar.xz"),
            },
            base: "defconfig",
            fragments: Vec::new(),
            arguments: &[],
            argument_options: Vec::new(),
            cross: "",
            compiler: String::new(),
            binutils: String::new(),
            timestamp: "then".to_owned(),
        };
        let build = |source: &str, objects: &str, surroundings| {
            let (source, objects, log) = (at(source), at(objects), at("log"));
            let place = Place { source, objects, log, compiler_cache: None, surroundings };
            let (image, config) = compile_in(&plan, place).unwrap();
            assert!(std::fs::read_to_string(config).unwrap().starts_with("CONFIG_A=y\n"));
            std::fs::read_to_string(image).unwrap()
        };
        let first = build("first", "made/1", Surroundings::default());
        let words = ["env", "SEEN=1", "sh", "-c", "umask 077 && exec \"$@\"", "sh"];
        let second = build(
            "second",
            "made/2",
            Surroundings {
                jobs: 7,
                wrapper: words.map(str::to_owned).to_vec(),
                variables: ["LOCALVERSION", "CFLAGS"]
                    .map(|name| (name.to_owned(), "-poisoned".to_owned()))
                    .to_vec(),
            },
        );
        for fact in ["SEEN=1\n", "-j7", "umask=0077"] {
            assert!(!first.contains(fact) && second.contains(fact), "{fact}: {second}");
        }
        for image in [&first, &second] {
            assert!(image.contains("LOCALVERSION=\n") && image.contains("\nTZ=UTC\n"), "{image}");
            assert!(image.contains("KBUILD_BUILD_TIMESTAMP=then\n"), "{image}");
            assert!(!image.contains("poisoned") && !image.contains("ccache"), "{image}");
        }
    }
}
