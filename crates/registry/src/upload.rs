//! A blob on its way into a registry (OCI distribution spec, "Pushing Blobs"): in chunks, so that a broken transfer goes on where the registry
//! says it ended.

use crate::endpoint::Endpoint;
use crate::endpoint::Payload;
use crate::endpoint::Section;
use crate::error::HttpError;
use crate::http::Response;
use crate::repository::Remote;
use crate::retry::Backoff;
use anyhow::Context as _;
use anyhow::Result;
use oci::digest::Digest;
use oci::size::Bytes;
use oci::size::Transfer;
use std::fs::File;
use ureq::http::Method;

/// The least that a chunk has: smaller ones cost a request each and gain nothing.
pub const CHUNK_BYTES: u64 = 32 << 20;

/// A file that becomes a blob.
#[derive(Clone, Copy, Debug)]
pub struct Local<'a> {
    pub file: &'a File,
    pub digest: Digest,
    pub size_bytes: u64,
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
    /// The registry was asked for `at`, and has taken nothing since.
    is_asked: bool,
}

/// What to do next.
enum Step {
    /// Everything is there.
    Done,
    /// Go on.
    More,
    /// The registry takes no chunks, or counts them in a way of its own.
    Whole,
}

impl Remote<'_> {
    /// Pushes a blob that is not there yet. `counter` counts what is sent, or found there.
    pub fn push_blob(&mut self, local: &Local<'_>, transfer: &dyn Transfer) -> Result<()> {
        let doing = format!("pushing blob {} to {}", local.digest, self.repository);
        let mut tries = Backoff::new(self.policy);
        let (mut session, mut chunked) = (None::<Session>, true);
        // The most that the registry ever had. Only what is new counts and earns forgiveness: an upload that begins anew again and again ends.
        let mut most = 0;
        let mut had_trouble = false;
        loop {
            // The end may have been taken, and only the word of it got lost.
            if session.is_none()
                && std::mem::take(&mut had_trouble)
                && self.has_blob(&local.digest)?
            {
                transfer.add(local.size_bytes.saturating_sub(most));
                return Ok(());
            }
            let step = advance(&mut self.endpoint, &mut session, local, chunked, self.chunk_bytes);
            let at = session.as_ref().map_or(0, |session| session.at);
            match step {
                Ok(Step::Done) => {
                    transfer.add(local.size_bytes.saturating_sub(most));
                    return Ok(());
                }
                Ok(Step::More) if at > most => {
                    transfer.add(at - most);
                    most = at;
                    tries.forget();
                }
                Ok(Step::More) => {}
                Ok(Step::Whole) => (session, chunked) = (None, false),
                Err(error) => {
                    let after =
                        if at == 0 { String::new() } else { format!(", after {}", Bytes(at)) };
                    let what = format!("{doing}{after}");
                    tries.wait(error, &what, self.observer).context(doing.clone())?;
                    had_trouble = true;
                    session = session.filter(|_| chunked);
                    if let Some(session) = &mut session {
                        session.in_doubt = true;
                    }
                }
            }
        }
    }

    /// Has the registry take a blob from another of its repositories. False where it does not, for whatever reason.
    pub fn mount_blob(&mut self, digest: &Digest, from: &str) -> bool {
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
        *session = ask(endpoint, open, local.size_bytes)?;
        return Ok(Step::More);
    }
    let left = local.size_bytes.saturating_sub(open.at);
    let chunk = chunk_bytes.max(open.least);
    if chunked && left > chunk {
        send_chunk(endpoint, open, local, chunk)
    } else {
        finish(endpoint, open, local)
    }
}

fn begin(endpoint: &mut Endpoint) -> Result<Session> {
    let url = endpoint.url("blobs/uploads/");
    let response = endpoint.send(&Method::POST, &url, &[], &Payload::Nothing)?;
    if response.status() != 202 {
        return Err(endpoint.refused(response).into());
    }
    let Told { url, least, .. } = Told::read(endpoint, &response);
    let url = url
        .ok_or_else(|| HttpError::useless("the registry does not say where the upload goes on"))?;
    let least = least.unwrap_or(0);
    Ok(Session { url, at: 0, least, in_doubt: false, is_asked: false })
}

fn send_chunk(
    endpoint: &mut Endpoint,
    session: &mut Session,
    local: &Local<'_>,
    length: u64,
) -> Result<Step> {
    let sent = session.at + length;
    let section = Section { file: local.file, at: session.at, length };
    let response = carry(endpoint, &Method::PATCH, &session.url, section)?;
    match response.status().as_u16() {
        // Amazon's registry says 201, and tells the range of the first chunk for ever. One that took a part tells what is in between.
        201 | 202 => {
            let Told { url, at, .. } = Told::read(endpoint, &response);
            session.at = at.filter(|at| *at > session.at && *at < sent).unwrap_or(sent);
            session.url = url.unwrap_or_else(|| session.url.clone());
            session.is_asked = false;
            Ok(Step::More)
        }
        // It has other bytes than we think, and is asked which. Where it has those, or none, 416 is about the size: GitHub's says so above 4 MiB.
        416 if session.at > 0 && !session.is_asked => {
            Err(HttpError::broken("the registry expects another part of the blob (416)").into())
        }
        413 => Err(too_large(endpoint).into()),
        status if is_final(status) => Ok(Step::Whole),
        _ => Err(endpoint.refused(response).into()),
    }
}

/// Sends what is left, with the digest. The registry checks it.
fn finish(endpoint: &mut Endpoint, session: &Session, local: &Local<'_>) -> Result<Step> {
    let joint = if session.url.contains('?') { '&' } else { '?' };
    let url = format!("{}{joint}digest={}", session.url, local.digest);
    let length = local.size_bytes.saturating_sub(session.at);
    let section = Section { file: local.file, at: session.at, length };
    let response = carry(endpoint, &Method::PUT, &url, section)?;
    match response.status().as_u16() {
        201 | 204 => Ok(Step::Done),
        413 => Err(too_large(endpoint).into()),
        status if session.at > 0 && is_final(status) => Ok(Step::Whole),
        _ => Err(endpoint.refused(response).into()),
    }
}

/// A part of a blob says which it is, unless it is the whole.
fn carry(
    endpoint: &mut Endpoint,
    method: &Method,
    url: &str,
    section: Section<'_>,
) -> Result<Response> {
    let range = format!("{}-{}", section.at, (section.at + section.length).saturating_sub(1));
    let mut headers = vec![("content-type", "application/octet-stream")];
    if section.length > 0 && (section.at > 0 || *method == Method::PATCH) {
        headers.push(("content-range", &range));
    }
    endpoint.send(method, url, &headers, &Payload::Section(section))
}

fn too_large(endpoint: &Endpoint) -> HttpError {
    HttpError::useless(format!(
        "registry {} takes no request so large (413); hint: --chunk-size sends less at once",
        endpoint.host()
    ))
}

/// Whether this refuses what was sent: not who sent it, and not for the moment alone.
fn is_final(status: u16) -> bool {
    matches!(status, 400..=499 | 501) && !matches!(status, 401 | 403 | 408 | 429)
}

/// Asks how far an upload came. None where the registry does not know it any more, and all begins anew.
fn ask(endpoint: &mut Endpoint, session: &Session, size_bytes: u64) -> Result<Option<Session>> {
    let response = endpoint.send(&Method::GET, &session.url, &[], &Payload::Nothing)?;
    if response.status().is_success() {
        let Told { url, at, .. } = Told::read(endpoint, &response);
        let at = at.unwrap_or(0);
        let url = url.unwrap_or_else(|| session.url.clone());
        let found = Session { url, at, least: session.least, in_doubt: false, is_asked: true };
        return Ok(Some(found).filter(|found| found.at <= size_bytes));
    }
    let refused = endpoint.refused(response);
    if refused.is_passing() { Err(refused.into()) } else { Ok(None) }
}

/// What an answer says of an upload.
struct Told {
    url: Option<String>,
    at: Option<u64>,
    least: Option<u64>,
}

impl Told {
    fn read(endpoint: &Endpoint, response: &Response) -> Self {
        let header =
            |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        Self {
            url: header("location")
                .filter(|location| !location.is_empty())
                .map(|location| endpoint.resolve(location)),
            // `0-0` is said of one byte and of none, by different registries: it tells nothing.
            at: header("range").and_then(parse_range).filter(|at| *at > 1),
            least: header("oci-chunk-min-length").and_then(|text| text.parse().ok()),
        }
    }
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
