//! The build itself: unpack, configure, make, store. The ordinary one happens in the cache's `build` folder, which is emptied
//! before and after; another may happen anywhere, to be compared with it.

use crate::cache::Cache;
use crate::cmd;
use crate::kernel::CONFIG;
use crate::kernel::IMAGE;
use crate::kernel::INPUTS;
use crate::kernel::Key;
use crate::kernel::Plan;
use crate::kernel::configure;
use crate::kernel::log_path;
use crate::kernel::make;
use crate::kernel::make::Make;
use crate::kernel::make::Place;
use crate::kernel::make::Surroundings;
use crate::kernel::unpack;
use crate::report;
use anyhow::Context as _;
use anyhow::Result;
use rustix::fs::Mode;
use std::path::PathBuf;
use std::time::Instant;

/// Builds and stores a kernel. The caller holds the lock on kernel builds.
pub(super) fn compile(plan: &Plan<'_>, key: &Key, cache: &Cache) -> Result<PathBuf> {
    let scratch = cache.folder("build")?;
    make::remove(&scratch)?;
    let place = Place {
        source: cache.folder("build/source")?,
        objects: cache.folder("build/objects")?,
        log: log_path(plan),
        compiler_cache: cmd::find("ccache").map(|_| cache.folder("ccache")).transpose()?,
        surroundings: Surroundings::default(),
    };
    let (image, config) = compile_in(plan, place)?;

    let filled = cache.temporary_folder()?;
    for (from, to) in [(image, IMAGE), (config, CONFIG)] {
        std::fs::copy(&from, filled.path().join(to))
            .with_context(|| format!("copying {}", from.display()))?;
    }
    let inputs = filled.path().join(INPUTS);
    std::fs::write(&inputs, &key.inputs)
        .with_context(|| format!("writing {}", inputs.display()))?;
    let folder = cache.store_kernel(filled, &key.digest)?;
    make::remove(&scratch)?;
    Ok(folder)
}

/// Builds a kernel in `place`, and gives the paths of its image and its configuration there.
pub(super) fn compile_in(plan: &Plan<'_>, place: Place) -> Result<(PathBuf, PathBuf)> {
    let started = Instant::now();
    let title =
        format!("linux {} for {}, profile {}", plan.source.version, plan.arch, plan.profile);
    report::step(format_args!("building {title}; log in {}", place.log.display()));
    let _umask = Umask::set();
    let tree = Make::new(plan, place)?;

    report::live("unpacking the kernel's source");
    unpack::unpack(&plan.source, &tree.source)?;
    configure::configure(plan, &tree)?;
    let (target, image) = plan.arch.kernel_image();
    tree.make(target, &[], &format!("building {title}"))?;
    report::step(format_args!("built {title} in {}", make::minutes(started.elapsed())));
    Ok((tree.build.join(image), tree.build.join(".config")))
}

/// Gives back the caller's umask when dropped.
struct Umask(Mode);

impl Umask {
    /// Files are made as most hosts make them, whatever the caller's umask.
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
    use crate::arch::Arch;
    use crate::config::Profile;
    use crate::sources::Source;
    use xshell::Shell;

    /// Takes the part of the kernel's own: knows its targets, and shows in the image what make was given.
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
    fn surroundings_reach_make_and_the_callers_variables_do_not() {
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
            words: &[],
            word_options: Vec::new(),
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
