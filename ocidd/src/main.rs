//! The installer: words from the site file and the command line, a plan, an install, an exit code. init or a person at the emergency shell starts it.

use ocidd::args;
use ocidd::args::Help;
use ocidd::args::Options;
use ocidd::args::Request;
use ocidd::disk::probe::read_disks;
use ocidd::event::Event;
use ocidd::event::Listener;
use ocidd::failure::Cause;
use ocidd::failure::Failure;
use ocidd::failure::OrFail as _;
use ocidd::install::install;
use ocidd::machine::AUTH_FILE;
use ocidd::machine::Machine;
use ocidd::plan;
use ocidd::plan::Plan;
use ocidd::post;
use ocidd::post::Post;
use ocidd::prompt::Console;
use ocidd::report::Marks;
use ocidd::report::Report;
use ocidd::report::Style;
use ocidd::trust::KEYS_FOLDER;
use registry::http::CertificateFiles;
use registry::http::Client;
use registry::http::Network;
use std::env;
use std::fs;
use std::io;
use std::io::IsTerminal as _;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Words of the site, one a line; `#` begins a comment. Read before the command line, which wins.
const SITE_WORDS: &str = "/etc/ocidd/words";

/// `init` sets it: it relays our lines to every console and to the kernel's log.
const LINE_LEVELS: &str = "OCIDD_LINE_LEVELS";

fn main() -> ExitCode {
    if let Some(exit_code) = ocidd::run_image(env::args_os().skip(1)) {
        return exit_code;
    }
    let report = report();
    let outcome = match read_request() {
        Ok(Request::Install(options)) => run_install(*options, &report),
        Ok(Request::Help) => print(&Help.to_string()),
        Ok(Request::Version) => print(&format!("ocidd {}\n", env!("CARGO_PKG_VERSION"))),
        Err(failure) => tell(&failure, &report),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => ExitCode::from(cause.exit_code()),
    }
}

fn report() -> Report {
    let term = env::var("TERM").ok();
    let marks = if env::var_os(LINE_LEVELS).is_some() { Marks::Levels } else { Marks::None };
    Report::new(Style::for_terminal(io::stderr().is_terminal(), term.as_deref()), marks)
}

fn read_request() -> Result<Request, Failure> {
    let mut words = read_site_words(Path::new(SITE_WORDS)).or_fail(Cause::Words)?;
    words.extend(env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()));
    args::parse_words(&words)
        .map_err(|faults| anyhow::anyhow!(faults.join("\n")))
        .or_fail(Cause::Words)
}

fn print(text: &str) -> Result<(), Cause> {
    io::stdout().write_all(text.as_bytes()).map_err(|_closed| Cause::Internal)
}

/// Installs and tells how it went, on the console and to whoever else wants to know.
fn run_install(options: Options, report: &Report) -> Result<(), Cause> {
    let machine = machine();
    let Some(url) = options.report.clone() else {
        return complete_and_install(options, &machine, report);
    };
    let network = Network { timeout: post::TIMEOUT, ..plan::network_of(&options) };
    let client = match Client::for_events(&network, &machine.certificates) {
        Ok(client) => client,
        Err(error) => {
            return Err(error).or_fail(Cause::Words).or_else(|failure| tell(&failure, report));
        }
    };
    let console = self::report();
    let post = Post::start(client, url, &machine, move |complaint| console.warn(complaint));
    let outcome = complete_and_install(options, &machine, &[report as &dyn Listener, &post]);
    post.finish();
    outcome
}

fn complete_and_install(
    mut options: Options,
    machine: &Machine,
    listener: &dyn Listener,
) -> Result<(), Cause> {
    let disks = || read_disks(&machine.sys, &machine.proc);
    // Not locked: the thread that shows progress prints there too.
    let mut console = Console { input: io::stdin().lock(), output: io::stderr() };
    let plan = console
        .complete(&mut options, disks)
        .or_fail(Cause::Words)
        .and_then(|()| Plan::try_from(&options).or_fail(Cause::Words));
    let done = plan.and_then(|plan| {
        install(&plan, machine, listener, |disk| {
            console.confirm(&plan.image, &disk.display().to_string(), &disks())
        })
    });
    match done {
        Ok(done) => {
            listener.hear(&Event::Done(done));
            Ok(())
        }
        Err(failure) => tell(&failure, listener),
    }
}

fn tell(failure: &Failure, listener: &dyn Listener) -> Result<(), Cause> {
    listener.hear(&Event::from(failure));
    Err(failure.cause)
}

fn machine() -> Machine {
    Machine {
        sys: "/sys".into(),
        proc: "/proc".into(),
        certificates: CertificateFiles {
            // The variable is OpenSSL's, for those who run ocidd on a machine of their own.
            bundle: env::var_os("SSL_CERT_FILE")
                .unwrap_or_else(|| "/etc/ssl/certs/ca-certificates.crt".into())
                .into(),
            folder: "/etc/ocidd/ca.d".into(),
        },
        // Podman's and skopeo's variable, for the same people.
        auth_file: env::var_os("REGISTRY_AUTH_FILE").unwrap_or_else(|| AUTH_FILE.into()).into(),
        keys_folder: KEYS_FOLDER.into(),
        first_retry_delay: Duration::from_secs(1),
    }
}

fn read_site_words(file: &Path) -> anyhow::Result<Vec<String>> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(anyhow::Error::new(error)
                .context(format!("reading the site's words from {}", file.display())));
        }
    };
    Ok(text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect())
}
