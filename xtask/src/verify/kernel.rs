//! Builds a kernel a second time under other conditions and compares.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::{
    host::{output, project, report},
    inspect::diff,
    kernel,
    kernel::{KernelRequest, Place, Surroundings},
    verify::{conditions, conditions::Conditions, difference::keep},
};

/// The kernel that the second one is compared with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum First {
    /// The one of an ordinary build, from the cache if possible.
    Cached,
    /// One that is built for the comparison.
    Rebuilt,
}

struct Built {
    image: Vec<u8>,
    config: Vec<u8>,
}

/// Builds the requested kernel again under other conditions. Fails if the two differ.
pub fn check_kernel(request: &KernelRequest<'_>, first: First) -> Result<()> {
    let directory = request.sources.cache.temporary_folder()?;
    let conditions = Conditions::detect(directory.path())?;
    let first = build_first(request, first, &directory.path().join("first"))?;
    report::step(format_args!(
        "building the kernel again in {}; changed: {}, number of jobs",
        directory.path().display(),
        conditions.varied.join(", ")
    ));
    let second = directory.path().join("second/else/where");
    let second = build_in(request, &second, surroundings(&conditions))?;
    if let Some(difference) = difference(&first, &second) {
        let name = format!("kernel-{}-{}", request.arch, request.profile);
        let kept = keep(&name, &first.image, &second.image)?;
        bail!("two builds of the kernel differ: {difference}; {kept}");
    }
    report::step(format_args!(
        "both kernels are the same bytes: image {}, configuration {}",
        output::digest_of(&first.image),
        output::digest_of(&first.config)
    ));
    Ok(())
}

/// One more job, another user, host and day, and variables that must not reach the compiler.
fn surroundings(conditions: &Conditions) -> Surroundings {
    let mut wrapper = conditions.wrapper.clone();
    wrapper.extend(["env".to_owned(), format!("LD_PRELOAD={}", conditions.day.display())]);
    let variables =
        conditions::POISON.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Surroundings { jobs: Surroundings::default().jobs + 1, wrapper, variables }
}

/// Builds in `directory`, without ccache.
fn build_in(
    request: &KernelRequest<'_>,
    directory: &Path,
    surroundings: Surroundings,
) -> Result<Built> {
    let (source, objects) = (directory.join("linux"), directory.join("made"));
    for path in [&source, &objects] {
        request.sources.cache.folder(path)?;
    }
    let log =
        project::logs().join(format!("verify-kernel-{}-{}.log", request.arch, request.profile));
    let place = Place { source, objects, log, compiler_cache: None, surroundings };
    let (image, config) = kernel::build_anew(request, place)?;
    read(&image, &config)
}

fn build_first(request: &KernelRequest<'_>, first: First, directory: &Path) -> Result<Built> {
    match first {
        First::Rebuilt => build_in(request, directory, Surroundings::default()),
        First::Cached => {
            let built = kernel::build(request)?;
            read(&built.image, &built.config)
        }
    }
}

/// The image of a kernel that is built here.
pub fn image(request: &KernelRequest<'_>, first: First) -> Result<Vec<u8>> {
    let directory = request.sources.cache.temporary_folder()?;
    Ok(build_first(request, first, directory.path())?.image)
}

fn read(image: &Path, config: &Path) -> Result<Built> {
    let read =
        |path: &Path| std::fs::read(path).with_context(|| format!("reading {}", path.display()));
    Ok(Built { image: read(image)?, config: read(config)? })
}

/// The first difference: a line of the configurations, else a byte of the images.
fn difference(one: &Built, other: &Built) -> Option<String> {
    if one.config != other.config {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let (one, other) = (text(&one.config), text(&other.config));
        let equal = one.lines().zip(other.lines()).take_while(|(one, other)| one == other).count();
        let [one, other] = [one, other].map(|text| {
            text.lines().nth(equal).map_or("its end".to_owned(), |line| format!("'{line}'"))
        });
        return Some(format!("line {} of the configurations is {one} and {other}", equal + 1));
    }
    (one.image != other.image).then(|| diff::content_difference(&one.image, &other.image))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(image: &[u8], config: &str) -> Built {
        Built { image: image.to_vec(), config: config.as_bytes().to_vec() }
    }

    #[test]
    fn reports_configuration_before_image() {
        let one = built(b"image", "A=y\nB=y\n");
        for (image, config, fact) in [
            ("image", "A=y\nB=y\n", None),
            ("imagE", "A=y\nB=y\n", Some("content of 5 bytes, different from byte 4 on")),
            (
                "imagE",
                "A=y\n# B is not set\n",
                Some("line 2 of the configurations is 'B=y' and '# B is not set'"),
            ),
            ("image", "A=y\n", Some("line 2 of the configurations is 'B=y' and its end")),
            ("image", "A=y\nB=y", Some("line 3 of the configurations is its end and its end")),
        ] {
            let other = built(image.as_bytes(), config);
            assert_eq!(difference(&one, &other).as_deref(), fact, "{image} {config}");
        }
    }

    #[test]
    fn varies_jobs_and_variables_of_the_second_kernel() {
        let folder = tempfile::tempdir().unwrap();
        let conditions = Conditions::detect(folder.path()).unwrap();
        let second = surroundings(&conditions);
        assert_ne!(second.jobs, Surroundings::default().jobs);
        assert!(second.wrapper.ends_with(&[
            "env".to_owned(),
            format!("LD_PRELOAD={}", folder.path().join("day.so").display())
        ]));
        assert!(second.variables.iter().any(|(name, _)| name == "KCFLAGS"));
    }
}
