//! What the fake registry holds, and its right answers.

use std::collections::BTreeMap;

use oci::digest::Digest;
use serde_json::Value;

use super::{Answer, Request};
use crate::{schema, schema::Kind};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

#[derive(Debug, Default)]
pub(crate) struct Store {
    /// By digest.
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    /// Media type and bytes by tag and by digest.
    pub(crate) manifests: BTreeMap<String, (String, Vec<u8>)>,
    /// By number.
    uploads: BTreeMap<String, Vec<u8>>,
    uploads_begun: usize,
    /// Keeps lists of what is about an image.
    pub(crate) knows_referrers: bool,
    /// What it wants at once of a blob, but for its end.
    pub(crate) least_chunk: Option<u64>,
}

impl Store {
    /// Puts a manifest here as if somebody had pushed it. Gives its digest.
    pub(crate) fn add_manifest(&mut self, name: &str, media_type: &str, text: &str) -> String {
        let digest = Digest::of(text.as_bytes()).to_string();
        for name in [name, &digest] {
            let manifest = (media_type.to_owned(), text.as_bytes().to_vec());
            self.manifests.insert(name.to_owned(), manifest);
        }
        digest
    }

    pub(crate) fn add_blob(&mut self, bytes: &[u8]) -> String {
        let digest = Digest::of(bytes).to_string();
        self.blobs.insert(digest.clone(), bytes.to_vec());
        digest
    }

    /// The document of this tag or digest.
    pub(crate) fn document(&self, name: &str) -> Value {
        serde_json::from_slice(&self.manifests[name].1).unwrap()
    }

    pub(super) fn answer(&mut self, request: &Request, body: &[u8]) -> Answer {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let get = matches!(request.method.as_str(), "GET" | "HEAD");
        match (request.method.as_str(), path.split_once('/').unwrap_or((path, ""))) {
            ("POST", ("blobs", "uploads/")) => self.begin(),
            (method, ("blobs", upload)) if upload.starts_with("uploads/") => {
                let number = upload.trim_start_matches("uploads/");
                self.go_on(method, number, query, request, body)
            }
            (_, ("blobs", digest)) if get => self.give_blob(digest, request.header("range")),
            (_, ("manifests", name)) if get => self.give_manifest(name),
            ("PUT", ("manifests", name)) => self.take_manifest(name, request, body),
            ("DELETE", ("manifests", name)) => match self.manifests.remove(name) {
                Some(_) => Answer::new(202),
                None => Answer::error(404, "MANIFEST_UNKNOWN"),
            },
            (_, ("referrers", subject)) if get && self.knows_referrers => self.list(subject),
            _ => Answer::error(404, "NOT_FOUND"),
        }
    }

    fn begin(&mut self) -> Answer {
        self.uploads_begun += 1;
        let number = self.uploads_begun.to_string();
        self.uploads.insert(number.clone(), Vec::new());
        self.told(202, &number)
    }

    /// An answer that says how far an upload is. Its URL is another each time.
    fn told(&self, status: u16, number: &str) -> Answer {
        let length = self.uploads[number].len();
        let last = length.saturating_sub(1);
        let answer = Answer::new(status)
            .header("Location", format!("/v2/os/blobs/uploads/{number}?x=1&state={length}"))
            .header("Range", format!("0-{last}"));
        match self.least_chunk {
            Some(bytes) => answer.header("OCI-Chunk-Min-Length", bytes.to_string()),
            None => answer,
        }
    }

    fn go_on(
        &mut self,
        method: &str,
        number: &str,
        query: &str,
        request: &Request,
        body: &[u8],
    ) -> Answer {
        let Some(upload) = self.uploads.get_mut(number) else {
            return Answer::error(404, "BLOB_UPLOAD_UNKNOWN");
        };
        let has = upload.len().to_string();
        let state = query.split('&').find_map(|pair| pair.strip_prefix("state="));
        let range = request.header("content-range");
        let start = range.and_then(|range| range.split_once('-')).map(|(start, _)| start);
        match method {
            "GET" => return self.told(204, number),
            // Who was not told of the last change has to ask.
            _ if state != Some(&has) => return Answer::error(416, "BLOB_UPLOAD_INVALID"),
            // As zot has it: what says nothing of its place is the whole.
            _ if !body.is_empty() && start.unwrap_or("0") != has => {
                return Answer::error(416, "BLOB_UPLOAD_INVALID");
            }
            "PATCH" if start.is_none() => return Answer::error(400, "RANGE_MISSING"),
            _ => upload.extend_from_slice(body),
        }
        if method == "PATCH" {
            return self.told(202, number);
        }
        let wanted = query.split('&').find_map(|pair| pair.strip_prefix("digest="));
        let bytes = self.uploads.remove(number).unwrap();
        let digest = Digest::of(&bytes).to_string();
        if wanted != Some(&digest) {
            return Answer::error(400, "DIGEST_INVALID");
        }
        self.blobs.insert(digest, bytes);
        Answer::new(201)
    }

    fn give_blob(&self, digest: &str, range: Option<&str>) -> Answer {
        let Some(bytes) = self.blobs.get(digest) else {
            return Answer::error(404, "BLOB_UNKNOWN");
        };
        let from = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
        match from.and_then(|from| from.parse::<usize>().ok()) {
            None => Answer::new(200).body("application/octet-stream", bytes.clone()),
            Some(from) if from < bytes.len() => Answer::new(206)
                .header(
                    "Content-Range",
                    format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len()),
                )
                .body("application/octet-stream", &bytes[from..]),
            Some(_) => Answer::error(416, "RANGE_INVALID"),
        }
    }

    fn give_manifest(&self, name: &str) -> Answer {
        match self.manifests.get(name) {
            Some((media_type, bytes)) => Answer::new(200)
                .header("Docker-Content-Digest", Digest::of(bytes).to_string())
                .body(media_type, bytes.clone()),
            None => Answer::error(404, "MANIFEST_UNKNOWN"),
        }
    }

    fn take_manifest(&mut self, name: &str, request: &Request, body: &[u8]) -> Answer {
        let media_type = request.header("content-type").unwrap_or_default().to_owned();
        if let Err(error) = schema::judge(Kind::of(&media_type), body) {
            // As the message of a refusal a test shows it.
            return Answer::error(400, &format!("MANIFEST_INVALID {error}"));
        }
        let document: Value = serde_json::from_slice(body).unwrap();
        let parts =
            document["layers"].as_array().into_iter().flatten().chain(document.get("config"));
        for part in parts {
            if !self.blobs.contains_key(part["digest"].as_str().unwrap()) {
                return Answer::error(404, "MANIFEST_BLOB_UNKNOWN");
            }
        }
        let entries = document["manifests"].as_array().into_iter().flatten();
        for entry in entries {
            if !self.manifests.contains_key(entry["digest"].as_str().unwrap()) {
                return Answer::error(404, "MANIFEST_UNKNOWN");
            }
        }
        let text = String::from_utf8(body.to_vec()).unwrap();
        let digest = self.add_manifest(name, &media_type, &text);
        if name.starts_with("sha256:") && name != digest {
            return Answer::error(400, "DIGEST_INVALID");
        }
        match document["subject"]["digest"].as_str() {
            Some(subject) if self.knows_referrers => {
                Answer::new(201).header("OCI-Subject", subject)
            }
            _ => Answer::new(201),
        }
    }

    fn list(&self, subject: &str) -> Answer {
        let by_digest = self.manifests.iter().filter(|(name, _)| name.starts_with("sha256:"));
        let manifests = by_digest.filter_map(|(digest, (media_type, bytes))| {
            let document: Value = serde_json::from_slice(bytes).ok()?;
            (document["subject"]["digest"] == subject).then(|| {
                serde_json::json!({
                    "mediaType": media_type,
                    "digest": digest,
                    "size": bytes.len(),
                    "artifactType": document["artifactType"],
                })
            })
        });
        let index = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": manifests.collect::<Vec<_>>(),
        });
        Answer::new(200).body(INDEX, index.to_string())
    }
}
