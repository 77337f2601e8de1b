//! URLs: their parts, and how they are combined.

/// Value of the header `User-Agent`.
pub(crate) const USER_AGENT: &str = concat!("ocidd/", env!("CARGO_PKG_VERSION"));

/// Resolves `location` against `base` (RFC 3986, 5.2; `.` and `..` are left to the server).
pub fn resolve(base: &str, location: &str) -> String {
    // Not just any `://`: the query of a path may contain a whole URL.
    let is_scheme =
        |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    if location.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme)) {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{}:{location}", scheme_of(base))
    } else if location.starts_with('/') {
        format!("{}{location}", origin_of(base))
    } else {
        let path = base.split(['?', '#']).next().unwrap_or_default();
        let parent = path.rsplit_once('/').map_or(path, |(parent, _)| parent);
        format!("{parent}/{location}")
    }
}

/// Adds a query, or to the query.
pub fn with_query(url: &str, query: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{query}")
}

pub(crate) fn is_https(url: &str) -> bool {
    scheme_of(url).eq_ignore_ascii_case("https")
}

pub(crate) fn scheme_of(url: &str) -> &str {
    url.split("://").next().unwrap_or_default()
}

/// The scheme, host and port of a URL. Never its user info, which can be a secret.
pub fn origin_of(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}")
}

/// A URL without its user info, for errors.
pub fn without_user_info(url: &str) -> String {
    let Some((_, rest)) = url.split_once("://") else { return url.to_owned() };
    let path = rest.find(['/', '?', '#']).and_then(|at| rest.get(at..)).unwrap_or_default();
    format!("{}{path}", origin_of(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_redirects() {
        let base = "https://r.example:5000/v2/os/blobs/x?y=/1";
        for (location, url) in [
            ("https://s.example/b?c=d", "https://s.example/b?c=d"),
            ("//s.example/b", "https://s.example/b"),
            ("/b", "https://r.example:5000/b"),
            ("b", "https://r.example:5000/v2/os/blobs/b"),
            ("/b?c=https://s.example/d", "https://r.example:5000/b?c=https://s.example/d"),
        ] {
            assert_eq!(resolve(base, location), url);
        }
        assert_eq!(origin_of(base), "https://r.example:5000");
        assert_eq!(origin_of("http://r.example?x"), "http://r.example");
        let url = "https://u:p@r.example:5000/a@b?c";
        assert_eq!(origin_of(url), "https://r.example:5000");
        assert_eq!(without_user_info(url), "https://r.example:5000/a@b?c");
    }
}
