//! Compares what a test found with a file that a reviewer has read. `UPDATE_GOLDEN=1 cargo test` rewrites the files.

use crate::host::output;
use crate::host::project;
use archive::newc::Record;

/// `mode uid gid size path` of each record, as lines.
pub fn listing(records: &[Record]) -> String {
    let line = |record: &Record| {
        format!(
            "{:06o} {} {} {} {}\n",
            record.mode,
            record.uid,
            record.gid,
            record.content.len(),
            record.path
        )
    };
    records.iter().map(line).collect()
}

/// Fails unless `found` is what `xtask/tests/golden/<name>` holds.
pub fn check(name: &str, found: &str) {
    let path = project::root().join("xtask/tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        output::write(&path, found.as_bytes()).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, golden, "{} is different; UPDATE_GOLDEN=1 rewrites it", path.display());
}
