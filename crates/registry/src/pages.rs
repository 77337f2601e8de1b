//! Lists that a registry sends in pages (OCI distribution spec, "Listing Tags" and "Listing
//! Referrers"), and the requests for them.

use std::{
    io::Read as _,
    time::{Duration, Instant},
};

use oci::{digest::Digest, document, size::length_of};
use oci_spec::image::Descriptor;
use ureq::{ResponseExt as _, http::HeaderMap};

use crate::{
    endpoint::Endpoint,
    error::{Error, Result},
    http::read_body,
    mirrors::MANIFEST_LIMIT_BYTES,
    retry::Backoff,
    url::resolve,
};

/// Maximum number of items of a list, and of referrers. Further referrers are ignored.
const MAX_ITEMS: usize = 1_000_000;
const MAX_REFERRERS: usize = 10_000;
/// The `Accept` header for lists.
const ACCEPT_LIST: &str = "application/vnd.oci.image.index.v1+json, application/json";
/// Maximum size of one page, and of all together.
const PAGE_LIMIT_BYTES: u64 = 16 << 20;
const LIST_LIMIT_BYTES: u64 = 128 << 20;

/// Requests to one repository, with retries.
#[derive(Debug)]
pub(crate) struct Requests<'a> {
    pub endpoint: &'a mut Endpoint,
    pub backoff: Backoff<'a>,
    /// Time limit from the first answer on. Until then, only the retry policy limits the requests.
    pub limit: Option<Duration>,
    pub answered: Option<Instant>,
}

impl Requests<'_> {
    /// Retries `operation`.
    pub(crate) fn run<T>(
        &mut self,
        doing: &str,
        mut operation: impl FnMut(&mut Endpoint) -> Result<T>,
    ) -> Result<T> {
        let result = self.backoff.run(doing, || {
            if let Some(limit) = self.limit {
                let elapsed = self.answered.map_or(Duration::ZERO, |since| since.elapsed());
                let left = limit.saturating_sub(elapsed);
                if left.is_zero() {
                    return Err(Error::Protocol(format!("{doing} takes too long")));
                }
                self.endpoint.client.limit = Some(left);
            }
            let done = operation(self.endpoint)?;
            self.answered.get_or_insert_with(Instant::now);
            Ok(done)
        });
        self.endpoint.client.limit = None;
        result
    }

    /// A manifest or a small blob, or nothing if it is missing. Cut off above the limit, so that it
    /// fails its verification.
    pub(crate) fn document(
        &mut self,
        kind: &str,
        name: &str,
        limit_bytes: u64,
    ) -> Result<Option<Vec<u8>>> {
        let path = format!("{kind}/{name}");
        let doing = format!("asking {} for {path}", self.endpoint.host());
        self.run(&doing, |endpoint| {
            let response = endpoint.get(&path, &[("accept", oci::manifest::ACCEPT)])?;
            if response.status() == 404 {
                return Ok(None);
            }
            let body = endpoint.expect(200, response)?.into_body().into_reader();
            let mut bytes = Vec::new();
            body.take(limit_bytes)
                .read_to_end(&mut bytes)
                .map_err(|error| Error::Interrupted(format!("reading {path}: {error}")))?;
            Ok(Some(bytes))
        })
    }

    /// Passes each page of the list at `path` to `add`, which returns how many items are new. False
    /// if the first page has a status of `is_absent`.
    pub(crate) fn list(
        &mut self,
        doing: &str,
        path: &str,
        is_absent: fn(u16) -> bool,
        add: &mut dyn FnMut(&[u8]) -> Result<usize>,
    ) -> Result<bool> {
        let mut url = self.endpoint.url(path);
        let (mut count, mut bytes_left) = (0, LIST_LIMIT_BYTES);
        let mut visited = vec![url.clone()];
        loop {
            let is_first = visited.len() == 1;
            let page = self.run(doing, |endpoint| {
                let response = endpoint.get_url(&url, &[("accept", ACCEPT_LIST)])?;
                if is_first && is_absent(response.status().as_u16()) {
                    return Ok(None);
                }
                let response = endpoint.expect(200, response)?;
                let from = response.get_uri().to_string();
                let next = next_link(response.headers()).map(|link| resolve(&from, link));
                let limit_bytes = PAGE_LIMIT_BYTES.min(bytes_left);
                Ok(Some((read_body(response, limit_bytes, "a list")?, next)))
            })?;
            let Some((bytes, next)) = page else { return Ok(false) };
            bytes_left = bytes_left.saturating_sub(length_of(&bytes));
            let new = add(&bytes)?;
            count += new;
            let Some(next) = next else { return Ok(true) };
            url = self.endpoint.within_origin(&next).ok_or_else(|| {
                Error::Protocol(format!("the next page has another origin: '{next}'"))
            })?;
            if new == 0 || visited.contains(&url) || count > MAX_ITEMS || bytes_left == 0 {
                let text = format!("the list does not end: '{next}' follows {count} items");
                return Err(Error::Protocol(text));
            }
            visited.push(url.clone());
        }
    }

    /// What refers to `subject`, by the referrers API or the list that clients keep under a tag
    /// (distribution spec, "Referrers Tag Schema"). May list what no longer exists.
    pub(crate) fn list_referrers(&mut self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let doing = format!("asking {} for the referrers of {subject}", self.endpoint.host());
        let mut list: Vec<Descriptor> = Vec::new();
        let mut add = |bytes: &[u8]| {
            let known = list.len();
            for referrer in document::parse_referrers(bytes)? {
                // An image has few of them.
                let is_known = list.iter().any(|other| other.digest() == referrer.digest());
                if !is_known && list.len() < MAX_REFERRERS {
                    list.push(referrer);
                }
            }
            Ok(list.len() - known)
        };
        let path = format!("referrers/{subject}");
        if self.list(&doing, &path, lacks_referrers, &mut add)? {
            return Ok(list);
        }
        let tagged = self.document("manifests", &subject.to_tag(), MANIFEST_LIMIT_BYTES)?;
        let list = tagged.and_then(|bytes| document::parse_referrers_tag(&bytes, subject));
        Ok(list.unwrap_or_default())
    }
}

/// Whether a registry answers like this because it has no referrers API: with 404, or like an old
/// one rejects an unknown path.
fn lacks_referrers(status: u16) -> bool {
    matches!(status, 400..=499 | 501) && !matches!(status, 401 | 403 | 408 | 429)
}

/// The target of the link to the next page (RFC 8288, 3).
fn next_link(headers: &HeaderMap) -> Option<&str> {
    for value in headers.get_all("link") {
        let mut rest = value.to_str().unwrap_or_default();
        while let Some((target, more)) = rest.split_once('<').and_then(|it| it.1.split_once('>')) {
            let (parameters, _) = more.split_once('<').unwrap_or((more, ""));
            // Unquoted, as in `rel=next`, or one of several, as in `rel="last next"`.
            for parameter in parameters.to_ascii_lowercase().replace(['"', ','], " ").split(';') {
                let relations = parameter.trim_start().strip_prefix("rel=").unwrap_or_default();
                if format!(" {relations} ").contains(" next ") {
                    return Some(target.trim());
                }
            }
            rest = more;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_link_to_the_next_page() {
        for (values, target) in [
            (
                &[r#"</v2/os/tags/list?n=1&last=a>; rel="next""#][..],
                Some("/v2/os/tags/list?n=1&last=a"),
            ),
            (&["<x>; rel=next"], Some("x")),
            (&["<x>;title=\"a\";REL=\"last NEXT\""], Some("x")),
            (&[r#"<a>; rel="first", <b,c;d>; rel="next""#], Some("b,c;d")),
            (&["<a>; rel=prev", "<b>; rel=next"], Some("b")),
            (&["<a>", "a; rel=next", "<a; rel=next", ""], None),
            (&["<a>; rel=nextfoo", "<a>; rel=prev; title=\"next\""], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("link", value.parse().unwrap());
            }
            assert_eq!(next_link(&headers), target, "{values:?}");
        }
    }

    #[test]
    fn one_rule_for_a_registry_without_referrers() {
        for status in [400, 404, 405, 406, 410, 415, 422, 501] {
            assert!(lacks_referrers(status), "{status}");
        }
        for status in [200, 301, 401, 403, 408, 429, 500, 502, 503] {
            assert!(!lacks_referrers(status), "{status}");
        }
    }
}
