//! All parameters: key, value, help text, and how each changes the options.

use std::time::Duration;

use crate::{
    options::{After, Ending, OnError, Options, Retries, Server, TimeServers},
    size::parse_size,
};

/// One parameter.
#[derive(Debug)]
pub struct Parameter {
    /// `key=VALUE`, or `key` for a switch.
    pub syntax: &'static str,
    pub help: &'static str,
    /// Sets the option, or returns the expected value.
    pub(crate) apply: Apply,
}

type Expected = &'static str;
type Apply = fn(&mut Options, &str) -> Result<(), Expected>;

impl Parameter {
    pub fn key(&self) -> &'static str {
        self.syntax.split_once('=').map_or(self.syntax, |(key, _)| key)
    }
}

const fn parameter(syntax: &'static str, help: &'static str, apply: Apply) -> Parameter {
    Parameter { syntax, help, apply }
}

const SECONDS: &str = "0 to 86400 seconds";
/// A value is accepted too, so that a later parameter can override the site file.
const SWITCH: &str = "no value, yes or no";

/// All parameters, in the order of `--help` and docs/reference.md.
pub const PARAMETERS: [Parameter; 24] = [
    parameter(
        "oci.tag=REF",
        "Image to install: registry/repository:tag (or @sha256:…) of a manifest \
         with exactly one disk layer, or of an index of such manifests",
        |to, value| set(&mut to.tag, text(value), "a reference"),
    ),
    parameter(
        "oci.blob=REPO@sha256:…",
        "Install this blob; mutually exclusive with oci.tag",
        |to, value| set(&mut to.blob, text(value), "a reference"),
    ),
    parameter(
        "oci.platform=OS/ARCH",
        "Platform to select from an image index (default: this machine's)",
        |to, value| set(&mut to.platform, text(value), "a platform such as linux/amd64"),
    ),
    parameter(
        "oci.mirror=HOST[,HOST…]",
        "Mirrors to try first, in random order, for content addressed by digest and for signatures",
        |to, value| set(&mut to.mirrors, Some(list(value)), "hosts"),
    ),
    parameter(
        "oci.verify_key=KEY[,KEY…]",
        "Require a signature by one of these keys (PEM files or base64 DER); \
         replaces the site's keys",
        |to, value| set(&mut to.verify_key, text(value), "a key; signatures cannot be turned off"),
    ),
    parameter(
        "oci.retries=N|infinite",
        "Maximum number of consecutive retries of a transfer (default: 8)",
        |to, value| set(&mut to.retries, value.parse::<Retries>().ok(), "a number or 'infinite'"),
    ),
    parameter(
        "oci.timeout=SECONDS",
        "Inactivity timeout of a connection (default: 60)",
        |to, value| {
            let timeout = seconds(value).filter(|time| !time.is_zero());
            set(&mut to.timeout, timeout, "1 to 86400 seconds")
        },
    ),
    parameter(
        "oci.allow_no_tls",
        "Use plain HTTP. Digests still protect the image, but not the tag",
        |to, value| set(&mut to.allow_no_tls, switch(value), SWITCH),
    ),
    parameter(
        "oci.insecure_skip_verify",
        "Skip TLS certificate verification. Allows man-in-the-middle attacks",
        |to, value| set(&mut to.insecure_skip_verify, switch(value), SWITCH),
    ),
    parameter(
        "http_proxy=URL",
        "Proxy for plain HTTP: http://[user:password@]host:port",
        |to, value| set(&mut to.http_proxy, Some(text(value)), "a URL"),
    ),
    parameter("https_proxy=URL", "Proxy for HTTPS", |to, value| {
        set(&mut to.https_proxy, Some(text(value)), "a URL")
    }),
    parameter(
        "no_proxy=HOST[,HOST…]",
        "Hosts to reach without a proxy (registry.example, *.example)",
        |to, value| set(&mut to.no_proxy, text(value), "hosts"),
    ),
    parameter(
        "dd.of=DISK",
        "Target: a whole disk, a selector (serial:, wwn:, model:, path:, transport:, size:, \
         smallest, largest) or an existing regular file",
        |to, value| set(&mut to.disk, text(value), "a disk such as /dev/sda, or a selector"),
    ),
    parameter(
        "dd.timeout=SECONDS",
        "Time to wait for the target disk (default: 10)",
        |to, value| set(&mut to.disk_timeout, seconds(value), SECONDS),
    ),
    parameter(
        "dd.bs=SIZE",
        "Maximum size of one write, with the suffixes of dd (default: automatic)",
        |to, value| set(&mut to.transfer_size, parse_size(value), "a size such as 64k or 1M"),
    ),
    parameter(
        "dd.gpt=move|keep",
        "Move the backup GPT to the end of the disk, or keep its position (default: move)",
        |to, value| {
            let keep = choice(value, [("move", false), ("keep", true)]);
            set(&mut to.keep_gpt, keep, "move or keep")
        },
    ),
    parameter(
        "dd.verify=readback|off",
        "Read the image back and compare it before reporting success (default: off)",
        |to, value| {
            let read_back = choice(value, [("off", false), ("readback", true)]);
            set(&mut to.read_back, read_back, "readback or off")
        },
    ),
    parameter("wait", "Ask for confirmation before overwriting the disk", |to, value| {
        set(&mut to.wait, switch(value), SWITCH)
    }),
    parameter("ocidd.dry_run", "Run all checks, print the plan, write nothing", |to, value| {
        set(&mut to.dry_run, switch(value), SWITCH)
    }),
    parameter(
        "ocidd.skip_if_installed",
        "Succeed without writing if the disk already contains this image",
        |to, value| set(&mut to.skip_if_installed, switch(value), SWITCH),
    ),
    parameter("ocidd.report=URL", "POST events as JSON to this URL", |to, value| {
        let is_url = value.starts_with("http://") || value.starts_with("https://");
        let url = is_url.then(|| value.to_owned());
        set(&mut to.report, url, "an http:// or https:// URL")
    }),
    AFTER,
    ON_ERROR,
    NTP,
];

const AFTER: Parameter = parameter(
    "ocidd.after=reboot|poweroff|halt|shell",
    "Action after success (default: reboot); handled by init",
    |to, value| set(&mut to.after, after(value), "reboot, poweroff, halt or shell"),
);
const ON_ERROR: Parameter = parameter(
    "ocidd.on_error=shell|reboot|poweroff[,SECONDS]",
    "Action after failure (default: shell) and its delay (default: 60); handled by init",
    |to, value| {
        let expected = "shell, or reboot or poweroff with an optional ,SECONDS";
        set(&mut to.on_error, on_error(value), expected)
    },
);
const NTP: Parameter = parameter(
    "ocidd.ntp=HOST[,HOST…]|off",
    "Time servers (default: those from DHCP); handled by init",
    |to, value| set(&mut to.time_servers, time_servers(value), "hosts separated by commas, or off"),
);

/// The parameters that init acts on. Its program contains no other texts of the table.
pub(crate) const INIT_PARAMETERS: [Parameter; 3] = [AFTER, ON_ERROR, NTP];

/// An option without a default is an `Option`, which `Into` wraps the value in.
fn set<T>(to: &mut T, value: Option<impl Into<T>>, expected: Expected) -> Result<(), Expected> {
    *to = value.ok_or(expected)?.into();
    Ok(())
}

fn text(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn switch(value: &str) -> Option<bool> {
    match value {
        "" | "1" | "y" | "yes" | "on" | "true" => Some(true),
        "0" | "n" | "no" | "off" | "false" => Some(false),
        _ => None,
    }
}

fn choice<T: Copy, const N: usize>(value: &str, choices: [(&str, T); N]) -> Option<T> {
    choices.iter().find(|(name, _)| *name == value).map(|(_, choice)| *choice)
}

fn list(value: &str) -> Vec<String> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// At most a day: more is a mistake.
fn seconds(value: &str) -> Option<Duration> {
    // `parse` accepts a sign.
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    value.parse().ok().filter(|seconds| is_number && *seconds <= 86_400).map(Duration::from_secs)
}

fn after(value: &str) -> Option<After> {
    match value {
        "shell" => Some(After::Shell),
        "halt" => Some(After::End(Ending::Halt)),
        _ => restart(value).map(After::End),
    }
}

fn on_error(value: &str) -> Option<OnError> {
    if value == "shell" {
        return Some(OnError::Shell);
    }
    let (ending, delay) = value.split_once(',').unwrap_or((value, "60"));
    Some(OnError::End(restart(ending)?, seconds(delay)?.as_secs().try_into().ok()?))
}

fn restart(value: &str) -> Option<Ending> {
    choice(value, [("reboot", Ending::Reboot), ("poweroff", Ending::PowerOff)])
}

fn time_servers(value: &str) -> Option<TimeServers> {
    if value == "off" {
        return Some(TimeServers::Off);
    }
    let servers =
        value.split(',').map(|host| if host == "off" { None } else { Server::parse(host) });
    servers.collect::<Option<_>>().map(TimeServers::Servers)
}
