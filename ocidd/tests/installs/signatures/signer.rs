//! Keys of a site and what they sign, in the places of a registry where cosign puts it. Written from cosign's specification, without a line of
//! the installer's.

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};

use crate::{
    fake::{Answer, Fake, INDEX, MANIFEST},
    images::Layer,
    target::Target,
};

/// A key with its private half.
pub(crate) struct Signer(KeyPair);

impl Signer {
    pub(crate) fn p256() -> Self {
        Self(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap())
    }

    pub(crate) fn ed25519() -> Self {
        Self(KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap())
    }

    /// As a word has it.
    pub(crate) fn base64(&self) -> String {
        STANDARD.encode(self.0.subject_public_key_info())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.public_key_pem()
    }

    /// Puts the key into the folder of the site's keys.
    pub(crate) fn trust(&self, target: &Target, name: &str) {
        fs::create_dir_all(target.keys_folder()).unwrap();
        fs::write(target.keys_folder().join(name), self.pem()).unwrap();
    }

    /// A layer of a manifest of signatures, with its payload in the registry.
    pub(crate) fn layer(&self, fake: &mut Fake, payload: &str) -> Value {
        let blob = Layer::new(payload);
        let answer = Answer::new(200, "application/octet-stream", payload);
        fake.answers.insert(format!("/v2/os/blobs/{}", blob.digest), answer);
        let mut layer = blob.descriptor("application/vnd.dev.cosign.simplesigning.v1+json");
        let signature = STANDARD.encode(self.0.sign(payload.as_bytes()).unwrap());
        layer["annotations"] = json!({ "dev.cosignproject.cosign/signature": signature });
        layer
    }
}

/// The media type of bundles.
pub(crate) const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

impl Signer {
    /// What cosign 3 signs of `image`.
    pub(crate) fn bundle(&self, image: &str) -> Value {
        let predicate = "https://sigstore.dev/cosign/sign/v1";
        self.bundle_with("https://in-toto.io/Statement/v1", predicate, image)
    }

    pub(crate) fn bundle_with(&self, kind: &str, predicate: &str, image: &str) -> Value {
        let payload = json!({
            "_type": kind,
            "subject": [{ "digest": { "sha256": image.replace("sha256:", "") } }],
            "predicateType": predicate,
            "predicate": {},
        });
        let (payload, media_type) = (payload.to_string(), "application/vnd.in-toto+json");
        let (type_length, length) = (media_type.len(), payload.len());
        let signed = format!("DSSEv1 {type_length} {media_type} {length} {payload}");
        let signature = STANDARD.encode(self.0.sign(signed.as_bytes()).unwrap());
        json!({
            "mediaType": BUNDLE,
            "verificationMaterial": { "publicKey": { "hint": "" } },
            "dsseEnvelope": {
                "payload": STANDARD.encode(payload),
                "payloadType": media_type,
                "signatures": [{ "sig": signature }],
            },
        })
    }
}

/// Pushes a manifest with a bundle, as cosign 3 does. Gives its entry in a list, which by the
/// referrers API has the manifest's type and in a list by cosign that of the config.
pub(crate) fn add_bundle(fake: &mut Fake, place: Place, image: &str, bundle: &Value) -> Value {
    let blob = Layer::new(bundle.to_string());
    let answer = Answer::new(200, "application/octet-stream", blob.compressed.clone());
    fake.answers.insert(format!("/v2/os/blobs/{}", blob.digest), answer);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": BUNDLE,
        "config": Layer::new("{}").descriptor(EMPTY),
        "layers": [blob.descriptor(BUNDLE)],
        "subject": { "mediaType": MANIFEST, "digest": image, "size": 1 },
    });
    let listed = if place == Place::FallbackTag { EMPTY } else { BUNDLE };
    add_referrer(fake, &manifest, listed)
}

/// Adds a manifest without a tag. Gives its entry in a list.
pub(crate) fn add_referrer(fake: &mut Fake, manifest: &Value, listed: &str) -> Value {
    let manifest = Layer::new(manifest.to_string());
    let answer = Answer::new(200, MANIFEST, manifest.compressed.clone());
    fake.answers.insert(format!("/v2/os/manifests/{}", manifest.digest), answer);
    let mut entry = manifest.descriptor(MANIFEST);
    entry["artifactType"] = listed.into();
    entry
}

/// An attachment that is not a signature.
pub(crate) fn add_attachment(fake: &mut Fake, name: &str) -> Value {
    let layer = Layer::new(name).descriptor("text/plain");
    let config = Layer::new("{}").descriptor(EMPTY);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "build/log",
        "config": config, "layers": [layer],
    });
    add_referrer(fake, &manifest, "build/log")
}

/// Where a signature is found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    Tag,
    /// By the referrers API.
    Referrer,
    /// The same, for a registry without that API.
    FallbackTag,
}

impl Place {
    pub(crate) const ALL: [Self; 3] = [Self::Tag, Self::Referrer, Self::FallbackTag];

    /// Pushes a manifest of these signatures of `image`.
    pub(crate) fn push(self, fake: &mut Fake, image: &str, layers: &[Value]) {
        let artifact = "application/vnd.dev.cosign.artifact.sig.v1+json";
        let config = Layer::new("{}").descriptor("application/vnd.oci.image.config.v1+json");
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": artifact,
            "config": config,
            "layers": layers,
            "subject": { "mediaType": MANIFEST, "digest": image, "size": 1 },
        });
        let manifest = Layer::new(manifest.to_string());
        let answer = Answer::new(200, MANIFEST, manifest.compressed.clone());
        if self == Self::Tag {
            fake.answers.insert(signature_path(image), answer);
            return;
        }
        fake.answers.insert(format!("/v2/os/manifests/{}", manifest.digest), answer);
        let mut entry = manifest.descriptor(MANIFEST);
        entry["artifactType"] = artifact.into();
        self.push_list(fake, image, &[entry]);
    }

    /// Pushes what is listed as referring to `image`.
    pub(crate) fn push_list(self, fake: &mut Fake, image: &str, entries: &[Value]) {
        let list = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
        let path = match self {
            Self::Referrer => format!("/v2/os/referrers/{image}"),
            _ => format!("/v2/os/manifests/{}", image.replace(':', "-")),
        };
        fake.answers.insert(path, Answer::new(200, INDEX, list.to_string()));
    }
}

/// The path of the tag that holds the signatures of `image`.
pub(crate) fn signature_path(image: &str) -> String {
    format!("/v2/os/manifests/{}.sig", image.replace(':', "-"))
}

/// What is signed of `image`.
pub(crate) fn payload(image: &str) -> String {
    json!({
        "critical": {
            "identity": { "docker-reference": "registry.example/elsewhere" },
            "image": { "docker-manifest-digest": image },
            "type": "cosign container image signature",
        },
        "optional": null,
    })
    .to_string()
}

/// Signs the tag's manifest, or the index that it is.
pub(crate) fn sign(fake: &mut Fake, signer: &Signer, place: Place) {
    let image = fake.manifest().digest();
    let layer = signer.layer(fake, &payload(&image));
    place.push(fake, &image, &[layer]);
}
