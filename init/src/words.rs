//! The words that init itself heeds, out of those it hands on to ocidd: what follows an install, and whom to ask for the time. Knows no
//! other word, and does nothing about a wrong one but tell it: ocidd refuses the wrong words among its own.

use crate::power::Ending;
use crate::timeserver::Server;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// Words of the site, one a line; `#` begins a comment. They come before those of the kernel command line, which wins. ocidd reads them too.
const SITE_WORDS: &str = "/etc/ocidd/words";

const ON_ERROR_SECONDS: u32 = 60;

/// What the words ask init for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Wishes {
    /// `ocidd.after=`
    pub(crate) after: After,
    /// `ocidd.on_error=`
    pub(crate) on_error: OnError,
    /// `ocidd.ntp=`
    pub(crate) time: Time,
}

/// What follows a success.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum After {
    End(Ending),
    Shell,
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OnError {
    Shell,
    /// After so many seconds, in which a person may ask for the shell.
    End(Ending, u32),
}

/// Whom to ask for the time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Time {
    /// The servers that DHCP has named, if any.
    Dhcp,
    Servers(Vec<Server>),
    Off,
}

impl Default for Wishes {
    fn default() -> Self {
        Self { after: After::End(Ending::Reboot), on_error: OnError::Shell, time: Time::Dhcp }
    }
}

/// The words of the site's file; none where there is no such file.
pub(crate) fn read_site_words() -> anyhow::Result<Vec<OsString>> {
    match fs::read(Path::new(SITE_WORDS)) {
        Ok(text) => Ok(parse_site_words(&String::from_utf8_lossy(&text))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(anyhow::Error::new(error).context(format!("reading {SITE_WORDS}"))),
    }
}

fn parse_site_words(text: &str) -> Vec<OsString> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(OsString::from)
        .collect()
}

/// Reads words in order; the last of repeated ones wins. A value that is not understood counts as not said, and is told.
pub(crate) fn parse<'a>(words: impl IntoIterator<Item = &'a OsString>) -> (Wishes, Vec<String>) {
    let mut wishes = Wishes::default();
    let mut faults = Vec::new();
    for word in words {
        let word = word.to_string_lossy();
        let (key, value) = word.split_once('=').unwrap_or((&word, ""));
        let wanted = match key {
            "ocidd.after" => {
                set(&mut wishes.after, parse_after(value), "reboot, poweroff, halt or shell")
            }
            "ocidd.on_error" => set(
                &mut wishes.on_error,
                parse_on_error(value),
                "shell, or reboot or poweroff with ,SECONDS behind it if need be",
            ),
            "ocidd.ntp" => {
                set(&mut wishes.time, parse_time(value), "hosts with commas between them, or off")
            }
            _ => Ok(()),
        };
        if let Err(wanted) = wanted {
            faults.push(format!("{key}: '{value}' is not understood; hint: it takes {wanted}"));
        }
    }
    (wishes, faults)
}

/// An error is what would have been understood.
fn set<T>(wish: &mut T, value: Option<T>, wanted: &'static str) -> Result<(), &'static str> {
    *wish = value.ok_or(wanted)?;
    Ok(())
}

fn parse_after(value: &str) -> Option<After> {
    match value {
        "shell" => Some(After::Shell),
        "halt" => Some(After::End(Ending::Halt)),
        _ => parse_restart(value).map(After::End),
    }
}

fn parse_on_error(value: &str) -> Option<OnError> {
    if value == "shell" {
        return Some(OnError::Shell);
    }
    let (ending, seconds) = match value.split_once(',') {
        Some((ending, seconds)) => (ending, parse_seconds(seconds)?),
        None => (value, ON_ERROR_SECONDS),
    };
    Some(OnError::End(parse_restart(ending)?, seconds))
}

fn parse_restart(value: &str) -> Option<Ending> {
    match value {
        "reboot" => Some(Ending::Reboot),
        "poweroff" => Some(Ending::PowerOff),
        _ => None,
    }
}

fn parse_seconds(text: &str) -> Option<u32> {
    // `parse` takes a sign, too.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn parse_time(value: &str) -> Option<Time> {
    if value == "off" {
        return Some(Time::Off);
    }
    let servers =
        value.split(',').map(|host| if host == "off" { None } else { Server::parse(host) });
    servers.collect::<Option<_>>().map(Time::Servers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_all(words: &[&str]) -> (Wishes, Vec<String>) {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        parse(&words)
    }

    fn wishes(words: &[&str]) -> Wishes {
        let (wishes, faults) = parse_all(words);
        assert!(faults.is_empty(), "{words:?}: {faults:?}");
        wishes
    }

    #[test]
    fn nothing_said_is_a_reboot_after_success_and_a_shell_after_a_failure() {
        let default = Wishes {
            after: After::End(Ending::Reboot),
            on_error: OnError::Shell,
            time: Time::Dhcp,
        };
        assert_eq!(wishes(&[]), default);
        let others =
            ["quiet", "after=halt", "ocidd.afterwards=halt", "oci.tag=ocidd.after=halt", "", "="];
        assert_eq!(wishes(&others), default);
    }

    #[test]
    fn every_ending_can_be_asked_for() {
        for (value, after) in [
            ("reboot", After::End(Ending::Reboot)),
            ("poweroff", After::End(Ending::PowerOff)),
            ("halt", After::End(Ending::Halt)),
            ("shell", After::Shell),
        ] {
            assert_eq!(wishes(&[&format!("ocidd.after={value}")]).after, after);
        }
        for (value, on_error) in [
            ("shell", OnError::Shell),
            ("reboot", OnError::End(Ending::Reboot, 60)),
            ("poweroff", OnError::End(Ending::PowerOff, 60)),
            ("reboot,5", OnError::End(Ending::Reboot, 5)),
            ("poweroff,0", OnError::End(Ending::PowerOff, 0)),
        ] {
            assert_eq!(wishes(&[&format!("ocidd.on_error={value}")]).on_error, on_error);
        }
    }

    #[test]
    fn time_servers_are_named_or_switched_off() {
        let server = |text| Server::parse(text).unwrap();
        for (value, time) in [
            ("off", Time::Off),
            ("ntp.example", Time::Servers(vec![server("ntp.example")])),
            (
                "10.0.2.2:1123,a.example",
                Time::Servers(vec![server("10.0.2.2:1123"), server("a.example")]),
            ),
        ] {
            assert_eq!(wishes(&[&format!("ocidd.ntp={value}")]).time, time);
        }
    }

    #[test]
    fn the_last_of_repeated_words_wins() {
        let last = wishes(&[
            "ocidd.after=halt",
            "ocidd.on_error=reboot,5",
            "ocidd.ntp=off",
            "ocidd.after=poweroff",
            "ocidd.on_error=shell",
            "ocidd.ntp=a.example",
        ]);
        assert_eq!((last.after, last.on_error), (After::End(Ending::PowerOff), OnError::Shell));
        assert_ne!(last.time, Time::Off);
    }

    #[test]
    fn a_value_that_is_not_understood_counts_as_not_said() {
        for word in [
            "ocidd.after",
            "ocidd.after=",
            "ocidd.after=Reboot",
            "ocidd.after=reboot,5",
            "ocidd.on_error=halt",
            "ocidd.on_error=shell,5",
            "ocidd.on_error=reboot,",
            "ocidd.on_error=reboot,+5",
            "ocidd.on_error=reboot,-1",
            "ocidd.on_error=reboot,5s",
            "ocidd.on_error=reboot,99999999999",
            "ocidd.ntp=",
            "ocidd.ntp=a.example,",
            "ocidd.ntp=off,a.example",
        ] {
            let said = ["ocidd.after=halt", "ocidd.on_error=reboot,5", "ocidd.ntp=off"];
            let (found, faults) = parse_all(&[&said[..], &[word]].concat());
            assert_eq!(found, wishes(&said), "{word}");
            let key = word.split('=').next().unwrap();
            assert_eq!(faults.len(), 1, "{word}: {faults:?}");
            assert!(faults[0].starts_with(&format!("{key}: '")), "{faults:?}");
        }
    }

    #[test]
    fn a_sites_file_has_one_word_a_line_and_comments() {
        let text =
            "# rack 7\n\n  ocidd.after=halt  \n\t# ocidd.ntp=off\nocidd.on_error=reboot,5\r\n";
        assert_eq!(parse_site_words(text), ["ocidd.after=halt", "ocidd.on_error=reboot,5"]);
    }

    #[test]
    fn bytes_that_are_no_text_are_words_of_others_or_not_understood() {
        use std::os::unix::ffi::OsStringExt as _;
        let words = [
            OsString::from_vec(b"x=\xff".to_vec()),
            OsString::from_vec(b"ocidd.after=\xff".to_vec()),
        ];
        let (found, faults) = parse(&words);
        assert_eq!((found, faults.len()), (Wishes::default(), 1));
    }
}
