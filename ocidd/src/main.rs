//! Entry point of the installer. init or an operator at the emergency shell starts it.

use std::{
    env, io,
    io::{IsTerminal as _, Write as _},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use ocidd::{
    disk::probe::read_disks,
    help::Help,
    install::install,
    machine::{AUTH_FILE, Machine},
    plan,
    plan::Plan,
    prompt::Console,
    report::{
        console::{Report, Style},
        event::{Event, Listener},
        failure::{Cause, Failure, OrFail as _},
        webhook,
        webhook::Webhook,
    },
    request::{Request, parse_request},
    trust::KEYS_FOLDER,
};
use params::{Options, site};
use registry::http::{CertificateFiles, Client, Network, Tls};

/// Set by `init`, which relays lines to every console and to the kernel log.
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
        Err(failure) => fail(failure, &report),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => ExitCode::from(cause.exit_code),
    }
}

fn report() -> Report {
    let term = env::var("TERM").ok();
    Report::new(match env::var_os(LINE_LEVELS) {
        Some(_) => Style::Levels,
        None => Style::for_terminal(io::stderr().is_terminal(), term.as_deref()),
    })
}

fn read_request() -> Result<Request, Failure> {
    let mut arguments = site::read_site_file(Path::new(site::SITE_FILE))
        .with_context(|| format!("reading {}", site::SITE_FILE))
        .or_fail(Cause::PARAMETERS)?;
    arguments.extend(env::args_os().skip(1).map(|argument| argument.to_string_lossy().into()));
    parse_request(&arguments)
        .map_err(|errors| {
            let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
            anyhow::anyhow!(errors.join("\n"))
        })
        .or_fail(Cause::PARAMETERS)
}

fn print(text: &str) -> Result<(), Cause> {
    io::stdout().write_all(text.as_bytes()).map_err(|_closed| Cause::INTERNAL)
}

/// Installs and reports the outcome to the console and to the receiver of events.
fn run_install(options: Options, report: &Report) -> Result<(), Cause> {
    let machine = machine();
    let Some(url) = options.report.clone() else {
        return complete_and_install(options, &machine, report);
    };
    // The receiver gets no secrets and may use plain HTTP.
    let (tls, timeout) = (Tls::Plain, webhook::TIMEOUT);
    let network = Network { tls, timeout, ..plan::network_of(&options) };
    let client = Client::new(&network, &machine.certificates).or_fail(Cause::PARAMETERS);
    let client = match client {
        Ok(client) => client,
        Err(failure) => return fail(failure, report),
    };
    let console = self::report();
    let post = Webhook::start(client, url, &machine, move |warning| console.warn(warning));
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
    // Not locked: the progress thread prints there too.
    let mut console = Console { input: io::stdin().lock(), output: io::stderr() };
    let plan = console
        .complete(&mut options, disks)
        .and_then(|()| Plan::try_from(&options))
        .or_fail(Cause::PARAMETERS);
    let done = plan.and_then(|plan| {
        install(&plan, machine, listener, |disk| {
            console.confirm(&plan.image, &disk.display().to_string(), &disks())
        })
    });
    match done {
        Ok(done) => {
            listener.on_event(&Event::Done(done));
            Ok(())
        }
        Err(failure) => fail(failure, listener),
    }
}

fn fail(failure: Failure, listener: &dyn Listener) -> Result<(), Cause> {
    let diagnostic = failure.diagnostic();
    let Failure { cause, disk, .. } = failure;
    listener.on_event(&Event::Failed { cause, diagnostic, disk });
    Err(cause)
}

fn machine() -> Machine {
    Machine {
        sys: "/sys".into(),
        proc: "/proc".into(),
        certificates: CertificateFiles {
            // The variable of OpenSSL, for use outside of the initramfs.
            bundle: env::var_os("SSL_CERT_FILE")
                .unwrap_or_else(|| "/etc/ssl/certs/ca-certificates.crt".into())
                .into(),
            folder: "/etc/ocidd/ca.d".into(),
        },
        // The variable of podman and skopeo.
        auth_file: env::var_os("REGISTRY_AUTH_FILE").unwrap_or_else(|| AUTH_FILE.into()).into(),
        keys_folder: KEYS_FOLDER.into(),
        first_retry_delay: Duration::from_secs(1),
    }
}
