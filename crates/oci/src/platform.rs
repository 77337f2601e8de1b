//! Platforms of image indexes, `os/architecture[/variant]`: parsed, normalized, compared.

use std::{fmt, str::FromStr};

use crate::error::{Error, Result};

/// A platform in normal form: `x86_64` becomes `amd64`, `aarch64` becomes `arm64`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Platform {
    os: String,
    architecture: String,
    /// `None` for the baseline variant of the architecture.
    variant: Option<String>,
}

impl Platform {
    /// Accepts every usual spelling and case.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let architecture = match architecture.to_ascii_lowercase().as_str() {
            "x86_64" | "x86-64" | "x64" => "amd64".to_owned(),
            "aarch64" => "arm64".to_owned(),
            "x86" | "i386" => "386".to_owned(),
            other => other.to_owned(),
        };
        let variant = variant.map(str::to_ascii_lowercase).filter(|variant| {
            let is_baseline = matches!(
                (architecture.as_str(), variant.as_str()),
                ("amd64", "v1") | ("arm64", "v8")
            );
            !is_baseline && !variant.is_empty()
        });
        Self { os: os.to_ascii_lowercase(), architecture, variant }
    }

    /// The machine this program runs on.
    pub fn of_host() -> Self {
        Self::new(std::env::consts::OS, std::env::consts::ARCH, None)
    }

    pub fn from_spec(spec: &oci_spec::image::Platform) -> Self {
        let (os, architecture) = (spec.os().to_string(), spec.architecture().to_string());
        Self::new(&os, &architecture, spec.variant().as_deref())
    }

    pub fn to_spec(&self) -> oci_spec::image::Platform {
        let mut spec = oci_spec::image::Platform::default();
        spec.set_os(self.os.as_str().into());
        spec.set_architecture(self.architecture.as_str().into());
        spec.set_variant(self.variant.clone());
        spec
    }

    /// Whether this platform has no variant, and `offered` is the same with any variant.
    pub fn includes(&self, offered: &Self) -> bool {
        self.variant.is_none()
            && (&self.os, &self.architecture) == (&offered.os, &offered.architecture)
    }

    /// `unknown/unknown`, the platform under which builders list attestations.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.architecture == "unknown"
    }
}

impl FromStr for Platform {
    type Err = Error;

    /// The operating system defaults to Linux.
    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let is_name = |part: &&str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        let platform = match parts.as_slice() {
            _ if !parts.iter().all(is_name) => None,
            [architecture] => Some(Self::new("linux", architecture, None)),
            [os, architecture] => Some(Self::new(os, architecture, None)),
            [os, architecture, variant] => Some(Self::new(os, architecture, Some(variant))),
            _ => None,
        };
        platform.ok_or_else(|| Error::Platform(text.to_owned()))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn normalizes_spelling() {
        for (text, spelling) in [
            ("linux/amd64", "linux/amd64"),
            ("amd64", "linux/amd64"),
            ("x86_64", "linux/amd64"),
            ("x64", "linux/amd64"),
            ("Linux/AMD64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("aarch64", "linux/arm64"),
            ("linux/aarch64/v8", "linux/arm64"),
            ("linux/arm64/v9", "linux/arm64/v9"),
            ("linux/arm/v7", "linux/arm/v7"),
            ("linux/i386", "linux/386"),
            ("freebsd/riscv64", "freebsd/riscv64"),
        ] {
            assert_eq!(platform(text).to_string(), spelling, "{text}");
        }
    }

    #[test]
    fn rejects_other_text() {
        for text in ["", "/", "linux/", "/arm64", "linux/arm64/", "a/b/c/d", "linux amd64", "a,b"] {
            let error = text.parse::<Platform>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("invalid platform '{text}': expected ")), "{error}");
        }
    }

    #[test]
    fn host_is_a_supported_platform() {
        let host = Platform::of_host().to_string();
        assert!(["linux/amd64", "linux/arm64"].contains(&host.as_str()), "{host}");
    }
}
