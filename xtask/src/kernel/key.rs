//! The key of a kernel in the cache: the digest of everything that determines its bytes.

use std::fmt::Write as _;

use crate::{
    host::output,
    kernel::{configure, make, plan::Plan},
};

/// Increase it when kernels are built differently.
const FORMAT: u32 = 1;

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Key {
    /// 64 hexadecimal digits.
    pub digest: String,
    /// The hashed text, one `name=value` per line.
    pub inputs: String,
}

impl Key {
    pub fn of(plan: &Plan<'_>) -> Self {
        let mut inputs = String::new();
        let mut line = |name: &str, value: &str| {
            // `{:?}` escapes line ends. Writing to a String cannot fail.
            writeln!(inputs, "{name}={value:?}").ok();
        };
        line("format", &FORMAT.to_string());
        line("arch", plan.arch.kernel());
        line("source", &plan.source.sha256);
        line("base", plan.base);
        for option in &plan.fragments {
            line("option", &option.assignment());
        }
        for argument in plan.arguments {
            line("word", argument);
        }
        line("compiler", &plan.compiler);
        line("binutils", &plan.binutils);
        line("timestamp", &plan.timestamp);
        line("flags", make::FLAGS);
        line("always", configure::ALWAYS);
        line("absent", &make::ABSENT.join(" "));
        Self { digest: output::digest_of(inputs.as_bytes()), inputs }
    }
}
