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
    mirrors::{MANIFEST_LIMIT_BYTES, Registry},
    observer::Observer,
    retry,
    retry::RetryPolicy,
};

/// Maximum number of signatures per manifest, and of manifests of signatures. A registry cannot
/// keep a machine busy forever.
const MAX_SIGNATURES: usize = 64;

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

impl Registry {
    /// Finds a signature of one of `manifests`, in their order, by one of `keys`. If there is none,
    /// the error is [`Error::Unsigned`] or [`Error::InvalidSignature`].
    pub fn verify(
        &mut self,
        manifests: &[Digest],
        keys: &[Key],
        observer: &dyn Observer,
    ) -> Result<Signed> {
        let own = self.endpoints.len().saturating_sub(1);
        let (mut rejected, mut has_bundle) = (Vec::new(), false);
        for (at, endpoint) in self.endpoints.iter_mut().enumerate() {
            let is_mirror = at < own;
            // A mirror is asked once, like everywhere else.
            let max_retries = if is_mirror { Some(0) } else { self.policy.max_retries };
            let policy = RetryPolicy { max_retries, ..self.policy };
            let rejections = Vec::new();
            let mut search =
                Search { endpoint, policy, keys, observer, rejections, has_bundle: false };
            match search.run(manifests) {
                Ok(Some(signed)) => return Ok(signed),
                Ok(None) => (rejected, has_bundle) = (search.rejections, search.has_bundle),
                Err(error) if is_mirror => {
                    let host = search.endpoint.host();
                    let error = error.to_line();
                    observer.warn(format!("mirror {host}: {error}; asking the next registry"));
                }
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

/// A search in one repository on one host.
struct Search<'a> {
    endpoint: &'a mut Endpoint,
    policy: RetryPolicy,
    keys: &'a [Key],
    observer: &'a dyn Observer,
    /// Why the signatures that were found are not accepted.
    rejections: Vec<String>,
    /// Whether one of them is a sigstore bundle.
    has_bundle: bool,
}

impl Search<'_> {
    fn run(&mut self, manifests: &[Digest]) -> Result<Option<Signed>> {
        for manifest in manifests {
            if let Some(key) = self.find(manifest)? {
                return Ok(Some(Signed { manifest: *manifest, key }));
            }
        }
        Ok(None)
    }

    fn find(&mut self, image: &Digest) -> Result<Option<Key>> {
        let tag = signature::tag_of(image);
        let place = format!("tag {tag}");
        let path = format!("manifests/{tag}");
        if let Some(bytes) = self.fetch(&path, MANIFEST_LIMIT_BYTES, MISSING)?
            && let Some(key) = self.verify(&bytes, &place, image)?
        {
            return Ok(Some(key));
        }
        for digest in self.find_referrers(image)? {
            let place = format!("referrer {digest}");
            if let Some(bytes) =
                self.fetch_by_digest("manifests", &digest, MANIFEST_LIMIT_BYTES, &place)?
                && let Some(key) = self.verify(&bytes, &place, image)?
            {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// Manifests of signatures that refer to `image` (OCI distribution spec, "Listing Referrers" and
    /// "Referrers Tag Schema").
    fn find_referrers(&mut self, image: &Digest) -> Result<Vec<Digest>> {
        let mut found =
            self.fetch(&format!("referrers/{image}"), MANIFEST_LIMIT_BYTES, NO_REFERRERS)?;
        if found.is_none() {
            let path = format!("manifests/{}", image.to_tag());
            found = self.fetch(&path, MANIFEST_LIMIT_BYTES, MISSING)?;
        }
        let Some(bytes) = found else { return Ok(Vec::new()) };
        let referrers = match signature::parse_referrers(&bytes).map_err(Error::from) {
            Ok(referrers) => referrers,
            Err(error) => {
                self.rejections.push(error.to_line());
                return Ok(Vec::new());
            }
        };
        let mut digests = Vec::new();
        for referrer in referrers {
            match referrer {
                Referrer::Signatures(digest) => digests.push(digest),
                Referrer::Bundle(digest) => {
                    self.has_bundle = true;
                    let text = "sigstore bundles are not supported";
                    self.rejections.push(format!("referrer {digest}: {text}"));
                }
            }
        }
        self.cut(&mut digests, "the list of referrers");
        Ok(digests)
    }

    /// The trusted key that made one of the signatures in a manifest.
    fn verify(&mut self, bytes: &[u8], place: &str, image: &Digest) -> Result<Option<Key>> {
        let mut claims = match signature::parse_manifest(bytes).map_err(Error::from) {
            Ok(claims) => claims,
            Err(error) => {
                self.rejections.push(format!("{place}: {}", error.to_line()));
                return Ok(None);
            }
        };
        if claims.is_empty() {
            self.rejections.push(format!("{place}: no signature in the manifest"));
        }
        self.cut(&mut claims, place);
        for claim in claims {
            match claim {
                Ok(claim) => {
                    if let Some(key) = self.verify_claim(&claim, place, image)? {
                        return Ok(Some(key));
                    }
                }
                Err(error) => self.rejections.push(format!("{place}: {error}")),
            }
        }
        Ok(None)
    }

    fn verify_claim(&mut self, claim: &Claim, place: &str, image: &Digest) -> Result<Option<Key>> {
        let place = format!("{place}, payload {}", claim.payload);
        let found = self.fetch_by_digest("blobs", &claim.payload, PAYLOAD_LIMIT_BYTES, &place)?;
        let Some(payload) = found else { return Ok(None) };
        match claim.verify(&payload, image, self.keys) {
            Ok(key) => Ok(Some(key.clone())),
            Err(error) => {
                self.rejections.push(format!("{place}: {error}"));
                Ok(None)
            }
        }
    }

    fn cut<T>(&mut self, items: &mut Vec<T>, place: &str) {
        if items.len() > MAX_SIGNATURES {
            let count = items.len();
            self.rejections
                .push(format!("{place}: only {MAX_SIGNATURES} of {count} signatures checked"));
            items.truncate(MAX_SIGNATURES);
        }
    }

    /// The content of `digest`, or nothing if it is missing or not what the registry sends.
    fn fetch_by_digest(
        &mut self,
        kind: &str,
        digest: &Digest,
        limit_bytes: u64,
        place: &str,
    ) -> Result<Option<Vec<u8>>> {
        let reason = match self.fetch(&format!("{kind}/{digest}"), limit_bytes, MISSING)? {
            Some(bytes) if Digest::of(&bytes) == *digest => return Ok(Some(bytes)),
            Some(bytes) => format!("the registry sends {} instead", Digest::of(&bytes)),
            None => "not found in the registry".to_owned(),
        };
        self.rejections.push(format!("{place}: {reason}"));
        Ok(None)
    }

    /// At most `limit_bytes` of a document, or nothing if the status is one of `missing`.
    fn fetch(&mut self, path: &str, limit_bytes: u64, missing: &[u16]) -> Result<Option<Vec<u8>>> {
        let doing = format!("asking {} for a signature", self.endpoint.host());
        let is_missing =
            |error: &Error| error.status().is_some_and(|status| missing.contains(&status));
        retry::with_retry(self.policy, &doing, self.observer, || {
            match fetch_once(self.endpoint, path, limit_bytes) {
                Err(error) if is_missing(&error) => Ok(None),
                other => other.map(Some),
            }
        })
    }
}

fn fetch_once(endpoint: &mut Endpoint, path: &str, limit_bytes: u64) -> Result<Vec<u8>> {
    let response = endpoint.get(path, &[("accept", manifest::ACCEPT)])?;
    let mut bytes = Vec::new();
    // A longer document is cut off and fails its verification.
    let mut body = endpoint.expect(200, response)?.into_body().into_reader().take(limit_bytes);
    body.read_to_end(&mut bytes)
        .map_err(|error| Error::Interrupted(format!("reading a signature: {error}")))?;
    Ok(bytes)
}
