//! The table of words: how each is typed, what it means, how it changes the options.

use crate::args::Options;
use oci::size::parse_size;
use std::time::Duration;

/// One word: how it is typed, what it means, how it changes the options.
#[derive(Debug)]
pub struct Word {
    pub key: &'static str,
    /// What stands for the value in help; empty for a word that is said or not said.
    pub value: &'static str,
    pub meaning: &'static str,
    pub(super) apply: fn(&mut Options, &str) -> Result<(), String>,
}

impl Word {
    /// As it is typed: `key` or `key=VALUE`.
    pub fn typed(&self) -> String {
        if self.value.is_empty() {
            self.key.to_owned()
        } else {
            format!("{}={}", self.key, self.value)
        }
    }
}

const fn word(
    key: &'static str,
    value: &'static str,
    meaning: &'static str,
    apply: fn(&mut Options, &str) -> Result<(), String>,
) -> Word {
    Word { key, value, meaning, apply }
}

/// Every word, in the order of the help text and of README's table.
pub const WORDS: [Word; 24] = [
    word(
        "oci.tag",
        "REF",
        "registry/repository:tag (or @sha256:…) of a manifest with exactly one disk layer, or of an index of such",
        |options, value| set(&mut options.tag, value, "a reference"),
    ),
    word(
        "oci.blob",
        "REPO@sha256:…",
        "the compressed disk image itself, as a blob; instead of oci.tag",
        |options, value| set(&mut options.blob, value, "a reference"),
    ),
    word(
        "oci.platform",
        "OS/ARCH",
        "which manifest of an index to take (linux/arm64, …); left out, this machine's",
        |options, value| set(&mut options.platform, value, "a platform such as linux/amd64"),
    ),
    word(
        "oci.mirror",
        "HOST[,HOST…]",
        "registries to ask first for what is named by a digest, in random order; the image's own comes last",
        |options, value| {
            options.mirrors = list(value);
            Ok(())
        },
    ),
    word(
        "oci.verify_key",
        "KEY[,KEY…]",
        "install only what one of these keys has signed: PEM files, or the base64 of a key's DER; in place of the site's keys",
        |options, value| {
            set(&mut options.verify_key, value, "a key, and no word turns signatures off")
        },
    ),
    word(
        "oci.retries",
        "N|infinite",
        "how often a broken transfer is taken up again before giving up; 8 where nothing is said",
        |options, value| match value.parse() {
            Ok(retries) => {
                options.retries = Some(retries);
                Ok(())
            }
            Err(_) => Err(format!("'{value}' is neither a number nor 'infinite'")),
        },
    ),
    word(
        "oci.timeout",
        "SECONDS",
        "how long a registry may be silent before that counts as broken; 60 where nothing is said",
        |options, value| match seconds(value)? {
            Duration::ZERO => Err("'0' leaves no time for an answer".to_owned()),
            time => {
                options.timeout = Some(time);
                Ok(())
            }
        },
    ),
    word(
        "oci.allow_no_tls",
        "",
        "talk plain HTTP to the registry; digests still protect the image, nothing protects the tag",
        |options, value| switch(&mut options.allow_no_tls, value),
    ),
    word(
        "oci.insecure_skip_verify",
        "",
        "believe any certificate; anyone on the way can then change what a tag names and read the login",
        |options, value| switch(&mut options.insecure_skip_verify, value),
    ),
    word(
        "http_proxy",
        "URL",
        "the proxy for plain HTTP, as http://[user:password@]host:port",
        |options, value| proxy(&mut options.http_proxy, value),
    ),
    word("https_proxy", "URL", "the proxy for HTTPS", |options, value| {
        proxy(&mut options.https_proxy, value)
    }),
    word(
        "no_proxy",
        "HOST[,HOST…]",
        "hosts that are reached without a proxy (registry.example, *.example)",
        |options, value| set(&mut options.no_proxy, value, "hosts"),
    ),
    word(
        "dd.of",
        "DISK",
        "the target: a whole disk such as /dev/sda, an existing regular file, or a selector (below)",
        |options, value| set(&mut options.disk, value, "a device such as /dev/sda, or a selector"),
    ),
    word(
        "dd.timeout",
        "SECONDS",
        "how long to wait for the disk to appear; 10 where nothing is said",
        |options, value| seconds(value).map(|time| options.disk_timeout = Some(time)),
    ),
    word(
        "dd.bs",
        "SIZE",
        "write at most this much at once (64k, 1M, …); left out, a good size is chosen",
        |options, value| match parse_size(value) {
            Some(bytes) => {
                options.transfer_size = Some(bytes);
                Ok(())
            }
            None => Err(format!(
                "'{value}' is no size; hint: a number with one of dd's suffixes, as 64k or 1M"
            )),
        },
    ),
    word(
        "dd.gpt",
        "move|keep",
        "whether the backup GPT is moved to the end of the disk (move, where nothing is said) or left where the image has it",
        |options, value| choice(value, ["move", "keep"]).map(|at| options.keep_gpt = at == 1),
    ),
    word(
        "dd.verify",
        "readback|off",
        "readback: read the whole image again from the disk and compare it before calling it installed",
        |options, value| choice(value, ["off", "readback"]).map(|at| options.read_back = at == 1),
    ),
    word(
        "wait",
        "",
        "ask for confirmation on the console before the disk is overwritten",
        |options, value| switch(&mut options.wait, value),
    ),
    word(
        "ocidd.dry_run",
        "",
        "find the image and the disk, log in, check both, print the plan and write nothing",
        |options, value| switch(&mut options.dry_run, value),
    ),
    word(
        "ocidd.skip_if_installed",
        "",
        "do nothing, and succeed, when the disk already carries this image: no reinstall loop where PXE comes first",
        |options, value| switch(&mut options.skip_if_installed, value),
    ),
    word(
        "ocidd.report",
        "URL",
        "post what happens as JSON events to this URL",
        |options, value| {
            if value.starts_with("http://") || value.starts_with("https://") {
                set(&mut options.report, value, "a URL")
            } else {
                Err(format!("'{value}' is no http:// or https:// URL"))
            }
        },
    ),
    word(
        "ocidd.after",
        "reboot|poweroff|halt|shell",
        "what init does after a success; reboot where nothing is said",
        |_, value| choice(value, ["reboot", "poweroff", "halt", "shell"]).map(drop),
    ),
    word(
        "ocidd.on_error",
        "shell|reboot|poweroff[,SECONDS]",
        "what init does after a failure, after so many seconds (60); shell where nothing is said",
        |_, value| {
            let (act, time) = value.split_once(',').map_or((value, None), |(a, t)| (a, Some(t)));
            match (choice(act, ["shell", "reboot", "poweroff"])?, time) {
                (_, None) => Ok(()),
                (0, Some(_)) => Err("shell comes at once; hint: leave the seconds out".to_owned()),
                (_, Some(time)) => seconds(time).map(drop),
            }
        },
    ),
    word(
        "ocidd.ntp",
        "HOST[,HOST…]|off",
        "the time servers that init asks; where nothing is said, those that DHCP names",
        |_, value| {
            let is_host = |host: &str| !matches!(host, "" | "off");
            match value {
                "" => Err("no value; hint: it takes hosts, or off".to_owned()),
                "off" => Ok(()),
                hosts if hosts.split(',').all(is_host) => Ok(()),
                _ => Err(format!("'{value}' is neither hosts with commas between them, nor off")),
            }
        },
    ),
];

fn set(option: &mut Option<String>, value: &str, wanted: &str) -> Result<(), String> {
    if value.is_empty() {
        return Err(format!("no value; hint: it takes {wanted}"));
    }
    *option = Some(value.to_owned());
    Ok(())
}

/// A switch is said bare; a value is taken too, so that a later word can take back what a site file says.
fn switch(option: &mut bool, value: &str) -> Result<(), String> {
    *option = match value {
        "" | "1" | "y" | "yes" | "on" | "true" => true,
        "0" | "n" | "no" | "off" | "false" => false,
        _ => return Err(format!("'{value}' is neither yes nor no")),
    };
    Ok(())
}

/// The place of `value` among `choices`.
fn choice<const N: usize>(value: &str, choices: [&str; N]) -> Result<usize, String> {
    let found = choices.iter().position(|choice| *choice == value);
    found
        .ok_or_else(|| format!("'{value}' is not known; hint: it is one of {}", choices.join(", ")))
}

fn seconds(value: &str) -> Result<Duration, String> {
    // `parse` takes a sign, too.
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse() {
        // A day: longer is a mistake, or meant as for ever.
        Ok(seconds @ 0..=86_400) if is_number => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("'{value}' is no number of seconds up to 86400")),
    }
}

fn list(value: &str) -> Vec<String> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// An empty value takes back what a site file says.
fn proxy(option: &mut Option<String>, value: &str) -> Result<(), String> {
    if value.is_empty() {
        *option = None;
        return Ok(());
    }
    // The value may hold a password.
    registry::http::Proxy::new(value)
        .map_err(|_unreadable| "the value is no proxy's URL; hint: http://host:port".to_owned())?;
    *option = Some(value.to_owned());
    Ok(())
}
