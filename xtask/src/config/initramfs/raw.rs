//! `initramfs.toml` as it is written. Nothing is checked but the types of values; unknown keys are kept, so that all can be told at once.

use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Value;

#[derive(Deserialize)]
pub struct Raw {
    #[serde(default)]
    pub upstream: BTreeMap<String, RawUpstream>,
    #[serde(default)]
    pub dir: Vec<RawFolder>,
    #[serde(default)]
    pub symlink: Vec<RawLink>,
    #[serde(default)]
    pub device: Vec<RawDevice>,
    #[serde(default)]
    pub binary: Vec<RawBinary>,
    #[serde(default)]
    pub file: Vec<RawFile>,
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}

impl Raw {
    pub const KEYS: &[&str] = &["upstream", "dir", "symlink", "device", "binary", "file"];
}

#[derive(Deserialize)]
pub struct RawUpstream {
    pub version: Option<String>,
    pub url: Option<String>,
    #[serde(default)]
    pub sha256: BTreeMap<String, String>,
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
pub struct RawFolder {
    pub path: Option<String>,
    pub mode: Option<String>,
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
pub struct RawLink {
    pub path: Option<String>,
    pub target: Option<String>,
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
pub struct RawDevice {
    pub path: Option<String>,
    pub mode: Option<String>,
    pub number: Option<String>,
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
pub struct RawBinary {
    pub path: Option<String>,
    pub mode: Option<String>,
    pub package: Option<String>,
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
pub struct RawFile {
    pub path: Option<String>,
    pub mode: Option<String>,
    pub local: Option<String>,
    pub upstream: Option<RawPiece>,
    pub debian: Option<RawPiece>,
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
pub struct RawPiece {
    pub source: Option<String>,
    pub package: Option<String>,
    pub member: Option<String>,
    pub members: Option<String>,
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Value>,
}
