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
