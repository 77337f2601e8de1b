//! Pushes blobs in chunks (OCI distribution spec, "Pushing Blobs"). A broken transfer resumes at
//! the position that the registry reports.

use std::fs::File;

use oci::{digest::Digest, size::Transfer};
use ureq::http::Method;

use crate::{
    blob::after,
    error::{During as _, Error, Result},
    http::{Payload, Response, Section, header, with_query},
    repository::Remote,
};

/// Default size of a chunk. Smaller chunks cost more requests and gain nothing.
const CHUNK_BYTES: u64 = 32 << 20;

/// A file to be pushed as a blob.
#[derive(Clone, Copy, Debug)]
pub struct Local<'a> {
    pub file: &'a File,
    pub digest: Digest,
    pub size_bytes: u64,
}

/// An upload that the registry has accepted.
#[derive(Default)]
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

enum Step {
    /// The registry has the blob.
    Done,
    /// Call [`Remote::advance`] again.
    More,
    /// Chunks are not supported, or counted incorrectly. Send the whole blob in one request.
    Whole,
}

impl Remote<'_> {
    /// Pushes a blob that the registry does not have. `transfer` counts each byte once.
    pub fn push_blob(&mut self, local: &Local<'_>, transfer: &dyn Transfer) -> Result<()> {
        let doing = format!("pushing blob {} to {}", local.digest, self.repository);
        let mut backoff = self.session.backoff();
        let (mut upload, mut chunked) = (None::<Upload>, true);
        // The highest position so far. Only new bytes count and reset the retries, so an upload
        // that starts over again and again ends.
        let mut max = 0;
        let mut has_failed = false;
        loop {
            // The registry may have the blob if only the last answer was lost.
            let may_exist = upload.is_none() && std::mem::take(&mut has_failed);
            let step = if may_exist && self.exists("blobs", &local.digest)? {
                Ok(Step::Done)
            } else {
                self.advance(&mut upload, local, chunked)
            };
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
                    let what = format!("{doing}{}", after(at));
                    backoff.wait(error, &what).during(|| doing.as_str())?;
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

    fn advance(
        &mut self,
        upload: &mut Option<Upload>,
        local: &Local<'_>,
        chunked: bool,
    ) -> Result<Step> {
        let Some(open) = upload else {
            *upload = Some(self.begin()?);
            return Ok(Step::More);
        };
        if open.is_uncertain {
            if !self.fetch_position(open)? || open.at > local.size_bytes {
                *upload = None;
            }
            return Ok(Step::More);
        }
        let left = local.size_bytes.saturating_sub(open.at);
        let chunk = self.session.settings.chunk_bytes.unwrap_or(CHUNK_BYTES).max(open.min_bytes);
        if chunked && left > chunk {
            self.send_chunk(open, local, chunk)
        } else {
            self.finish(open, local)
        }
    }

    fn begin(&mut self) -> Result<Upload> {
        let url = self.endpoint.url("blobs/uploads/");
        let response = self.endpoint.send(&Method::POST, &url, &[], &Payload::Empty)?;
        let response = self.endpoint.expect(202, response)?;
        let url = self.location_of(&response).ok_or_else(|| {
            Error::Protocol("the registry sends no location for the upload".to_owned())
        })?;
        let min_bytes =
            header(&response, "oci-chunk-min-length").and_then(|text| text.parse().ok());
        Ok(Upload { url, min_bytes: min_bytes.unwrap_or(0), ..Upload::default() })
    }

    fn send_chunk(&mut self, upload: &mut Upload, local: &Local<'_>, length: u64) -> Result<Step> {
        let sent = upload.at + length;
        let section = Section { file: local.file, at: upload.at, length };
        let response = self.send_section(&Method::PATCH, &upload.url, section)?;
        match response.status().as_u16() {
            // Amazon's registry answers 201 and always reports the range of the first chunk. A
            // position in between means that a part of the chunk was accepted.
            201 | 202 => {
                let at = position_of(&response);
                upload.at = at.filter(|at| *at > upload.at && *at < sent).unwrap_or(sent);
                upload.url = self.location_of(&response).unwrap_or_else(|| upload.url.clone());
                upload.is_confirmed = false;
                Ok(Step::More)
            }
            // The position may be wrong, so it is asked for. If it is confirmed or 0, then 416 is
            // about the size: GitHub's registry answers that above 4 MiB.
            416 if upload.at > 0 && !upload.is_confirmed => Err(Error::Interrupted(
                "the registry expects another part of the blob (416)".to_owned(),
            )),
            status if is_permanent(status) => Ok(Step::Whole),
            _ => Err(self.upload_rejected(response)),
        }
    }

    /// Sends the remaining bytes with the digest, which the registry verifies.
    fn finish(&mut self, upload: &Upload, local: &Local<'_>) -> Result<Step> {
        let url = with_query(&upload.url, &format!("digest={}", local.digest));
        let length = local.size_bytes.saturating_sub(upload.at);
        let section = Section { file: local.file, at: upload.at, length };
        let response = self.send_section(&Method::PUT, &url, section)?;
        match response.status().as_u16() {
            201 | 204 => Ok(Step::Done),
            status if upload.at > 0 && is_permanent(status) => Ok(Step::Whole),
            _ => Err(self.upload_rejected(response)),
        }
    }

    /// Sends a part of a blob with its range, unless it is the whole.
    fn send_section(&mut self, method: &Method, url: &str, part: Section<'_>) -> Result<Response> {
        let range = format!("{}-{}", part.at, (part.at + part.length).saturating_sub(1));
        let mut headers = vec![("content-type", "application/octet-stream")];
        if part.length > 0 && (part.at > 0 || *method == Method::PATCH) {
            headers.push(("content-range", &range));
        }
        self.endpoint.send(method, url, &headers, &Payload::Section(part))
    }

    /// Asks for the position of an upload. False if it no longer exists and has to start over.
    fn fetch_position(&mut self, upload: &mut Upload) -> Result<bool> {
        let response = self.endpoint.send(&Method::GET, &upload.url, &[], &Payload::Empty)?;
        if !response.status().is_success() {
            let error = self.endpoint.rejected(response);
            return if error.is_transient() { Err(error) } else { Ok(false) };
        }
        upload.at = position_of(&response).unwrap_or(0);
        upload.url = self.location_of(&response).unwrap_or_else(|| upload.url.clone());
        (upload.is_uncertain, upload.is_confirmed) = (false, true);
        Ok(true)
    }

    /// The URL for the next request of an upload, if an answer has one.
    fn location_of(&self, response: &Response) -> Option<String> {
        let location = header(response, "location").filter(|location| !location.is_empty())?;
        Some(self.endpoint.resolve(location))
    }

    fn upload_rejected(&self, response: Response) -> Error {
        match response.status().as_u16() {
            413 => Error::RequestTooLarge { host: self.repository.registry.clone() },
            _ => self.endpoint.rejected(response),
        }
    }
}

/// Whether the status rejects the request itself: not the login, the size, and not temporarily.
fn is_permanent(status: u16) -> bool {
    matches!(status, 400..=499 | 501) && !matches!(status, 401 | 403 | 408 | 413 | 429)
}

/// The number of bytes that the registry has. `0-0` means one byte or none, depending on the
/// registry, so it is ignored.
fn position_of(response: &Response) -> Option<u64> {
    header(response, "range").and_then(parse_range).filter(|at| *at > 1)
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
