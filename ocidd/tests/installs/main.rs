//! Whole installs, by library call and by the binary, from a registry on loopback that goes wrong on demand to a file full of old bytes. Every test
//! looks at the outcome and at the disk. One program, not one for each topic: all share the registry and its matrix.

// `cfg(test)` is always set here. It tells clippy that the functions that tests share are tests, too.
#[cfg(test)]
mod auth;
#[cfg(test)]
mod binary;
#[cfg(test)]
mod blob_faults;
#[cfg(test)]
mod disk_faults;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod format_faults;
#[cfg(test)]
mod formats;
#[cfg(test)]
mod good;
#[cfg(test)]
mod gzip_faults;
#[cfg(test)]
#[path = "../shared/head.rs"]
mod head;
#[cfg(test)]
mod images;
#[cfg(test)]
mod index;
#[cfg(test)]
mod logins;
#[cfg(test)]
mod manifest_faults;
#[cfg(test)]
mod matrix;
#[cfg(test)]
#[path = "../shared/noise.rs"]
mod noise;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod registry_faults;
#[cfg(test)]
mod resilience;
#[cfg(test)]
mod run;
#[cfg(test)]
mod signatures;
#[cfg(test)]
mod target;
#[cfg(test)]
mod tls;
