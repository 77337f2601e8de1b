//! Rows of faults: how a registry goes wrong, and with what code, words and disk an install from it has to end.

use crate::{
    fake::Fake,
    images::{Layer, MIB, gzip, image},
    run::{By, Wanted, assert_failed, install_from},
    target::{DISK, Left, Target},
};

/// One fault. It is tried on a registry that is otherwise right, over plain HTTP.
pub(crate) struct Row {
    pub(crate) rule: &'static str,
    /// The ways to name the image that meet this fault.
    pub(crate) by: &'static [By],
    pub(crate) fault: fn(&mut Fake),
    pub(crate) code: u8,
    pub(crate) says: &'static [&'static str],
    pub(crate) left: Left,
}

/// The image that all rows are tried with: long enough to reach the disk before its end.
pub(crate) const IMAGE_BYTES: usize = 5 * MIB + 100;

pub(crate) fn assert_rows(rows: &[Row]) {
    let image = image(IMAGE_BYTES);
    let layer = Layer::new(gzip(&image));
    for row in rows {
        for by in row.by {
            let mut fake = Fake::with(&layer);
            (row.fault)(&mut fake);
            let address = fake.address();
            let target = Target::new(DISK);
            let (outcome, _) = install_from(fake, *by, &target);
            let wanted = Wanted { code: row.code, says: row.says, left: row.left };
            let rule = format!("{}, by {by:?}", row.rule);
            assert_failed(&rule, outcome, wanted, (&address, &layer), (&target, &image));
        }
    }
}
