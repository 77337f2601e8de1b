//! The inputs of a build from this checkout, compared with the published ones, and that build.

use crate::config;
use crate::config::Profile;
use crate::config::env::Settings;
use crate::describe;
use crate::host::arch::Arch;
use crate::host::output;
use crate::host::project;
use crate::initramfs::parts;
use crate::initramfs::toolchain;
use crate::kernel;
use crate::kernel::KernelRequest;
use crate::sources::SourceOptions;
use crate::sources::Sources;
use crate::verify::published::Published;
use crate::verify::twice;
use anyhow::Context as _;
use anyhow::Result;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The inputs of a build from this checkout.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The commit, and whether there are no uncommitted changes.
    pub commit: Option<(String, bool)>,
    pub sources: BTreeMap<String, String>,
    pub tools: BTreeMap<String, String>,
    pub files: BTreeMap<String, String>,
    pub kernel_key: String,
}

impl Inputs {
    /// The differences that make equal outputs impossible or unlikely.
    pub fn mismatches(&self, published: &Published) -> Vec<String> {
        let mut mismatches = Vec::new();
        for (kind, theirs, ours) in [
            ("source", &published.sources, &self.sources),
            ("tool", &published.tools, &self.tools),
            ("file", &published.files, &self.files),
        ] {
            for (name, theirs) in theirs {
                match ours.get(name) {
                    Some(ours) if ours == theirs => {}
                    Some(ours) => {
                        mismatches
                            .push(format!("{kind} '{name}' is {ours}, published was {theirs}"));
                    }
                    // Newer manifests name more tools. The kernel's key covers those for the
                    // kernel.
                    None if kind == "tool" => {}
                    None => mismatches
                        .push(format!("{kind} '{name}' of the published build is missing here")),
                }
            }
        }
        if mismatches.is_empty() && self.kernel_key != published.kernel_key {
            mismatches.push(format!(
                "the kernel's key is {}, published was {}: a fragment in kernel/, binutils or the \
                 build steps differ",
                self.kernel_key, published.kernel_key
            ));
        }
        mismatches
    }

    /// Differences that may explain different outputs, but need not cause them.
    pub fn note(&self, published: &Published) -> Option<String> {
        let mut note = String::new();
        if let (Some((ours, clean)), Some((theirs, was_clean))) = (&self.commit, &published.commit)
        {
            if ours != theirs {
                // Writing to a String cannot fail.
                write!(note, "this is commit {ours}, published was {theirs}").ok();
            }
            for (name, clean) in
                [("this checkout", clean), ("the published build's checkout", was_clean)]
            {
                if !clean {
                    let joint = if note.is_empty() { "" } else { "; " };
                    write!(note, "{joint}{name} has uncommitted changes").ok();
                }
            }
        }
        Some(note).filter(|note| !note.is_empty())
    }
}

/// A build with its inputs and outputs. Tests use a stub.
pub trait Builder {
    fn inputs(&self, published: &Published) -> Result<Inputs>;
    fn initramfs(&self) -> Result<Vec<u8>>;
    fn kernel(&self) -> Result<Vec<u8>>;
}

/// A build from this checkout with the settings of a manifest.
#[derive(Debug)]
pub struct Rebuild {
    pub arch: Arch,
    pub profile: Profile,
    pub settings: Settings,
    pub options: SourceOptions,
    /// Whether the kernel is built without the cache.
    pub without_cache: bool,
}

impl Rebuild {
    fn with_kernel<T>(&self, act: impl Fn(&KernelRequest<'_>) -> Result<T>) -> Result<T> {
        let (config, sources) = (config::read_kernel_config()?, Sources::open(&self.options)?);
        act(&KernelRequest {
            arch: self.arch,
            profile: self.profile,
            sources: &sources,
            settings: &self.settings,
            config: &config,
        })
    }
}

impl Builder for Rebuild {
    fn inputs(&self, published: &Published) -> Result<Inputs> {
        let config = config::read_image_config(self.arch)?;
        let parts = parts::obtain(&config, self.arch, &Sources::open(&self.options)?)?;
        let kernel = self.with_kernel(kernel::inputs)?;
        let toolchain = toolchain::select(self.arch)?;
        let linker = if toolchain.lld.is_some() { "rust-lld" } else { "cc" };
        let tools = [
            ("cc", toolchain.cc_version),
            ("kernel_cc", kernel.compiler),
            ("linker", linker.to_owned()),
            ("rust_target", toolchain.target),
            ("rustc", toolchain.rustc),
        ];
        let sources = parts.sources.iter().chain([&kernel.source]);
        let mut files = BTreeMap::new();
        // A name outside of the project must not even reveal whether the file exists.
        for name in
            published.files.keys().filter(|name| !name.contains("..") && !name.starts_with('/'))
        {
            let path = project::root().join(name);
            if path.is_file() {
                files.insert(name.clone(), output::digest(&path)?);
            }
        }
        Ok(Inputs {
            commit: describe::commit(&project::root()).map(|commit| (commit.id, commit.clean)),
            sources: sources
                .map(|source| {
                    (source.name.clone(), format!("{}, {}", source.version, source.sha256))
                })
                .collect(),
            tools: tools.map(|(name, version)| (name.to_owned(), version)).into_iter().collect(),
            files,
            kernel_key: kernel.key,
        })
    }

    fn initramfs(&self) -> Result<Vec<u8>> {
        twice::rebuilt_initramfs(self.arch, &self.settings, &self.options)
    }

    fn kernel(&self) -> Result<Vec<u8>> {
        self.with_kernel(|request| {
            if self.without_cache {
                return twice::rebuilt_kernel(request);
            }
            let built = kernel::build(request)?;
            std::fs::read(&built.image)
                .with_context(|| format!("reading {}", built.image.display()))
        })
    }
}
