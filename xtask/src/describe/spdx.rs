//! The types of SPDX 2.3 that the SBOM uses. <https://spdx.github.io/spdx-spec/v2.3/>

use serde::Serialize;

/// The SPDX value for "unknown".
pub const NO_ASSERTION: &str = "NOASSERTION";
/// The document's own identifier.
pub const DOCUMENT: &str = "SPDXRef-DOCUMENT";

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    #[serde(rename = "SPDXID")]
    pub id: &'static str,
    pub creation_info: CreationInfo,
    pub data_license: &'static str,
    #[serde(rename = "documentNamespace")]
    pub namespace: String,
    pub name: String,
    pub packages: Vec<Package>,
    pub relationships: Vec<Relationship>,
    pub spdx_version: &'static str,
}

#[derive(Clone, Debug, Serialize)]
pub struct CreationInfo {
    /// RFC 3339, in UTC and whole seconds.
    pub created: String,
    pub creators: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Package {
    #[serde(rename = "SPDXID")]
    pub id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checksums: Vec<Checksum>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    pub copyright_text: &'static str,
    pub download_location: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub external_refs: Vec<ExternalRef>,
    /// Always false: a file list would require SHA-1, which is broken.
    pub files_analyzed: bool,
    pub license_concluded: &'static str,
    pub license_declared: String,
    pub name: String,
    #[serde(rename = "packageFileName", skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    pub primary_package_purpose: Purpose,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_info: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_info: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
pub enum Purpose {
    Application,
    Archive,
    File,
    Library,
    OperatingSystem,
    Source,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checksum {
    pub algorithm: &'static str,
    pub checksum_value: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct ExternalRef {
    #[serde(rename = "referenceCategory")]
    pub category: &'static str,
    #[serde(rename = "referenceLocator")]
    pub locator: String,
    #[serde(rename = "referenceType")]
    pub kind: &'static str,
}

/// To be read as a sentence: element, relation, related element.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Relationship {
    #[serde(rename = "spdxElementId")]
    pub element: String,
    #[serde(rename = "relationshipType")]
    pub relation: Relation,
    #[serde(rename = "relatedSpdxElement")]
    pub related: String,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Relation {
    Contains,
    Describes,
    GeneratedFrom,
    StaticLink,
}

impl Package {
    /// A package without optional fields.
    pub fn new(id: String, name: &str, purpose: Purpose) -> Self {
        Self {
            id,
            checksums: Vec::new(),
            comment: None,
            copyright_text: NO_ASSERTION,
            download_location: NO_ASSERTION.to_owned(),
            external_refs: Vec::new(),
            file_name: None,
            files_analyzed: false,
            license_concluded: NO_ASSERTION,
            license_declared: NO_ASSERTION.to_owned(),
            name: name.to_owned(),
            primary_package_purpose: purpose,
            source_info: None,
            version_info: None,
        }
    }

    pub fn with_version(self, version: &str) -> Self {
        Self { version_info: Some(version.to_owned()), ..self }
    }

    /// Sets the licence that its authors declare; empty for none.
    pub fn with_licence(self, licence: &str) -> Self {
        let declared = if licence.is_empty() { NO_ASSERTION } else { licence };
        Self { license_declared: declared.to_owned(), ..self }
    }

    pub fn with_sha256(mut self, digest: &str) -> Self {
        self.checksums.push(Checksum { algorithm: "SHA256", checksum_value: digest.to_owned() });
        self
    }

    pub fn with_purl(mut self, purl: String) -> Self {
        self.external_refs.push(ExternalRef {
            category: "PACKAGE-MANAGER",
            locator: purl,
            kind: "purl",
        });
        self
    }
}

/// An identifier from words; other characters than letters, digits and '.' become '-'.
pub fn id(words: &[&str]) -> String {
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() || letter == '.' { letter } else { '-' }
    };
    format!("SPDXRef-{}", words.join("-").chars().map(plain).collect::<String>())
}
