//! The signatures of an image, from where cosign puts them in its repository: under a tag made of the digest, or as what refers to the digest.
//!
//! A signature proves itself, so mirrors are asked first here too. What a mirror lacks or garbles is looked for at the next registry: only the
//! image's own has the last word that there is no good one.

use crate::endpoint::Endpoint;
use crate::error::HttpError;
use crate::error::status_of;
use crate::mirrors::MANIFEST_LIMIT_BYTES;
use crate::mirrors::Registry;
use crate::observer::Observer;
use crate::retry;
use crate::retry::RetryPolicy;
use anyhow::Result;
use oci::digest::Digest;
use oci::manifest;
use oci::signature;
use oci::signature::Claim;
use oci::signature::Key;
use oci::signature::PAYLOAD_LIMIT_BYTES;
use oci::signature::Referrer;
use std::fmt;
use std::io::Read as _;
use thiserror::Error;

/// So many signatures of a manifest are looked at, and so many manifests of signatures: enough for everybody who signs, and an end for a registry
/// that has none.
const MOST: usize = 64;

/// The answer of a registry that has no such document.
const MISSING: &[u16] = &[404];
/// The answers of registries without the referrers API: the spec's, and what older ones make of a path that they do not know.
const NO_REFERRERS: &[u16] = &[400, 404, 405];

/// What was signed, and by whom.
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

/// Nobody who is trusted has signed the image.
#[derive(Debug, Error)]
pub enum NotSigned {
    #[error("{digests} is not signed; trusted are {keys}; hint: sign it by `cosign sign --key`")]
    Unsigned { digests: String, keys: String },
    #[error("no signature of {digests} is good: {faults}; trusted are {keys}")]
    Unfit { digests: String, keys: String, faults: String },
}

impl NotSigned {
    fn new(manifests: &[Digest], keys: &[Key], faults: &[String]) -> Self {
        let digests: Vec<String> = manifests.iter().map(Digest::to_string).collect();
        let digests = digests.join(" or ");
        let keys = manifest::list(keys.iter().map(Key::to_string));
        if faults.is_empty() {
            Self::Unsigned { digests, keys }
        } else {
            Self::Unfit { digests, keys, faults: manifest::list(faults.iter().cloned()) }
        }
    }
}

impl Registry {
    /// Finds a signature of one of `manifests`, in their order, by one of `keys`. Without one the error is a [`NotSigned`].
    pub fn verify(
        &mut self,
        manifests: &[Digest],
        keys: &[Key],
        observer: &dyn Observer,
    ) -> Result<Signed> {
        let own = self.endpoints.len().saturating_sub(1);
        let mut faults = Vec::new();
        for (at, endpoint) in self.endpoints.iter_mut().enumerate() {
            let is_mirror = at < own;
            // As for everything else, a mirror has one try.
            let max_retries = if is_mirror { Some(0) } else { self.policy.max_retries };
            let policy = RetryPolicy { max_retries, ..self.policy };
            let mut search = Search { endpoint, policy, keys, observer, faults: Vec::new() };
            match search.run(manifests) {
                Ok(Some(signed)) => return Ok(signed),
                Ok(None) => faults = search.faults,
                Err(error) if is_mirror => {
                    let host = search.endpoint.host();
                    observer.warn(format!("mirror {host}: {error:#}; asking the next registry"));
                }
                Err(error) => return Err(error),
            }
        }
        Err(NotSigned::new(manifests, keys, &faults).into())
    }
}

/// A look through one repository at one host.
struct Search<'a> {
    endpoint: &'a mut Endpoint,
    policy: RetryPolicy,
    keys: &'a [Key],
    observer: &'a dyn Observer,
    /// Why what was found does not count.
    faults: Vec<String>,
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
            && let Some(key) = self.judge(&bytes, &place, image)?
        {
            return Ok(Some(key));
        }
        for digest in self.find_referrers(image)? {
            let place = format!("referrer {digest}");
            if let Some(bytes) =
                self.fetch_named("manifests", &digest, MANIFEST_LIMIT_BYTES, &place)?
                && let Some(key) = self.judge(&bytes, &place, image)?
            {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// Manifests of signatures that refer to `image` (OCI distribution spec, "Listing Referrers" and "Referrers Tag Schema").
    fn find_referrers(&mut self, image: &Digest) -> Result<Vec<Digest>> {
        let mut found =
            self.fetch(&format!("referrers/{image}"), MANIFEST_LIMIT_BYTES, NO_REFERRERS)?;
        if found.is_none() {
            let path = format!("manifests/{}", image.to_tag());
            found = self.fetch(&path, MANIFEST_LIMIT_BYTES, MISSING)?;
        }
        let Some(bytes) = found else { return Ok(Vec::new()) };
        let referrers = match signature::parse_referrers(&bytes).map_err(anyhow::Error::from) {
            Ok(referrers) => referrers,
            Err(error) => {
                self.faults.push(format!("{error:#}"));
                return Ok(Vec::new());
            }
        };
        let mut digests = Vec::new();
        for referrer in referrers {
            match referrer {
                Referrer::Signatures(digest) => digests.push(digest),
                Referrer::Bundle(digest) => self.faults.push(format!(
                    "referrer {digest}: it is a sigstore bundle, which is not read here (hint: `cosign sign --new-bundle-format=false`)"
                )),
            }
        }
        self.cut(&mut digests, "the list of referrers");
        Ok(digests)
    }

    /// The trusted key that has made one of the signatures in a manifest of them.
    fn judge(&mut self, bytes: &[u8], place: &str, image: &Digest) -> Result<Option<Key>> {
        let mut claims = match signature::parse_manifest(bytes).map_err(anyhow::Error::from) {
            Ok(claims) => claims,
            Err(error) => {
                self.faults.push(format!("{place}: {error:#}"));
                return Ok(None);
            }
        };
        if claims.is_empty() {
            self.faults.push(format!("{place}: it lists no signature"));
        }
        self.cut(&mut claims, place);
        for claim in claims {
            match claim {
                Ok(claim) => {
                    if let Some(key) = self.judge_claim(&claim, place, image)? {
                        return Ok(Some(key));
                    }
                }
                Err(unfit) => self.faults.push(format!("{place}: {unfit}")),
            }
        }
        Ok(None)
    }

    fn judge_claim(&mut self, claim: &Claim, place: &str, image: &Digest) -> Result<Option<Key>> {
        let place = format!("{place}, payload {}", claim.payload);
        let found = self.fetch_named("blobs", &claim.payload, PAYLOAD_LIMIT_BYTES, &place)?;
        let Some(payload) = found else { return Ok(None) };
        match claim.verify(&payload, image, self.keys) {
            Ok(key) => Ok(Some(key.clone())),
            Err(unfit) => {
                self.faults.push(format!("{place}: {unfit}"));
                Ok(None)
            }
        }
    }

    fn cut<T>(&mut self, items: &mut Vec<T>, place: &str) {
        if items.len() > MOST {
            self.faults
                .push(format!("{place}: of {} signatures only {MOST} are looked at", items.len()));
            items.truncate(MOST);
        }
    }

    /// What `digest` names, or nothing where the registry has not got it or something else in its place.
    fn fetch_named(
        &mut self,
        folder: &str,
        digest: &Digest,
        limit_bytes: u64,
        place: &str,
    ) -> Result<Option<Vec<u8>>> {
        let fault = match self.fetch(&format!("{folder}/{digest}"), limit_bytes, MISSING)? {
            Some(bytes) if Digest::of(&bytes) == *digest => return Ok(Some(bytes)),
            Some(bytes) => format!("the registry sends {} in its place", Digest::of(&bytes)),
            None => "the registry has not got it".to_owned(),
        };
        self.faults.push(format!("{place}: {fault}"));
        Ok(None)
    }

    /// A document up to its first `limit_bytes`, or nothing where the answer is one of `missing`.
    fn fetch(&mut self, path: &str, limit_bytes: u64, missing: &[u16]) -> Result<Option<Vec<u8>>> {
        let doing = format!("asking {} for a signature", self.endpoint.host());
        let is_missing =
            |error: &_| status_of(error).is_some_and(|status| missing.contains(&status));
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
    if response.status() != 200 {
        return Err(endpoint.refused(response).into());
    }
    let mut bytes = Vec::new();
    // What is longer is cut off, and then it is not what it should be.
    let mut body = response.into_body().into_reader().take(limit_bytes);
    body.read_to_end(&mut bytes)
        .map_err(|error| HttpError::broken(format!("reading a signature: {error}")))?;
    Ok(bytes)
}
