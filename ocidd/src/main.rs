//! The installer: words from the site file and the command line, a plan, an install, an exit code. init or a person at the emergency shell starts it.

use ocidd::args;
use ocidd::args::Help;
use ocidd::args::Options;
use ocidd::args::Request;
use ocidd::disk::probe::read_disks;
use ocidd::failure::Failure;
use ocidd::failure::Kind;
use ocidd::failure::OrFail as _;
use ocidd::install::Machine;
use ocidd::install::Summary;
use ocidd::install::install;
use ocidd::plan::Plan;
use ocidd::prompt::Console;
use ocidd::registry::CertificateFiles;
use ocidd::report::Report;
use std::fs;
use std::io;
use std::io::BufRead;
use std::io::IsTerminal as _;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Words of the site, one a line; `#` begins a comment. Read before the command line, which wins.
const SITE_WORDS: &str = "/etc/ocidd/words";

fn main() -> ExitCode {
    let report =
        Report::for_terminal(io::stderr().is_terminal(), std::env::var("TERM").ok().as_deref());
    match run(report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report.say(&failure);
            ExitCode::from(failure.kind.exit_code())
        }
    }
}

fn run(report: Report) -> Result<(), Failure> {
    let mut words = read_site_words(Path::new(SITE_WORDS)).or_fail(Kind::Words)?;
    words.extend(std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()));
    let mut stdout = io::stdout().lock();
    match args::parse_words(&words) {
        Ok(Request::Help) => write!(stdout, "{Help}").or_fail(Kind::Internal),
        Ok(Request::Version) => {
            writeln!(stdout, "ocidd {}", env!("CARGO_PKG_VERSION")).or_fail(Kind::Internal)
        }
        Ok(Request::Install(options)) => {
            // Not locked: the thread that shows progress prints there too.
            let console = Console { input: io::stdin().lock(), output: io::stderr() };
            let summary = complete_and_install(options, console, report)?;
            report.say(summary);
            Ok(())
        }
        Err(faults) => Err(anyhow::anyhow!("{}", faults.join("\nocidd: "))).or_fail(Kind::Words),
    }
}

fn complete_and_install(
    mut options: Options,
    mut console: Console<impl BufRead, impl Write>,
    report: Report,
) -> Result<Summary, Failure> {
    let machine = Machine {
        sys: "/sys".into(),
        certificates: CertificateFiles {
            // The variable is OpenSSL's, for those who run ocidd on a machine of their own.
            bundle: std::env::var_os("SSL_CERT_FILE")
                .unwrap_or_else(|| "/etc/ssl/certs/ca-certificates.crt".into())
                .into(),
            folder: "/etc/ocidd/ca.d".into(),
        },
    };
    let disks = read_disks(&machine.sys);
    console.complete(&mut options, &disks).or_fail(Kind::Words)?;
    let plan = Plan::try_from(&options).or_fail(Kind::Words)?;
    install(&plan, &machine, report, || {
        console.confirm(&plan.image, &plan.disk.display().to_string(), &disks)
    })
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
