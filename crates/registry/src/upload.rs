//! Pushes blobs in chunks (OCI distribution spec, "Pushing Blobs"). A broken transfer resumes at
//! the position that the registry reports.

use std::fs::File;

use oci::{
    digest::Digest,
    size::{Bytes, Transfer},
};
use ureq::http::Method;

use crate::{
    endpoint::Endpoint,
    error::{During as _, Error, Result},
    http::{Payload, Response, Section, header, with_query},
    repository::Remote,
    retry::Backoff,
};

/// A file to be pushed as a blob.
#[derive(Clone, Copy, Debug)]
pub struct Local<'a> {
    pub file: &'a File,
    pub digest: Digest,
    pub size_bytes: u64,
}

/// An upload that the registry has accepted.
struct Upload {
    url: String,
    /// Number of bytes that the registry has.
    at: u64,
    /// Minimum size of a chunk, except the last one.
    min_bytes: u64,
    /// A request has failed since the registry reported `at`.
    is_uncertain: bool,
    /// The registry was asked for `at` and has accepted nothing since.
    is_confirmed: bool,
}

/// What to do next.
enum Step {
    /// The registry has the blob.
    Done,
    /// Call [`advance`] again.
    More,
    /// Chunks are not supported, or counted incorrectly. Send the whole blob in one request.
    Whole,
}

impl Remote<'_> {
    /// Pushes a blob that the registry does not have. `transfer` counts each byte once.
    pub fn push_blob(&mut self, local: &Local<'_>, transfer: &dyn Transfer) -> Result<()> {
        let doing = format!("pushing blob {} to {}", local.digest, self.repository);
        let mut backoff = Backoff::new(self.session.settings.retry);
        let (mut upload, mut chunked) = (None::<Upload>, true);
        // The highest position so far. Only new bytes count and reset the retries, so an upload
        // that starts over again and again ends.
        let mut max = 0;
        let mut has_failed = false;
        loop {
            // The registry may have the blob if only the last answer was lost.
            if upload.is_none()
                && std::mem::take(&mut has_failed)
                && self.has_blob(&local.digest)?
            {
                transfer.add(local.size_bytes.saturating_sub(max));
                return Ok(());
            }
            let chunk_bytes = self.session.settings.chunk_bytes;
            let step = advance(&mut self.endpoint, &mut upload, local, chunked, chunk_bytes);
            let at = upload.as_ref().map_or(0, |upload| upload.at);
            match step {
                Ok(Step::Done) => {
                    transfer.add(local.size_bytes.saturating_sub(max));
                    return Ok(());
                }
                Ok(Step::More) if at > max => {
                    transfer.add(at - max);
                    max = at;
                    backoff.reset();
                }
                Ok(Step::More) => {}
                Ok(Step::Whole) => (upload, chunked) = (None, false),
                Err(error) => {
                    let after =
                        if at == 0 { String::new() } else { format!(", after {}", Bytes(at)) };
                    let what = format!("{doing}{after}");
                    backoff
                        .wait(error, &what, self.session.observer())
                        .during(|| doing.as_str())?;
                    has_failed = true;
                    upload = upload.filter(|_| chunked);
                    if let Some(upload) = &mut upload {
                        upload.is_uncertain = true;
                    }
                }
            }
        }
    }

    /// Mounts a blob from another repository of the registry. False if that fails for any reason.
    pub fn mount_blob(&mut self, digest: &Digest, from: &str) -> bool {
        let url = self.endpoint.url(&format!("blobs/uploads/?mount={digest}&from={from}"));
        let response = self.endpoint.send(&Method::POST, &url, &[], &Payload::Empty);
        // 202 starts an upload instead. Registries expire abandoned uploads.
        response.is_ok_and(|response| response.status() == 201)
    }
}

fn advance(
    endpoint: &mut Endpoint,
    upload: &mut Option<Upload>,
    local: &Local<'_>,
    chunked: bool,
    chunk_bytes: u64,
) -> Result<Step> {
    let Some(open) = upload else {
        *upload = Some(begin(endpoint)?);
        return Ok(Step::More);
    };
    if open.is_uncertain {
        *upload = fetch_position(endpoint, open, local.size_bytes)?;
        return Ok(Step::More);
    }
    let left = local.size_bytes.saturating_sub(open.at);
    let chunk = chunk_bytes.max(open.min_bytes);
    if chunked && left > chunk {
        send_chunk(endpoint, open, local, chunk)
    } else {
        finish(endpoint, open, local)
    }
}

fn begin(endpoint: &mut Endpoint) -> Result<Upload> {
    let url = endpoint.url("blobs/uploads/");
    let response = endpoint.send(&Method::POST, &url, &[], &Payload::Empty)?;
    let response = endpoint.expect(202, response)?;
    let Position { url, min_bytes, .. } = Position::read(endpoint, &response);
    let url = url.ok_or_else(|| {
        Error::Protocol("the registry sends no location for the upload".to_owned())
    })?;
    let min_bytes = min_bytes.unwrap_or(0);
    Ok(Upload { url, at: 0, min_bytes, is_uncertain: false, is_confirmed: false })
}

fn send_chunk(
    endpoint: &mut Endpoint,
    upload: &mut Upload,
    local: &Local<'_>,
    length: u64,
) -> Result<Step> {
    let sent = upload.at + length;
    let section = Section { file: local.file, at: upload.at, length };
    let response = send_section(endpoint, &Method::PATCH, &upload.url, section)?;
    match response.status().as_u16() {
        // Amazon's registry answers 201 and always reports the range of the first chunk. A position
        // in between means that a part of the chunk was accepted.
        201 | 202 => {
            let Position { url, at, .. } = Position::read(endpoint, &response);
            upload.at = at.filter(|at| *at > upload.at && *at < sent).unwrap_or(sent);
            upload.url = url.unwrap_or_else(|| upload.url.clone());
            upload.is_confirmed = false;
            Ok(Step::More)
        }
        // The position may be wrong, so it is asked for. If it is confirmed or 0, then 416 is about
        // the size: GitHub's registry answers that above 4 MiB.
        416 if upload.at > 0 && !upload.is_confirmed => Err(Error::Interrupted(
            "the registry expects another part of the blob (416)".to_owned(),
        )),
        413 => Err(too_large(endpoint)),
        status if is_permanent(status) => Ok(Step::Whole),
        _ => Err(endpoint.rejected(response)),
    }
}

/// Sends the remaining bytes with the digest, which the registry verifies.
fn finish(endpoint: &mut Endpoint, upload: &Upload, local: &Local<'_>) -> Result<Step> {
    let url = with_query(&upload.url, &format!("digest={}", local.digest));
    let length = local.size_bytes.saturating_sub(upload.at);
    let section = Section { file: local.file, at: upload.at, length };
    let response = send_section(endpoint, &Method::PUT, &url, section)?;
    match response.status().as_u16() {
        201 | 204 => Ok(Step::Done),
        413 => Err(too_large(endpoint)),
        status if upload.at > 0 && is_permanent(status) => Ok(Step::Whole),
        _ => Err(endpoint.rejected(response)),
    }
}

/// Sends a part of a blob with its range, unless it is the whole.
fn send_section(
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

fn too_large(endpoint: &Endpoint) -> Error {
    Error::RequestTooLarge { host: endpoint.host().to_owned() }
}

/// Whether the status rejects the request itself: not the login, and not temporarily.
fn is_permanent(status: u16) -> bool {
    matches!(status, 400..=499 | 501) && !matches!(status, 401 | 403 | 408 | 429)
}

/// Asks for the position of an upload. None if it no longer exists and has to start over.
fn fetch_position(
    endpoint: &mut Endpoint,
    upload: &Upload,
    size_bytes: u64,
) -> Result<Option<Upload>> {
    let response = endpoint.send(&Method::GET, &upload.url, &[], &Payload::Empty)?;
    if response.status().is_success() {
        let Position { url, at, .. } = Position::read(endpoint, &response);
        let (at, min_bytes) = (at.unwrap_or(0), upload.min_bytes);
        let url = url.unwrap_or_else(|| upload.url.clone());
        let found = Upload { url, at, min_bytes, is_uncertain: false, is_confirmed: true };
        return Ok(Some(found).filter(|found| found.at <= size_bytes));
    }
    let error = endpoint.rejected(response);
    if error.is_transient() { Err(error) } else { Ok(None) }
}

/// What an answer reports about an upload.
struct Position {
    url: Option<String>,
    at: Option<u64>,
    min_bytes: Option<u64>,
}

impl Position {
    fn read(endpoint: &Endpoint, response: &Response) -> Self {
        Self {
            url: header(response, "location")
                .filter(|location| !location.is_empty())
                .map(|location| endpoint.resolve(location)),
            // `0-0` means one byte or none, depending on the registry, so it is ignored.
            at: header(response, "range").and_then(parse_range).filter(|at| *at > 1),
            min_bytes: header(response, "oci-chunk-min-length").and_then(|text| text.parse().ok()),
        }
    }
}

/// Parses `0-N` and returns N + 1.
fn parse_range(text: &str) -> Option<u64> {
    let last = text.trim().trim_start_matches("bytes=").strip_prefix("0-")?;
    last.parse::<u64>().ok()?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_upload_ranges() {
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
