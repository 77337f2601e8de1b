//! Builds a kernel a second time under other conditions, and compares. Goes in: which kernel. Comes out: nothing, or what differs: an option of the
//! configuration, a part of the image, the first object file.

use crate::kernel;
use crate::kernel::KernelRequest;
use crate::kernel::Place;
use crate::kernel::Surroundings;
use crate::output;
use crate::project;
use crate::report;
use crate::reproduce::conditions;
use crate::reproduce::conditions::Conditions;
use crate::reproduce::content;
use crate::reproduce::evidence;
use crate::reproduce::objects;
use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;

/// Which kernel the second one is held against.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum First {
    /// The one of an ordinary build, which the cache may have.
    Ordinary,
    /// One that is built for this, so that both build folders can be compared.
    Anew,
}

/// A kernel that was built, or found.
struct Built {
    image: Vec<u8>,
    config: Vec<u8>,
    /// Where its object files are.
    objects: Option<PathBuf>,
    /// How long that took, in words.
    took: String,
}

/// Builds the kernel asked for again, elsewhere and otherwise; fails where the two differ.
pub fn check_kernel(request: &KernelRequest<'_>, first: First) -> Result<()> {
    let room = request.sources.cache().temporary_folder()?;
    let conditions = Conditions::other(room.path())?;
    let first = match first {
        First::Ordinary => ordinary(request)?,
        First::Anew => anew(request, &room.path().join("first"), Surroundings::default())?,
    };
    let surroundings = surroundings(&conditions);
    report::step(format_args!(
        "building the kernel again in {}; other than before: {}",
        room.path().display(),
        conditions.told("number of jobs")
    ));
    let second = anew(request, &room.path().join("second/else/where"), surroundings)?;
    let Some(difference) = difference(&first, &second) else {
        report::step(format_args!(
            "both kernels are the same bytes: image {}, configuration {}; the first took {}, the second {}",
            output::digest_of(&first.image),
            output::digest_of(&first.config),
            first.took,
            second.took
        ));
        return Ok(());
    };
    let object = match (&first.objects, &second.objects) {
        (Some(one), Some(other)) => objects::first_difference(one, other)?.map_or_else(
            || "; no object file differs".to_owned(),
            |file| format!("; of the files it is made of, {file}"),
        ),
        _ => String::new(),
    };
    let name = format!("kernel-{}-{}", request.arch, request.profile);
    let kept = evidence::keep(&name, &first.image, &second.image)?;
    let hint = if first.objects.is_some() {
        ""
    } else {
        "  hint: --anew builds both anew, and names the first object file that differs"
    };
    bail!("two builds of the kernel differ: {difference}{object}; {kept}{hint}")
}

/// Everything that the code has to keep out of the kernel, and then some: more jobs, another user on another host on another day.
fn surroundings(conditions: &Conditions) -> Surroundings {
    let ordinary = Surroundings::default();
    let mut wrapper = conditions.wrapper.clone();
    wrapper.extend(["env".to_owned(), format!("LD_PRELOAD={}", conditions.day.display())]);
    let variables =
        conditions::POISON.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Surroundings { jobs: ordinary.jobs + 1, wrapper, variables }
}

fn ordinary(request: &KernelRequest<'_>) -> Result<Built> {
    let is_cached = kernel::inputs(request)?.is_cached;
    let started = Instant::now();
    let built = kernel::build(request)?;
    let took = if is_cached {
        "no time (from the cache)".to_owned()
    } else {
        kernel::minutes(started.elapsed())
    };
    Ok(Built { image: read(&built.image)?, config: read(&built.config)?, objects: None, took })
}

/// Builds in `folder`, without ccache.
fn anew(request: &KernelRequest<'_>, folder: &Path, surroundings: Surroundings) -> Result<Built> {
    let (source, objects) = (folder.join("linux"), folder.join("made"));
    for folder in [&source, &objects] {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let log =
        project::logs().join(format!("verify-kernel-{}-{}.log", request.arch, request.profile));
    let place = Place { source, objects: objects.clone(), log, compiler_cache: None, surroundings };
    let started = Instant::now();
    let (image, config) = kernel::build_anew(request, place)?;
    Ok(Built {
        image: read(&image)?,
        config: read(&config)?,
        objects: Some(objects),
        took: kernel::minutes(started.elapsed()),
    })
}

/// An image of a kernel that is built for this, and no other one's.
pub fn rebuilt(request: &KernelRequest<'_>) -> Result<Vec<u8>> {
    let room = request.sources.cache().temporary_folder()?;
    Ok(anew(request, room.path(), Surroundings::default())?.image)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("reading {}", path.display()))
}

/// The first difference. Where the configurations differ, nothing else is worth telling.
fn difference(one: &Built, other: &Built) -> Option<String> {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    config_difference(&text(&one.config), &text(&other.config))
        .or_else(|| content::difference(&one.image, &other.image))
}

fn config_difference(one: &str, other: &str) -> Option<String> {
    if one == other {
        return None;
    }
    let ended = |line: Option<&str>| line.map_or("nothing".to_owned(), |line| format!("'{line}'"));
    let (mut mine, mut theirs) = (one.lines(), other.lines());
    for number in 1.. {
        let (mine, theirs) = (mine.next(), theirs.next());
        if mine != theirs {
            return Some(format!(
                "line {number} of the configurations is {} and {}",
                ended(mine),
                ended(theirs)
            ));
        }
        if mine.is_none() {
            break;
        }
    }
    Some("the configurations end their lines differently".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(image: &[u8], config: &str) -> Built {
        Built {
            image: image.to_vec(),
            config: config.as_bytes().to_vec(),
            objects: None,
            took: String::new(),
        }
    }

    #[test]
    fn names_an_option_before_the_image() {
        let one = built(b"image", "A=y\nB=y\n");
        for (image, config, fact) in [
            ("image", "A=y\nB=y\n", None),
            ("imagE", "A=y\nB=y\n", Some("5 bytes, the first difference at offset 0x4: 65 and 45")),
            (
                "imagE",
                "A=y\n# B is not set\n",
                Some("line 2 of the configurations is 'B=y' and '# B is not set'"),
            ),
            ("image", "A=y\n", Some("line 2 of the configurations is 'B=y' and nothing")),
            ("image", "A=y\nB=y", Some("the configurations end their lines differently")),
        ] {
            let other = built(image.as_bytes(), config);
            assert_eq!(difference(&one, &other).as_deref(), fact, "{image} {config}");
        }
    }

    #[test]
    fn a_second_kernel_has_more_jobs_and_a_poisoned_caller() {
        let folder = tempfile::tempdir().unwrap();
        let conditions = Conditions::other(folder.path()).unwrap();
        let second = surroundings(&conditions);
        assert_ne!(second.jobs, Surroundings::default().jobs);
        assert!(second.wrapper.ends_with(&[
            "env".to_owned(),
            format!("LD_PRELOAD={}", folder.path().join("day.so").display())
        ]));
        assert!(second.variables.iter().any(|(name, _)| name == "KCFLAGS"));
    }
}
