//! Finds the signatures that cosign stores in an image's repository: under a tag made of the
//! digest, or as referrers of the digest. Mirrors are asked first. If a mirror has no valid
//! signature, the next registry is asked; only the own registry decides that there is none.

use std::{fmt, io::Read as _};

use oci::{
    digest::Digest,
    manifest, signature,
    signature::{Claim, Key, PAYLOAD_LIMIT_BYTES, Referrer},
};

use crate::{
    endpoint::Endpoint,
    error::{Error, Result},
    mirrors::{MANIFEST_LIMIT_BYTES, Registry, warn_of_mirror},
    retry::{Backoff, RetryPolicy},
};

/// Maximum number of signatures per manifest, and of manifests of signatures. A registry cannot
/// keep a machine busy forever.
pub(crate) const MAX_SIGNATURES: usize = 64;

/// The status for a missing document.
const MISSING: &[u16] = &[404];
/// The statuses of registries without the referrers API: the one of the spec, and those of older
/// registries for an unknown path.
const NO_REFERRERS: &[u16] = &[400, 404, 405];

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
        let (mut rejected, mut has_bundle) = (Vec::new(), false);
        let mirrors = self.mirrors.iter_mut().map(|mirror| (mirror, true));
        for (endpoint, is_mirror) in mirrors.chain([(&mut self.own, false)]) {
            // A mirror is asked once, like everywhere else.
            let max_retries = if is_mirror { Some(0) } else { self.policy.max_retries };
            let policy = RetryPolicy { max_retries, ..self.policy };
            let backoff = Backoff::new(policy, self.observer);
            let rejections = Vec::new();
            let mut search = Search { endpoint, backoff, keys, rejections, has_bundle: false };
            match manifests.iter().find_map(|image| search.find(image).transpose()).transpose() {
                Ok(Some(signed)) => return Ok(signed),
                Ok(None) => (rejected, has_bundle) = (search.rejections, search.has_bundle),
                Err(error) if is_mirror => warn_of_mirror(self.observer, endpoint.host(), &error),
                Err(error) => return Err(error),
            }
        }
        let digests: Vec<String> = manifests.iter().map(Digest::to_string).collect();
        let digests = digests.join(" or ");
        let keys = manifest::list(keys.iter().map(Key::to_string));
        if rejected.is_empty() {
            return Err(Error::Unsigned { digests, keys });
        }
        let reasons = manifest::list(rejected.into_iter());
        Err(Error::InvalidSignature { digests, keys, reasons, has_bundle })
    }
}

/// A document, if the registry has it.
type Found = Option<Vec<u8>>;

/// A search in one repository on one host.
struct Search<'a> {
    endpoint: &'a mut Endpoint,
    backoff: Backoff<'a>,
    keys: &'a [Key],
    /// Why the signatures that were found are not accepted.
    rejections: Vec<String>,
    /// Whether one of them is a sigstore bundle.
    has_bundle: bool,
}

impl Search<'_> {
    fn find(&mut self, image: &Digest) -> Result<Option<Signed>> {
        let tag = signature::tag_of(image);
        let tagged = self.fetch(&format!("manifests/{tag}"), MISSING)?;
        if let Some(signed) = self.verify(tagged, &format!("tag {tag}"), image)? {
            return Ok(Some(signed));
        }
        for digest in self.find_referrers(image)? {
            let place = format!("referrer {digest}");
            let listed = self.fetch_exact("manifests", &digest, &place)?;
            if let Some(signed) = self.verify(listed, &place, image)? {
                return Ok(Some(signed));
            }
        }
        Ok(None)
    }

    /// Manifests of signatures that refer to `image` (OCI distribution spec, "Listing Referrers" and
    /// "Referrers Tag Schema").
    fn find_referrers(&mut self, image: &Digest) -> Result<Vec<Digest>> {
        let mut found = self.fetch(&format!("referrers/{image}"), NO_REFERRERS)?;
        if found.is_none() {
            let path = format!("manifests/{}", image.to_tag());
            found = self.fetch(&path, MISSING)?;
        }
        let referrers = found.map_or(Ok(Vec::new()), |bytes| signature::parse_referrers(&bytes));
        let referrers = referrers.unwrap_or_else(|error| {
            self.rejections.push(Error::from(error).to_line());
            Vec::new()
        });
        let mut digests = Vec::new();
        for referrer in referrers {
            match referrer {
                Referrer::Signatures(digest) => digests.push(digest),
                Referrer::Bundle(digest) => {
                    self.has_bundle = true;
                    let place = format!("referrer {digest}");
                    self.reject(&place, "sigstore bundles are not supported");
                }
            }
        }
        self.cut(&mut digests, "the list of referrers");
        Ok(digests)
    }

    /// Verifies the signatures in a manifest, if it was found, until one is by a trusted key.
    fn verify(&mut self, found: Found, place: &str, image: &Digest) -> Result<Option<Signed>> {
        let Some(bytes) = found else { return Ok(None) };
        let mut claims = match signature::parse_manifest(&bytes) {
            Ok(claims) => claims,
            Err(error) => {
                self.reject(place, Error::from(error).to_line());
                return Ok(None);
            }
        };
        if claims.is_empty() {
            self.reject(place, "no signature in the manifest");
        }
        self.cut(&mut claims, place);
        for claim in claims {
            match claim {
                Ok(claim) => {
                    if let Some(key) = self.verify_claim(&claim, place, image)? {
                        return Ok(Some(Signed { manifest: *image, key }));
                    }
                }
                Err(error) => self.reject(place, error),
            }
        }
        Ok(None)
    }

    fn verify_claim(&mut self, claim: &Claim, place: &str, image: &Digest) -> Result<Option<Key>> {
        let place = format!("{place}, payload {}", claim.payload);
        let found = self.fetch_exact("blobs", &claim.payload, &place)?;
        let Some(payload) = found else { return Ok(None) };
        let verified = claim.verify(&payload, image, self.keys);
        Ok(verified.map_err(|error| self.reject(&place, error)).ok().cloned())
    }

    fn reject(&mut self, place: &str, reason: impl fmt::Display) {
        self.rejections.push(format!("{place}: {reason}"));
    }

    fn cut<T>(&mut self, items: &mut Vec<T>, place: &str) {
        let count = items.len();
        if count > MAX_SIGNATURES {
            self.reject(place, format!("only {MAX_SIGNATURES} of {count} signatures checked"));
            items.truncate(MAX_SIGNATURES);
        }
    }

    /// The content of `digest`, or nothing if it is missing or not what the registry sends.
    fn fetch_exact(&mut self, kind: &str, digest: &Digest, place: &str) -> Result<Found> {
        match self.fetch(&format!("{kind}/{digest}"), MISSING)? {
            Some(bytes) if Digest::of(&bytes) == *digest => return Ok(Some(bytes)),
            Some(bytes) => {
                self.reject(place, format!("the registry sends {} instead", Digest::of(&bytes)));
            }
            None => self.reject(place, "not found in the registry"),
        }
        Ok(None)
    }

    /// A document, or nothing if the status is one of `missing`. A document above the limit is cut
    /// off and fails its verification.
    fn fetch(&mut self, path: &str, missing: &[u16]) -> Result<Found> {
        let is_payload = path.starts_with("blobs/");
        let limit_bytes = if is_payload { PAYLOAD_LIMIT_BYTES } else { MANIFEST_LIMIT_BYTES };
        let doing = format!("asking {} for a signature", self.endpoint.host());
        self.backoff.run(&doing, || {
            let response = self.endpoint.get(path, &[("accept", manifest::ACCEPT)])?;
            if missing.contains(&response.status().as_u16()) {
                return Ok(None);
            }
            let body = self.endpoint.expect(200, response)?.into_body().into_reader();
            let mut bytes = Vec::new();
            body.take(limit_bytes)
                .read_to_end(&mut bytes)
                .map_err(|error| Error::Interrupted(format!("reading a signature: {error}")))?;
            Ok(Some(bytes))
        })
    }
}
