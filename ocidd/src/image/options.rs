//! The options of all subcommands.

use std::path::PathBuf;

use clap::Args;
use params::Retries;
use registry::{
    http::{CertificateCheck, Tls},
    retry::RetryPolicy,
    session::Settings,
};

#[derive(Args, Debug)]
pub(super) struct Options {
    /// Local store, an OCI image layout [default: ocidd in `$XDG_DATA_HOME`]
    #[arg(long, global = true, value_name = "DIR", alias = "store-path")]
    store: Option<PathBuf>,
    /// Use plain HTTP
    #[arg(long, global = true)]
    plain_http: bool,
    /// Skip TLS certificate verification. Allows man-in-the-middle attacks
    #[arg(long, global = true)]
    insecure_skip_verify: bool,
    /// Trust these certificate authorities (PEM) instead of this machine's
    #[arg(long, global = true, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Credentials in the format of docker's config.json [default: podman's and docker's]
    #[arg(long, global = true, value_name = "FILE")]
    authfile: Option<PathBuf>,
    /// Maximum number of consecutive retries of a transfer, or infinite
    #[arg(long, global = true, value_name = "N", default_value = "8")]
    retries: Retries,
    /// Maximum size of a request that uploads a part of a blob, in MiB
    #[arg(long, global = true, value_name = "MIB", default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=4096))]
    chunk_size: u64,
}

impl From<Options> for Settings {
    fn from(options: Options) -> Self {
        Self {
            store: options.store,
            tls: if options.plain_http { Tls::Plain } else { Tls::Required },
            certificates: if options.insecure_skip_verify {
                CertificateCheck::Skip
            } else {
                CertificateCheck::Verify
            },
            ca_file: options.ca_file,
            auth_file: options.authfile,
            retry: RetryPolicy { max_retries: options.retries.0, ..RetryPolicy::default() },
            chunk_bytes: Some(options.chunk_size << 20),
        }
    }
}
