//! Blobs that do not arrive as they were pushed: cut off, too long, changed on the way. What is on the disk by then does not boot.

use Left::{Cleared, Garbled, Untouched};

use crate::{
    fake::{Fake, Framing, Part, Ranges},
    matrix::{IMAGE_BYTES, Row, assert_rows},
    run::{BLOB, BOTH, By, TAG},
    target::Left,
};

/// After this many bytes of the blob the disk has been written to.
const LATE: usize = 4 << 20;
/// After this many not.
const EARLY: usize = 100_000;

/// The blob did not come as the registry announced it.
fn unfetched(
    rule: &'static str,
    by: &'static [By],
    fault: fn(&mut Fake),
    says: &'static [&'static str],
    left: Left,
) -> Row {
    Row { rule, by, fault, code: 4, says, left }
}

/// Only the digest tells that it is not the blob.
fn changed(rule: &'static str, by: &'static [By], fault: fn(&mut Fake), left: Left) -> Row {
    let says = &["layer has digest sha256:", ", expected LAYER"];
    Row { rule, by, fault, code: 6, says, left }
}

fn cut(fake: &mut Fake, framing: Framing, after: usize) {
    // For ever at the same byte: a registry that knows no ranges.
    fake.spoil(Part::Blob, |right| right.framed(framing).cut(after).ranges(Ranges::Ignored));
}

#[test]
fn a_blob_that_is_cut_off_is_never_taken_for_the_whole() {
    let early = &["fetching layer LAYER from REGISTRY, after 100000 bytes (97.6 KiB): "];
    let late = &["fetching layer LAYER from REGISTRY, after 4194304 bytes (4 MiB): "];
    let length_early = |fake: &mut Fake| cut(fake, Framing::Length, EARLY);
    let length_late = |fake: &mut Fake| cut(fake, Framing::Length, LATE);
    let chunks_early = |fake: &mut Fake| cut(fake, Framing::Chunked, EARLY);
    let chunks_late = |fake: &mut Fake| cut(fake, Framing::Chunked, LATE);
    let close_early = |fake: &mut Fake| cut(fake, Framing::Close, EARLY);
    let close_late = |fake: &mut Fake| cut(fake, Framing::Close, LATE);
    assert_rows(&[
        unfetched("early, with a length", BOTH, length_early, early, Untouched),
        unfetched("late, with a length", BOTH, length_late, late, Cleared),
        unfetched("early, in chunks", BOTH, chunks_early, early, Untouched),
        unfetched("late, in chunks", BOTH, chunks_late, late, Cleared),
        unfetched("early, by closing", TAG, close_early, early, Untouched),
        unfetched("late, by closing", TAG, close_late, late, Cleared),
        // Without a manifest nobody knows how long it should be.
        changed("early, by closing", BLOB, close_early, Untouched),
        changed("late, by closing", BLOB, close_late, Cleared),
    ]);
}

#[test]
fn a_blob_of_another_length_is_refused_as_early_as_it_shows() {
    let offers =
        &["fetching layer LAYER from REGISTRY: the registry offers ", " bytes, the manifest has "];
    let ended = &["fetching layer LAYER from REGISTRY: the connection ended early"];
    let goes_on = &["layer is larger than its declared size of "];
    let longer = |fake: &mut Fake| fake.blob().body.extend([0; 1000]);
    let shorter = |fake: &mut Fake| fake.blob().body.truncate(LATE);
    let nothing = |fake: &mut Fake| fake.blob().body.clear();
    let longer_in_chunks = |fake: &mut Fake| {
        fake.blob().body.extend([0; 1000]);
        fake.blob().framing = Framing::Chunked;
    };
    assert_rows(&[
        unfetched("longer", TAG, longer, offers, Untouched),
        unfetched("shorter", TAG, shorter, offers, Untouched),
        unfetched("nothing", TAG, nothing, ended, Untouched),
        unfetched("longer, in chunks", TAG, longer_in_chunks, goes_on, Cleared),
        changed("longer", BLOB, longer, Cleared),
        changed("shorter", BLOB, shorter, Cleared),
        changed("nothing", BLOB, nothing, Untouched),
        changed("longer, in chunks", BLOB, longer_in_chunks, Cleared),
    ]);
}

#[test]
fn a_single_bit_changed_on_the_way_is_told_by_the_digest_whatever_the_decoder_finds() {
    assert_rows(&[
        changed("in the header", TAG, |fake| fake.blob().body[0] ^= 1, Untouched),
        changed("in the unused time", BOTH, |fake| fake.blob().body[4] ^= 1, Cleared),
        changed("midway", BOTH, |fake| fake.blob().body[IMAGE_BYTES / 2] ^= 1, Garbled),
        changed("in the CRC", BOTH, |fake| fake.blob().flip_byte_from_end(7), Cleared),
        // By tag the length is looked at before, and does not fit.
        changed("in the length", BLOB, |fake| fake.blob().flip_byte_from_end(0), Cleared),
    ]);
}
