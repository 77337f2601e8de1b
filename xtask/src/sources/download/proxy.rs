//! Which proxy a URL is fetched through. Goes in: the URL and the environment, read as curl and cargo read it. Comes out: a proxy, or none.

use crate::sources::download::host;
use ureq::Proxy;

/// The proxy that the environment names for this URL.
pub fn of_environment(url: &str) -> Option<Proxy> {
    let address = choose(url, |name| std::env::var(name).ok())?;
    // What cannot be read is passed over, as others do: the connection then fails or works without it.
    Proxy::new(&address).ok()
}

/// The address of the proxy for this URL. `variable` gives an environment variable's value.
fn choose(url: &str, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let either = |name: &str| {
        let set = variable(name).or_else(|| variable(&name.to_ascii_uppercase()));
        set.filter(|value| !value.is_empty())
    };
    let scheme = url.split_once("://").map_or("http", |(scheme, _)| scheme);
    let address = either(&format!("{scheme}_proxy")).or_else(|| either("all_proxy"))?;
    let exceptions = either("no_proxy").unwrap_or_default();
    (!is_exception(name_of(host(url)), &exceptions)).then_some(address)
}

/// Whether a list of hosts and domains, separated by commas, has this host.
fn is_exception(host: &str, list: &str) -> bool {
    list.split([',', ' ']).filter(|entry| !entry.is_empty()).any(|entry| {
        let entry = entry.trim_start_matches('*').trim_start_matches('.').to_ascii_lowercase();
        let host = host.to_ascii_lowercase();
        // A lone star is all hosts.
        entry.is_empty()
            || host.strip_suffix(&entry).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// A host without its port and the brackets around an IPv6 address.
fn name_of(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_chooses_the_variable() {
        let (http, https, all) = (
            ("http_proxy", "http://a:1"),
            ("HTTPS_PROXY", "http://b:2"),
            ("ALL_PROXY", "http://c:3"),
        );
        for (url, variables, wanted) in [
            ("http://host/x", vec![http, https, all], Some("http://a:1")),
            ("https://host/x", vec![http, https, all], Some("http://b:2")),
            ("https://host/x", vec![http, all], Some("http://c:3")),
            ("https://host/x", vec![http], None),
            ("https://host/x", vec![("https_proxy", ""), http], None),
            ("https://host/x", vec![https, ("no_proxy", "other,host")], None),
            ("https://host/x", vec![https, ("NO_PROXY", "other")], Some("http://b:2")),
            ("http://host/x", vec![], None),
        ] {
            let value = |name: &str| {
                let found = variables.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(choose(url, value).as_deref(), wanted, "{url} {variables:?}");
        }
    }

    #[test]
    fn exceptions_are_hosts_and_domains() {
        for (host, list, wanted) in [
            ("cdn.kernel.org", "kernel.org", true),
            ("cdn.kernel.org", ".kernel.org", true),
            ("cdn.kernel.org", "*.kernel.org", true),
            ("cdn.kernel.org", "a.example, CDN.kernel.org", true),
            ("cdn.kernel.org", "*", true),
            ("notkernel.org", "kernel.org", false),
            ("kernel.org.example", "kernel.org", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("cdn.kernel.org", "", false),
        ] {
            assert_eq!(is_exception(host, list), wanted, "{host} in '{list}'");
        }
        assert_eq!(
            (name_of("host:80"), name_of("[::1]:80"), name_of("host")),
            ("host", "::1", "host")
        );
    }
}
