//! Finds the signatures that cosign stores in an image's repository: under a tag made of the
//! digest, or as referrers of the digest. Mirrors are asked first. If a mirror has no valid
//! signature, the next registry is asked; only the own registry decides that there is none.

use std::{fmt, io::Read as _, time::Duration};

use oci::{
    digest::Digest,
    document, manifest, signature,
    signature::{Claim, Key, PAYLOAD_LIMIT_BYTES, SignatureError},
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

    /// One of the `blobs` or `manifests`.
    fn fetch(&mut self, kind: &str, content: &Descriptor) -> Result<Found>;
}

impl Source for Requests<'_> {
    fn tagged(&mut self, tag: &str) -> Result<Found> {
        fetch(self, &format!("manifests/{tag}"))
    }

    fn referrers(&mut self, image: &Digest) -> Result<Vec<Descriptor>> {
        self.list_referrers(image)
    }

    fn fetch(&mut self, kind: &str, content: &Descriptor) -> Result<Found> {
        fetch(self, &format!("{kind}/{}", content.digest()))
    }
}

/// A document, or nothing if it is missing. A document above the limit is cut off and fails its
/// verification.
fn fetch(from: &mut Requests<'_>, path: &str) -> Result<Found> {
    let is_payload = path.starts_with("blobs/");
    let limit_bytes = if is_payload { PAYLOAD_LIMIT_BYTES } else { MANIFEST_LIMIT_BYTES };
    let doing = format!("asking {} for a signature", from.endpoint.host());
    from.run(&doing, |endpoint| {
        let response = endpoint.get(path, &[("accept", manifest::ACCEPT)])?;
        if response.status() == 404 {
            return Ok(None);
        }
        let body = endpoint.expect(200, response)?.into_body().into_reader();
        let mut bytes = Vec::new();
        body.take(limit_bytes)
            .read_to_end(&mut bytes)
            .map_err(|error| Error::Interrupted(format!("reading a signature: {error}")))?;
        Ok(Some(bytes))
    })
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
        let tagged = self.source.tagged(&tag);
        let claims = self.attempt(tagged, &place).flatten().and_then(|bytes| {
            let claims = self.attempt(signature::parse_manifest(&bytes), &place)?;
            if claims.is_empty() {
                self.reject(&place, "no signature in the manifest");
            }
            Some(claims)
        });
        if let Some(key) = claims.and_then(|claims| self.verify(claims, &place, image)) {
            return Some(key);
        }
        let list = self.source.referrers(image);
        let mut list = self.attempt(list, "referrers").unwrap_or_default();
        // The type in a list is a hint: lists by cosign have that of the config.
        list.sort_by_key(|referrer| match referrer.artifact_type() {
            Some(listed) if signature::is_signature(listed.as_ref()) => 0,
            Some(listed) if listed.as_ref() != document::EMPTY => 2,
            _ => 1,
        });
        self.cut(&mut list, "referrers", "the list");
        list.iter().find_map(|referrer| {
            let place = format!("referrer {}", referrer.digest());
            let bytes = self.fetch_exact("manifests", referrer, &place)?;
            let claims = self.attempt(signature::parse_manifest(&bytes), &place)?;
            self.verify(claims, &place, image)
        })
    }

    /// Verifies the signatures in a manifest until one is by a trusted key.
    fn verify(
        &mut self,
        mut claims: Vec<Result<Claim, SignatureError>>,
        place: &str,
        image: &Digest,
    ) -> Option<Key> {
        self.cut(&mut claims, "signatures", place);
        claims.into_iter().find_map(|claim| {
            let claim = claim.map_err(|error| self.reject(place, error)).ok()?;
            let place = format!("{place}, payload {}", claim.payload.digest());
            let payload = self.fetch_exact("blobs", &claim.payload, &place)?;
            match claim.verify(&payload, image, self.keys) {
                Ok(key) => Some(key.clone()),
                Err(error) => {
                    self.reject(&place, &error);
                    if matches!(error, SignatureError::Keyless | SignatureError::Ed25519ph(_)) {
                        self.unsupported = Some(error);
                    }
                    None
                }
            }
        })
    }

    /// The value of `result`. Invalid documents are rejected, other errors are kept.
    fn attempt<T, E: Into<Error>>(&mut self, result: Result<T, E>, place: &str) -> Option<T> {
        match result.map_err(Into::into) {
            Ok(value) => return Some(value),
            Err(error) if matches!(error.root(), Error::Oci(_)) => {
                self.reject(place, error.to_line());
            }
            Err(error) => {
                self.failure.get_or_insert(error);
            }
        }
        None
    }

    fn reject(&mut self, place: &str, reason: impl fmt::Display) {
        self.rejections.push(format!("{place}: {reason}"));
    }

    fn cut<T>(&mut self, items: &mut Vec<T>, name: &str, place: &str) {
        let count = items.len();
        if count > MAX_SIGNATURES {
            self.reject(place, format!("only {MAX_SIGNATURES} of {count} {name} checked"));
            items.truncate(MAX_SIGNATURES);
        }
    }

    /// The content of `expected`, or nothing if it is missing or not what the registry sends.
    fn fetch_exact(&mut self, kind: &str, expected: &Descriptor, place: &str) -> Found {
        let digest = self.attempt(document::digest_of(expected), place)?;
        let found = self.source.fetch(kind, expected);
        match self.attempt(found, place)? {
            Some(bytes) if Digest::of(&bytes) == digest => return Some(bytes),
            Some(bytes) => {
                self.reject(place, format!("the registry sends {} instead", Digest::of(&bytes)));
            }
            None => self.reject(place, "not found in the registry"),
        }
        None
    }
}
