//! The variables that a build obeys: what they come to, and where each value stands.

use crate::doctor::Section;
use crate::doctor::Trouble;
use crate::doctor::aligned;
use crate::env;
use crate::env::Origin;
use crate::env::Settings;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Read by downloads and by programs that a build runs. Shown where they are set.
const OTHERS: [&str; 12] = [
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "RUSTUP_DIST_SERVER",
    "RUSTC",
    "CI",
];

const ENVIRONMENT: &str = "environment";

pub(super) fn section() -> Section {
    let title = "variables";
    let read = env::variables().and_then(|given| Ok((given, Settings::read()?)));
    let environment = |name: &str| {
        let value = std::env::var_os(name)?.display().to_string();
        Some(value).filter(|value| !value.is_empty())
    };
    match read {
        Ok((given, settings)) => {
            let rows = rows(&given, &settings, environment);
            Section { title, lines: aligned(&rows), ..Section::default() }
        }
        Err(error) => {
            let fact = format!("{error:#}");
            let remedy = "mend the variables, see .env.example".to_owned();
            Section { title, lines: vec![fact.clone()], troubles: vec![Trouble { fact, remedy }] }
        }
    }
}

/// Name, value and origin of each variable.
fn rows(
    given: &BTreeMap<String, (String, Origin)>,
    settings: &Settings,
    environment: impl Fn(&str) -> Option<String>,
) -> Vec<[String; 3]> {
    let origin = |name: &str| {
        // Set to nothing counts as not set.
        let (_, origin) = given.get(name).filter(|(value, _)| !value.trim().is_empty())?;
        Some(match origin {
            Origin::Environment => ENVIRONMENT,
            Origin::File => ".env",
        })
    };
    let epoch = env::SOURCE_DATE_EPOCH;
    let time = |name: &str, commit: &str| match (origin(name), origin(epoch)) {
        (Some(origin), _) => origin.to_owned(),
        (None, Some(origin)) => format!("{epoch} of {origin}"),
        (None, None) => format!("default: the time of the last commit{commit}"),
    };
    let default = || "default".to_owned();
    let mut rows = vec![
        [
            env::FS_MTIME.to_owned(),
            Timestamp::from_second(settings.fs_mtime.into()).unwrap_or_default().to_string(),
            time(env::FS_MTIME, ""),
        ],
        [
            env::KERNEL_BUILD_TIMESTAMP.to_owned(),
            settings.kernel_timestamp.to_string(),
            time(env::KERNEL_BUILD_TIMESTAMP, " to the kernel"),
        ],
        [
            env::KERNEL_CONFIG.to_owned(),
            some_or(settings.kernel_config.join(" "), "nothing"),
            origin(env::KERNEL_CONFIG).map_or_else(default, str::to_owned),
        ],
        [
            epoch.to_owned(),
            some_or(
                given.get(epoch).map(|(value, _)| value.clone()).unwrap_or_default(),
                "not set",
            ),
            origin(epoch).map_or_else(default, str::to_owned),
        ],
        cache_home(environment("XDG_CACHE_HOME")),
    ];
    rows.extend(OTHERS.into_iter().filter_map(|name| {
        Some([name.to_owned(), without_login(&environment(name)?), ENVIRONMENT.to_owned()])
    }));
    rows
}

fn cache_home(value: Option<String>) -> [String; 3] {
    let (value, origin) = match value {
        Some(value) if value.starts_with('/') => (value, ENVIRONMENT),
        Some(value) => (value, "environment, and passed over because it is relative"),
        None => ("~/.cache".to_owned(), "default"),
    };
    ["XDG_CACHE_HOME".to_owned(), value, origin.to_owned()]
}

fn some_or(value: String, otherwise: &str) -> String {
    if value.trim().is_empty() { otherwise.to_owned() } else { value }
}

/// A proxy without its user and password. Up to the last '@', since a password that is not escaped may hold anything.
fn without_login(url: &str) -> String {
    let Some((login, host)) = url.rsplit_once('@') else { return url.to_owned() };
    let scheme = login.split_once("://").map(|(scheme, _)| format!("{scheme}://"));
    format!("{}<hidden>@{host}", scheme.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_logins() {
        for (url, wanted) in [
            ("http://proxy:3128", "http://proxy:3128"),
            ("http://me:secret@proxy:3128/", "http://<hidden>@proxy:3128/"),
            ("me:secret@proxy:3128", "<hidden>@proxy:3128"),
            ("http://token@proxy", "http://<hidden>@proxy"),
            ("http://me:sec@ret/:x@proxy", "http://<hidden>@proxy"),
            ("http://me:http://@proxy", "http://<hidden>@proxy"),
            ("localhost,.example", "localhost,.example"),
        ] {
            assert_eq!(without_login(url), wanted);
        }
    }

    #[test]
    fn tells_each_value_and_where_it_stands() {
        let settings = Settings {
            fs_mtime: 5,
            kernel_timestamp: Timestamp::from_second(6).unwrap(),
            kernel_config: vec!["--enable".to_owned(), "A".to_owned()],
        };
        let set = |name: &str, value: &str, origin| (name.to_owned(), (value.to_owned(), origin));
        let environment = |name: &str| match name {
            "https_proxy" => Some("http://me:secret@proxy".to_owned()),
            "XDG_CACHE_HOME" => Some("relative".to_owned()),
            _ => None,
        };
        let text = |given: &[(String, (String, Origin))]| {
            aligned(&rows(&given.iter().cloned().collect(), &settings, environment)).join("\n")
        };
        let wanted = "\
FS_MTIME                1970-01-01T00:00:05Z   default: the time of the last commit
KERNEL_BUILD_TIMESTAMP  1970-01-01T00:00:06Z   default: the time of the last commit to the kernel
KERNEL_CONFIG           --enable A             default
SOURCE_DATE_EPOCH       not set                default
XDG_CACHE_HOME          relative               environment, and passed over because it is relative
https_proxy             http://<hidden>@proxy  environment";
        assert_eq!(text(&[]), wanted);
        let given = [
            set("FS_MTIME", "@5", Origin::Environment),
            set("KERNEL_BUILD_TIMESTAMP", " ", Origin::File),
            set("KERNEL_CONFIG", "--enable A", Origin::File),
            set("SOURCE_DATE_EPOCH", "6", Origin::File),
        ];
        let text = text(&given);
        for line in [
            "FS_MTIME                1970-01-01T00:00:05Z   environment",
            "KERNEL_BUILD_TIMESTAMP  1970-01-01T00:00:06Z   SOURCE_DATE_EPOCH of .env",
            "KERNEL_CONFIG           --enable A             .env",
            "SOURCE_DATE_EPOCH       6                      .env",
        ] {
            assert!(text.lines().any(|found| found == line), "{text}");
        }
    }
}
