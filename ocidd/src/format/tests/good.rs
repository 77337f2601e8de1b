//! Valid streams.

use lzma_rust2::{CheckType, filter::FilterType};

use super::{samples::*, *};

#[track_caller]
fn assert_unpacks(rule: &str, format: Format, packed: &[u8], image: &[u8]) {
    assert_eq!(detect(packed), Ok(format), "{rule}");
    for piece in [1, 7, 4096, usize::MAX] {
        let found = unpack(format, packed, piece).unwrap_or_else(|error| panic!("{rule}: {error}"));
        assert!(found == image, "{rule}, in pieces of {piece}: another image");
    }
}

#[test]
fn decompresses_output_of_other_tools() {
    assert_unpacks("GNU gzip", Format::Gzip, GNU_GZIP, TEXT);
    assert_unpacks("zstd", Format::Zstd, TOOL_ZSTD, TEXT);
    assert_unpacks("xz", Format::Xz, TOOL_XZ, TEXT);
    assert_unpacks("raw", Format::Raw, TEXT, TEXT);
}

#[test]
fn every_gzip_member_is_decoded() {
    let image = image(300_000);
    let (first, second) = image.split_at(100_001);
    for (rule, packed) in [
        ("one", gzip(&image)),
        ("two", [gzip(first), gzip(second)].concat()),
        ("an empty one in between", [gzip(first), gzip(b""), gzip(second)].concat()),
        ("empty ones around it", [gzip(b""), gzip(&image), gzip(b"")].concat()),
    ] {
        assert_unpacks(rule, Format::Gzip, &packed, &image);
    }
}

#[test]
fn every_zstd_frame_is_decoded_and_every_skippable_one_skipped() {
    let image = image(700_000);
    let (first, second) = image.split_at(100_001);
    let skipped = SKIPPED.to_vec();
    let nothing = b"\x50\x2a\x4d\x18\0\0\0\0".to_vec();
    let plain = |bytes: &[u8]| zstd_with(bytes, |_| Ok(()));
    for (rule, packed) in [
        ("one with a checksum", zstd(&image)),
        ("one with a size", zstd_sized(&image)),
        ("one with neither", plain(&image)),
        ("two", [zstd(first), zstd_sized(second)].concat()),
        ("an empty one in between", [zstd(first), zstd(b""), plain(b""), plain(second)].concat()),
        ("empty ones around it", [zstd_sized(b""), zstd(&image), zstd(b"")].concat()),
        ("skippable ones first", [skipped.clone(), nothing.clone(), zstd(&image)].concat()),
        ("a skippable one in between", [zstd(first), skipped.clone(), zstd(second)].concat()),
        ("a skippable one last", [zstd(&image), nothing, skipped].concat()),
        ("a longer window behind a shorter", [zstd(first), wide(second)].concat()),
        ("a shorter window behind a longer", [wide(first), zstd(second)].concat()),
    ] {
        assert_unpacks(rule, Format::Zstd, &packed, &image);
    }
    for level in -5..=19 {
        assert_unpacks(&format!("level {level}"), Format::Zstd, &zstd_at(&image, level), &image);
    }
}

/// With the longest window allowed.
fn wide(bytes: &[u8]) -> Vec<u8> {
    zstd_with(bytes, |encoder| {
        encoder.window_log(25)?;
        encoder.long_distance_matching(true)
    })
}

#[test]
fn every_xz_stream_is_decoded_with_any_check_and_padding() {
    let image = image(300_000);
    let (first, second) = image.split_at(100_001);
    let check = |check| xz_with(&image, |options| options.set_check_sum_type(check));
    let filter =
        |filter, property| xz_with(&image, |options| options.prepend_pre_filter(filter, property));
    for (rule, packed) in [
        ("one", xz(&image)),
        ("one block", xz_with(&image, |options| options.set_block_size(None))),
        ("no check", check(CheckType::None)),
        ("CRC32", check(CheckType::Crc32)),
        ("SHA-256", check(CheckType::Sha256)),
        ("the filter for x86", filter(FilterType::BcjX86, 0)),
        ("the filter for differences", filter(FilterType::Delta, 4)),
        ("two", [xz(first), xz(second)].concat()),
        ("padding in between", [xz(first), vec![0; 12], xz(second)].concat()),
        ("padding at the end", [xz(&image), vec![0; 512]].concat()),
        ("an empty one in between", [xz(first), xz(b""), xz(second)].concat()),
    ] {
        assert_unpacks(rule, Format::Xz, &packed, &image);
    }
}
