//! Finds the signatures that cosign stores in an image's repository: under a tag made of the
//! digest, or as referrers of the digest. Mirrors are asked first. If a mirror has no valid
//! signature, the next registry is asked; only the own registry decides that there is none.

use std::{fmt, time::Duration};

use oci::{
    digest::Digest,
    document, manifest, signature,
    signature::{Key, PAYLOAD_LIMIT_BYTES, SignatureError},
};
use oci_spec::image::Descriptor;

use crate::{
    error::{Error, Result},
    mirrors::{MANIFEST_LIMIT_BYTES, Registry, warn_of_mirror},
    pages::Requests,
    retry::{Backoff, RetryPolicy},
};

/// Maximum number of signatures per manifest, and of manifests of signatures. A registry cannot
/// keep a machine busy forever.
const MAX_SIGNATURES: usize = 64;
/// The time that one registry can take for its answers in a search.
const SEARCH_LIMIT: Duration = Duration::from_mins(5);

/// A valid signature.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signed {
    pub manifest: Digest,
    pub key: Key,
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "signature of {} is good: key {}", self.manifest, self.key)
    }
}

impl Registry<'_> {
    /// Finds a signature of one of `manifests`, in their order, by one of `keys`. If there is none,
    /// the error is [`Error::Unsigned`] or [`Error::InvalidSignature`].
    pub fn verify(&mut self, manifests: &[Digest], keys: &[Key]) -> Result<Signed> {
        let mut last = None;
        let mirrors = self.mirrors.iter_mut().map(|mirror| (mirror, true));
        for (endpoint, is_mirror) in mirrors.chain([(&mut self.own, false)]) {
            // A mirror is asked once, like everywhere else.
            let max_retries = if is_mirror { Some(0) } else { self.policy.max_retries };
            let policy = RetryPolicy { max_retries, ..self.policy };
            let backoff = Backoff::new(policy, self.observer);
            let host = endpoint.host().to_owned();
            let limit = Some(SEARCH_LIMIT);
            let mut source = Requests { endpoint, backoff, limit, answered: None };
            let mut search = Search::new(&mut source, keys);
            match search.find(manifests) {
                Ok(Some(signed)) => return Ok(signed),
                Ok(None) => last = Some((search.rejections, search.unsupported)),
                Err(error) if is_mirror => warn_of_mirror(self.observer, &host, &error),
                Err(error) => return Err(error),
            }
        }
        let (rejected, unsupported) = last.unwrap_or_default();
        let digests: Vec<String> = manifests.iter().map(Digest::to_string).collect();
        let digests = digests.join(" or ");
        let keys = manifest::list(keys.iter().map(Key::to_string));
        if rejected.is_empty() {
            return Err(Error::Unsigned { digests, keys });
        }
        let reasons = manifest::list(rejected.into_iter());
        Err(Error::InvalidSignature { digests, keys, reasons, unsupported })
    }
}

/// A document, if it exists.
type Found = Option<Vec<u8>>;

/// Where signatures are stored. Content is not verified.
pub(crate) trait Source {
    fn tagged(&mut self, tag: &str) -> Result<Found>;

    fn referrers(&mut self, image: &Digest) -> Result<Vec<Descriptor>>;

    /// One of the `blobs` or `manifests`, of this size.
    fn fetch(&mut self, kind: &str, digest: &Digest, size_bytes: u64) -> Result<Found>;
}

impl Source for Requests<'_> {
    fn tagged(&mut self, tag: &str) -> Result<Found> {
        self.document("manifests", tag, MANIFEST_LIMIT_BYTES)
    }

    fn referrers(&mut self, image: &Digest) -> Result<Vec<Descriptor>> {
        self.list_referrers(image)
    }

    fn fetch(&mut self, kind: &str, digest: &Digest, _size_bytes: u64) -> Result<Found> {
        let is_payload = kind == "blobs";
        let limit_bytes = if is_payload { PAYLOAD_LIMIT_BYTES } else { MANIFEST_LIMIT_BYTES };
        self.document(kind, &digest.to_string(), limit_bytes)
    }
}

/// A search for signatures by trusted keys.
pub(crate) struct Search<'a> {
    source: &'a mut dyn Source,
    keys: &'a [Key],
    /// Why the signatures that were found are not accepted.
    rejections: Vec<String>,
    /// A reason for which another kind of signature helps.
    unsupported: Option<SignatureError>,
    /// The first request that failed. A good signature makes it irrelevant.
    failure: Option<Error>,
}

impl<'a> Search<'a> {
    pub(crate) fn new(source: &'a mut dyn Source, keys: &'a [Key]) -> Self {
        Self { source, keys, rejections: Vec::new(), unsupported: None, failure: None }
    }

    /// The first good signature of one of `images`. An error if there is none among those that
    /// could be read.
    pub(crate) fn find(&mut self, images: &[Digest]) -> Result<Option<Signed>> {
        let found = images.iter().find_map(|image| {
            let key = self.find_key(image)?;
            Some(Signed { manifest: *image, key })
        });
        match self.failure.take() {
            Some(error) if found.is_none() => Err(error),
            _ => Ok(found),
        }
    }

    fn find_key(&mut self, image: &Digest) -> Option<Key> {
        let tag = signature::tag_of(image);
        let place = format!("tag {tag}");
        match self.source.tagged(&tag) {
            Ok(Some(bytes)) => {
                let key = self.verify(&bytes, &place, image);
                if key.is_some() {
                    return key;
                }
                if self.rejections.is_empty() && self.failure.is_none() {
                    self.reject(&place, "no signature in the manifest");
                }
            }
            Ok(None) => {}
            Err(error) => self.fail(error, &place),
        }
        let list = self.source.referrers(image);
        let list = list.map_err(|error| self.fail(error, "referrers")).unwrap_or_default();
        let count = list.len();
        if count > MAX_SIGNATURES {
            self.reject("referrers", format!("only {MAX_SIGNATURES} of {count} checked"));
        }
        // The type in a list is a hint: lists by cosign have that of the config.
        let rank = |listed: &Descriptor| match listed.artifact_type() {
            Some(listed) if signature::is_signature(listed.as_ref()) => 0,
            Some(listed) if listed.as_ref() != document::EMPTY => 2,
            _ => 1,
        };
        let mut ranked: Vec<&Descriptor> = Vec::new();
        for at in 0..3 {
            ranked.extend(list.iter().filter(|listed| rank(listed) == at));
        }
        for referrer in ranked.into_iter().take(MAX_SIGNATURES) {
            let place = format!("referrer {}", referrer.digest());
            let key = match document::digest_of(referrer) {
                Ok(digest) => self
                    .fetch_exact("manifests", &digest, referrer.size(), &place)
                    .and_then(|bytes| self.verify(&bytes, &place, image)),
                Err(error) => {
                    self.reject(&place, error);
                    None
                }
            };
            if key.is_some() {
                return key;
            }
        }
        None
    }

    /// Verifies the signatures in a manifest until one is by a trusted key.
    fn verify(&mut self, manifest: &[u8], place: &str, image: &Digest) -> Option<Key> {
        let claims = signature::parse_manifest(manifest);
        let claims = claims.map_err(|error| self.fail(error.into(), place)).ok()?;
        let count = claims.len();
        if count > MAX_SIGNATURES {
            self.reject(place, format!("only {MAX_SIGNATURES} of {count} signatures checked"));
        }
        for claim in claims.into_iter().take(MAX_SIGNATURES) {
            match claim {
                Ok(claim) => {
                    let place = format!("{place}, payload {}", claim.payload);
                    let found = self.fetch_exact("blobs", &claim.payload, claim.size_bytes, &place);
                    let Some(payload) = found else { continue };
                    match claim.verify(&payload, image, self.keys) {
                        Ok(key) => return Some(key.clone()),
                        Err(error) => self.reject_signature(&place, error),
                    }
                }
                Err(error) => self.reject_signature(place, error),
            }
        }
        None
    }

    fn reject_signature(&mut self, place: &str, error: SignatureError) {
        self.reject(place, &error);
        if matches!(error, SignatureError::Keyless | SignatureError::Ed25519ph(_)) {
            self.unsupported = Some(error);
        }
    }

    /// Rejects an invalid document, and keeps any other error.
    fn fail(&mut self, error: Error, place: &str) {
        if matches!(error.root(), Error::Oci(_)) {
            self.reject(place, error.to_line());
        } else {
            self.failure.get_or_insert(error);
        }
    }

    fn reject(&mut self, place: &str, reason: impl fmt::Display) {
        self.rejections.push(format!("{place}: {reason}"));
    }

    /// The content of `digest`, or nothing if it is missing or not what the registry sends.
    fn fetch_exact(&mut self, kind: &str, digest: &Digest, size_bytes: u64, place: &str) -> Found {
        match self.source.fetch(kind, digest, size_bytes) {
            Ok(Some(bytes)) if Digest::of(&bytes) == *digest => return Some(bytes),
            Ok(Some(bytes)) => {
                self.reject(place, format!("the registry sends {} instead", Digest::of(&bytes)));
            }
            Ok(None) => self.reject(place, "not found in the registry"),
            Err(error) => self.fail(error, place),
        }
        None
    }
}
