//! The command line of `ocidd image`.

use crate::image::commands;
use crate::image::disk::Packing;
use crate::image::error::Result;
use crate::image::meter::Console;
use crate::image::options::Options;
use clap::Args;
use clap::Parser;
use clap::Subcommand;
use oci::bundle::Flavour;
use oci::document::parse_media_type;
use oci::platform::Platform;
use registry::session::Session;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Put disk images and boot files into registries, and look at what is there
#[derive(Debug, Parser)]
#[command(
    name = "ocidd image",
    after_help = "Examples:\n  ocidd image push disk.raw registry.example/os:1\n  \
    ocidd image push --platform linux/arm64 disk-arm64.raw registry.example/os:1\n  \
    ocidd image inspect registry.example/os:1\n  \
    ocidd image copy registry.example/os:1 oci:/srv/images:os-1\n\n\
    Logins are those of podman and docker (`podman login registry.example`)."
)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Push(Push),
    Build(Build),
    List(List),
    Tag(Tag),
    Untag(Untag),
    Inspect(Inspect),
    Pull(Pull),
    Url(Url),
    Copy(Copy),
    Attach(Attach),
    Referrers(Referrers),
    Rm(Rm),
    Gc(Gc),
}

/// Push a disk image, other files, or an image of the store
///
/// One file is a disk image, raw or packed by gzip, zstd or xz. Several files, or one with --type, become an artifact with a layer each. Without
/// a file, the image of that name is pushed from the store.
#[derive(Args, Debug)]
pub(super) struct Push {
    /// The files, and last where they go: registry/repository:tag
    #[arg(required = true, value_name = "FILE… REF")]
    pub(super) words: Vec<String>,
    /// Make the tag an image index, or extend it, and put the image there for this platform
    #[arg(long, value_name = "OS/ARCH")]
    pub(super) platform: Option<Platform>,
    /// Sign it, with cosign's key file (its password in `COSIGN_PASSWORD`) or openssl's
    #[arg(long, value_name = "KEY")]
    pub(super) sign: Option<PathBuf>,
    /// How a raw disk image is packed
    #[arg(long, value_enum, default_value = "gzip")]
    pub(super) format: Packing,
    /// What an artifact of files is, also of a single one [default: application/vnd.unknown.artifact.v1]
    #[arg(long = "type", value_name = "MEDIA-TYPE", value_parser = parse_media_type)]
    pub(super) artifact_type: Option<String>,
}

/// Bundle kernel, initramfs, root file system and command line into an image of the store
#[derive(Args, Debug)]
pub(super) struct Build {
    #[arg(long, value_name = "FILE")]
    pub(super) rootfs_file: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    pub(super) initramfs_file: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    pub(super) kernel_file: Option<PathBuf>,
    /// The kernel command line
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(super) command_line: String,
    /// Whose media types it has
    #[arg(long, value_enum, default_value = "ironcore")]
    pub(super) format: BundleFormat,
    /// The image's name; left out, it is only kept
    #[arg(value_name = "REF")]
    pub(super) name: Option<String>,
}

/// The media types of a bundle
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum BundleFormat {
    /// `application/vnd.ironcore.image.…`, which boot-operator and ironcore-image read
    Ironcore,
    /// `application/vnd.onmetal.image.…v1alpha1…`, which onmetal-image reads; it needs all three files
    Onmetal,
}

impl From<BundleFormat> for Flavour {
    fn from(format: BundleFormat) -> Self {
        match format {
            BundleFormat::Ironcore => Self::Ironcore,
            BundleFormat::Onmetal => Self::Onmetal,
        }
    }
}

/// List the images of the store, or the tags of a repository
#[derive(Args, Debug)]
pub(super) struct List {
    /// registry/repository; left out, the store
    #[arg(value_name = "REPOSITORY")]
    pub(super) repository: Option<String>,
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Give an image of the store a name
#[derive(Args, Debug)]
pub(super) struct Tag {
    /// A name or a digest, which may be cut short
    pub(super) image: String,
    /// registry/repository:tag
    pub(super) name: String,
}

/// Take a name of the store away; the image stays
#[derive(Args, Debug)]
pub(super) struct Untag {
    pub(super) name: String,
}

/// Show descriptor, manifest and config
#[derive(Args, Debug)]
pub(super) struct Inspect {
    /// A name of the store, else registry/repository:tag, or oci:DIR:NAME
    #[arg(value_name = "REF")]
    pub(super) image: String,
    /// Ask the registry, whatever the store holds
    #[arg(long)]
    pub(super) remote: bool,
    /// Of an image index, the manifest for this platform
    #[arg(long, value_name = "OS/ARCH")]
    pub(super) platform: Option<Platform>,
    /// As JSON, also on a terminal
    #[arg(long)]
    pub(super) json: bool,
}

/// Fetch an image's files, by their titles
#[derive(Args, Debug)]
pub(super) struct Pull {
    /// registry/repository:tag, or oci:DIR:NAME
    #[arg(value_name = "REF")]
    pub(super) image: String,
    /// The folder to put them into
    #[arg(long, short, value_name = "DIR", default_value = ".")]
    pub(super) output: PathBuf,
    /// Of an image index, the manifest for this platform [default: this machine's]
    #[arg(long, value_name = "OS/ARCH")]
    pub(super) platform: Option<Platform>,
    /// Replace files that are there with other content
    #[arg(long)]
    pub(super) force: bool,
}

/// Tell where a layer is fetched from, and with which headers, as JSON
#[derive(Args, Debug)]
pub(super) struct Url {
    /// kernel, initramfs, rootfs, a title, or the layer's number counted from 0
    #[arg(long, value_name = "LAYER")]
    pub(super) layer: String,
    #[arg(value_name = "REF")]
    pub(super) image: String,
    /// Of an image index, the manifest for this platform [default: this machine's]
    #[arg(long, value_name = "OS/ARCH")]
    pub(super) platform: Option<Platform>,
}

/// Copy an image between registries and image layouts
#[derive(Args, Debug)]
pub(super) struct Copy {
    /// registry/repository:tag, or oci:DIR:NAME
    pub(super) from: String,
    pub(super) to: String,
    /// With what is about it: signatures, SBOMs, logs
    #[arg(long)]
    pub(super) referrers: bool,
}

/// Attach a file to an image: a log, an SBOM, …
#[derive(Args, Debug)]
pub(super) struct Attach {
    /// The files, and last what they are about: registry/repository:tag, or oci:DIR:NAME
    #[arg(required = true, num_args = 2.., value_name = "FILE… REF")]
    pub(super) words: Vec<String>,
    /// What it is, as build/log
    #[arg(long = "type", alias = "artifact-type", value_name = "MEDIA-TYPE", value_parser = parse_media_type)]
    pub(super) artifact_type: String,
}

/// List what is attached to an image
#[derive(Args, Debug)]
pub(super) struct Referrers {
    #[arg(value_name = "REF")]
    pub(super) image: String,
    /// Only this type
    #[arg(long = "type", alias = "artifact-type", value_name = "MEDIA-TYPE")]
    pub(super) artifact_type: Option<String>,
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Forget an image of the store, with all its names; or delete one from a registry
#[derive(Args, Debug)]
pub(super) struct Rm {
    /// A name or a digest, which may be cut short
    #[arg(value_name = "REF")]
    pub(super) image: String,
    /// Delete it from the registry instead
    #[arg(long)]
    pub(super) remote: bool,
}

/// Free the space of what no name of the store leads to
#[derive(Args, Debug)]
pub(super) struct Gc {}

/// Carries out a command line, after `ocidd image`. Exit codes: 0 done, 1 failed, 2 wrong arguments.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let name = OsString::from("ocidd image");
    let cli = match Cli::try_parse_from([name].into_iter().chain(arguments)) {
        Ok(cli) => cli,
        Err(error) => {
            // What clap says is for people who asked for it; where nobody reads it there is nobody to tell.
            error.print().ok();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let session = Session::new(cli.options.into(), Box::new(Console::new()));
    match carry_out(&cli.command, &session) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Console::new().fail(&error.into());
            ExitCode::FAILURE
        }
    }
}

fn carry_out(command: &Command, session: &Session) -> Result<()> {
    match command {
        Command::Push(args) => commands::push::run(args, session),
        Command::Build(args) => commands::build::run(args, session),
        Command::List(args) => commands::list::run(args, session),
        Command::Tag(args) => commands::names::tag(args, session),
        Command::Untag(args) => commands::names::untag(args, session),
        Command::Inspect(args) => commands::inspect::run(args, session),
        Command::Pull(args) => commands::pull::run(args, session),
        Command::Url(args) => commands::url::run(args, session),
        Command::Copy(args) => commands::copy::run(args, session),
        Command::Attach(args) => commands::attach::run(args, session),
        Command::Referrers(args) => commands::referrers::run(args, session),
        Command::Rm(args) => commands::names::remove(args, session),
        Command::Gc(_) => commands::names::collect(session),
    }
}
