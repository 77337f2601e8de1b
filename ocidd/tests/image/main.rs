//! `ocidd image` by its binary: against a fake registry that goes wrong on demand, and against the real one with other people's programs beside it.

// `cfg(test)` is always set here. It tells clippy that the functions that tests share are tests, too.
#[cfg(test)]
mod fake;
#[cfg(test)]
#[path = "../shared/head.rs"]
mod head;
#[cfg(test)]
#[path = "../shared/noise.rs"]
mod noise;
#[cfg(test)]
mod ours;
#[cfg(test)]
mod pulls;
#[cfg(test)]
mod real;
#[cfg(test)]
mod referrers;
#[cfg(test)]
#[path = "../shared/schema.rs"]
mod schema;
#[cfg(test)]
mod signed;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod uploads;
