//! The options of all subcommands.

use std::path::PathBuf;

use clap::Args;
use params::Retries;
use registry::{
    http::{CertificateCheck, Tls},
    retry::RetryPolicy,
    session::{Session, Settings},
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

/// Connection options of one side of a copy. They override the common ones.
macro_rules! side {
    ($name:ident, $heading:literal, $plain:literal, $skip:literal, $ca:literal, $auth:literal) => {
        #[derive(Args, Debug)]
        #[command(next_help_heading = $heading)]
        pub(super) struct $name {
            #[arg(id = $plain, long = $plain, help = "Like --plain-http")]
            plain_http: bool,
            #[arg(id = $skip, long = $skip, help = "Like --insecure-skip-verify")]
            insecure_skip_verify: bool,
            #[arg(id = $ca, long = $ca, value_name = "FILE", help = "Like --ca-file")]
            ca_file: Option<PathBuf>,
            #[arg(id = $auth, long = $auth, value_name = "FILE", help = "Like --authfile")]
            authfile: Option<PathBuf>,
        }

        impl $name {
            pub(super) fn session(&self, common: &Session) -> Session {
                let mut settings = common.settings.clone();
                if self.plain_http {
                    settings.tls = Tls::Plain;
                }
                if self.insecure_skip_verify {
                    settings.certificates = CertificateCheck::Skip;
                }
                settings.ca_file = self.ca_file.clone().or(settings.ca_file);
                settings.auth_file = self.authfile.clone().or(settings.auth_file);
                common.with(settings)
            }
        }
    };
}

side!(
    From,
    "Connection to the source",
    "from-plain-http",
    "from-insecure-skip-verify",
    "from-ca-file",
    "from-authfile"
);
side!(
    To,
    "Connection to the target",
    "to-plain-http",
    "to-insecure-skip-verify",
    "to-ca-file",
    "to-authfile"
);

impl std::convert::From<Options> for Settings {
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
