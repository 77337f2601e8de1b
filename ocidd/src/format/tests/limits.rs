//! Limits of windows and dictionaries.

use super::{samples::*, *};

/// The tool's xz stream with another dictionary size in its block header.
fn xz_with_dictionary(size: u8) -> Vec<u8> {
    let mut packed = TOOL_XZ.to_vec();
    packed[16] = size;
    let mut crc = flate2::Crc::new();
    crc.update(&packed[12..20]);
    packed[20..24].copy_from_slice(&crc.sum().to_le_bytes());
    packed
}

fn zstd_with_window(log: u32) -> Vec<u8> {
    zstd_with(TEXT, |encoder| encoder.window_log(log))
}

#[track_caller]
fn assert_rejected(packed: &[u8], expected: &FormatError, message: &str) {
    let FormatError::Window { format, .. } = expected else { panic!("{expected}") };
    let mut decoder = Decoder::new(*format, Torn::new(packed, 5));
    let error = decoder.read_to_end(&mut Vec::new()).unwrap_err();
    assert!(with_hint(expected).starts_with(message), "{expected}");
    assert_eq!(error.to_string(), expected.to_string());
    assert_eq!(decoder.take_unsupported().as_ref(), Some(expected));
}

#[test]
fn rejects_a_window_larger_than_the_limit() {
    for packed in [zstd_with_window(25), zstd_with_window(10)] {
        assert_eq!(unpack(Format::Zstd, &packed, 5).unwrap(), TEXT);
    }
    for size in [0, 22, 26] {
        assert_eq!(unpack(Format::Xz, &xz_with_dictionary(size), 5).unwrap(), TEXT);
    }
    let allowed = WINDOW_BYTES;
    let window = |format, found| FormatError::Window { format, found, allowed };
    assert_rejected(
        &zstd_with_window(26),
        &window(Format::Zstd, 64 << 20),
        "the zstd stream of the layer needs a window of 67108864 bytes (64 MiB), at most 33554432 bytes (32 MiB) are supported\nhint: compress it with `zstd --long=25` or less",
    );
    assert_rejected(
        &xz_with_dictionary(28),
        &window(Format::Xz, 64 << 20),
        "the xz stream of the layer needs a window of 67108864 bytes (64 MiB), at most 33554432 bytes (32 MiB) are supported\nhint: compress it with `xz -8` or less",
    );
    // One step more than allowed, the most there is, and a single segment of a whole disk.
    for (packed, found) in [
        (&b"\x28\xb5\x2f\xfd\0\x79"[..], 36 << 20),
        (b"\x28\xb5\x2f\xfd\0\xff", 15 << 38),
        (b"\x28\xb5\x2f\xfd\xa0\x01\0\0\x02", (32 << 20) + 1),
    ] {
        assert_rejected(packed, &window(Format::Zstd, found), "");
    }
    for (size, found) in [(27, 48 << 20), (39, 3 << 30)] {
        assert_rejected(&xz_with_dictionary(size), &window(Format::Xz, found), "");
    }
}

#[test]
fn rejects_a_stream_with_a_dictionary() {
    let error = unpack(Format::Zstd, b"\x28\xb5\x2f\xfd\x01\x58\x07\x01\0\0", 5).unwrap_err();
    assert!(error.to_string().contains('7'), "{error}");
}
