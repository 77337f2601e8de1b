//! A blob on its way into a registry (OCI distribution spec, "Pushing Blobs"): in chunks, so that a broken transfer goes on where the registry
//! says it ended.

use super::Remote;
use crate::digest::Digest;
use crate::http::HttpError;
use crate::http::Response;
use crate::progress::Counter;
use crate::registry::endpoint::Endpoint;
use crate::registry::endpoint::Payload;
use crate::registry::endpoint::Section;
use crate::registry::retry::Tries;
use crate::size::Bytes;
use anyhow::Context as _;
use anyhow::Result;
use std::fs::File;
use ureq::http::Method;

/// The least that a chunk has: smaller ones cost a request each and gain nothing.
pub(in crate::image) const CHUNK_BYTES: u64 = 32 << 20;

/// A file that becomes a blob.
#[derive(Clone, Copy, Debug)]
pub(in crate::image) struct Local<'a> {
    pub(in crate::image) file: &'a File,
    pub(in crate::image) digest: Digest,
    pub(in crate::image) size_bytes: u64,
}

/// An upload that the registry knows of.
struct Session {
    url: String,
    /// What the registry has.
    at: u64,
    /// The least it wants at once, but for the end.
    least: u64,
    /// A request has failed since the registry told `at`.
    in_doubt: bool,
}

/// What to do next, and when.
enum Step {
    /// Everything is there.
    Done,
    /// Go on.
    More,
    /// The registry takes no chunks.
    Whole,
}

impl Remote<'_> {
    /// Pushes a blob that is not there yet. `counter` counts what is sent, or found there.
    pub(in crate::image) fn push_blob(
        &mut self,
        local: &Local<'_>,
        counter: &Counter,
    ) -> Result<()> {
        let doing = || format!("pushing blob {} to {}", local.digest, self.repository);
        let mut tries = Tries::new(self.patience);
        let (mut session, mut chunked) = (None::<Session>, true);
        // The most that the registry ever had. Only what is new counts and earns forgiveness: an upload that begins anew again and again ends.
        let mut most = 0;
        loop {
            let step = advance(&mut self.endpoint, &mut session, local, chunked, self.chunk_bytes);
            let at = session.as_ref().map_or(0, |session| session.at);
            match step {
                Ok(Step::Done) => {
                    counter.add(local.size_bytes.saturating_sub(most));
                    return Ok(());
                }
                Ok(Step::More) if at > most => {
                    counter.add(at - most);
                    most = at;
                    tries.forget();
                }
                Ok(Step::More) => {}
                Ok(Step::Whole) => (session, chunked) = (None, false),
                Err(error) => {
                    let after =
                        if at == 0 { String::new() } else { format!(", after {}", Bytes(at)) };
                    let what = format!("{}{after}", doing());
                    tries.wait(error, &what, self.listener).with_context(doing)?;
                    session = session.filter(|_| chunked);
                    if let Some(session) = &mut session {
                        session.in_doubt = true;
                    }
                }
            }
        }
    }

    /// Has the registry take a blob from another of its repositories. False where it does not, for whatever reason.
    pub(in crate::image) fn mount_blob(&mut self, digest: &Digest, from: &str) -> bool {
        let url = self.endpoint.url(&format!("blobs/uploads/?mount={digest}&from={from}"));
        let response = self.endpoint.send(&Method::POST, &url, &[], &Payload::Nothing);
        // 202 begins an upload instead, which is left alone: registries forget those.
        response.is_ok_and(|response| response.status() == 201)
    }
}

fn advance(
    endpoint: &mut Endpoint,
    session: &mut Option<Session>,
    local: &Local<'_>,
    chunked: bool,
    chunk_bytes: u64,
) -> Result<Step> {
    let Some(open) = session else {
        *session = Some(begin(endpoint)?);
        return Ok(Step::More);
    };
    if open.in_doubt {
        *session = ask(endpoint, open)?;
        return Ok(Step::More);
    }
    let left = local.size_bytes.saturating_sub(open.at);
    let chunk = chunk_bytes.max(open.least);
    if !chunked || (open.at == 0 && left <= chunk) || left == 0 {
        finish(endpoint, open, local)?;
        return Ok(Step::Done);
    }
    let length = left.min(chunk);
    let range = format!("{}-{}", open.at, open.at + length - 1);
    let headers = [("content-type", "application/octet-stream"), ("content-range", range.as_str())];
    let section = Section { file: local.file, at: open.at, length };
    let response =
        endpoint.send(&Method::PATCH, &open.url, &headers, &Payload::Section(section))?;
    match response.status().as_u16() {
        202 => {
            let sent = open.at + length;
            let least = open.least;
            *open = Session { least, ..read_session(endpoint, &response, Some(sent))? };
            Ok(Step::More)
        }
        404 | 405 | 411 | 413 | 501 if open.at == 0 => Ok(Step::Whole),
        // It has other bytes than we think: it is asked which.
        416 => Err(HttpError::broken("the registry expects another part of the blob (416)").into()),
        _ => Err(endpoint.refused(response).into()),
    }
}

fn begin(endpoint: &mut Endpoint) -> Result<Session> {
    let url = endpoint.url("blobs/uploads/");
    let response = endpoint.send(&Method::POST, &url, &[], &Payload::Nothing)?;
    if response.status() != 202 {
        return Err(endpoint.refused(response).into());
    }
    read_session(endpoint, &response, Some(0))
}

/// Sends what is left, with the digest. The registry checks it.
fn finish(endpoint: &mut Endpoint, session: &Session, local: &Local<'_>) -> Result<()> {
    let joint = if session.url.contains('?') { '&' } else { '?' };
    let url = format!("{}{joint}digest={}", session.url, local.digest);
    let headers = [("content-type", "application/octet-stream")];
    let length = local.size_bytes.saturating_sub(session.at);
    let section = Section { file: local.file, at: session.at, length };
    let response = endpoint.send(&Method::PUT, &url, &headers, &Payload::Section(section))?;
    match response.status().as_u16() {
        201 => Ok(()),
        _ => Err(endpoint.refused(response).into()),
    }
}

/// Asks how far an upload came. None where the registry does not know it any more, and all begins anew.
fn ask(endpoint: &mut Endpoint, session: &Session) -> Result<Option<Session>> {
    let response = endpoint.send(&Method::GET, &session.url, &[], &Payload::Nothing)?;
    if response.status() == 204 {
        let found = read_session(endpoint, &response, None).ok();
        return Ok(found.map(|found| Session { least: session.least, ..found }));
    }
    let refused = endpoint.refused(response);
    if refused.is_passing() { Err(refused.into()) } else { Ok(None) }
}

/// Where the upload goes on. `sent` is what the registry should have where it does not say.
fn read_session(endpoint: &Endpoint, response: &Response, sent: Option<u64>) -> Result<Session> {
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let location = header("location")
        .filter(|location| !location.is_empty())
        .ok_or_else(|| HttpError::useless("the registry does not say where the upload goes on"))?;
    // `0-0` is said of one byte and of none, by different registries: what we sent tells.
    let told = header("range").and_then(parse_range).filter(|told| *told > 1);
    let at = told.or(sent).unwrap_or(0);
    let least = header("oci-chunk-min-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok(Session { url: endpoint.resolve(location), at, least, in_doubt: false })
}

/// The length of what `0-N` ends.
fn parse_range(text: &str) -> Option<u64> {
    let last = text.trim().trim_start_matches("bytes=").strip_prefix("0-")?;
    last.parse::<u64>().ok()?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_tells_how_much_is_there() {
        for (text, wanted) in [
            ("0-0", Some(1)),
            ("0-1023", Some(1024)),
            ("bytes=0-9", Some(10)),
            ("5-9", None),
            ("", None),
            ("0-18446744073709551615", None),
        ] {
            assert_eq!(parse_range(text), wanted, "{text}");
        }
    }
}
