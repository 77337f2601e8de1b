//! How far back a stream may look.

use super::samples::*;
use super::*;
use std::io;

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
fn assert_refused(outcome: io::Result<Vec<u8>>, wanted: &FormatError, says: &str) {
    let error = outcome.unwrap_err();
    assert_eq!(error.to_string(), says);
    let inner = error.into_inner().and_then(|inner| inner.downcast::<FormatError>().ok());
    assert_eq!(*inner.unwrap(), *wanted);
}

#[test]
fn what_looks_further_back_than_the_memory_allows_is_refused() {
    for packed in [zstd_with_window(25), zstd_with_window(10)] {
        assert_eq!(unpack(Format::Zstd, &packed, 5).unwrap(), TEXT);
    }
    for size in [0, 22, 26] {
        assert_eq!(unpack(Format::Xz, &xz_with_dictionary(size), 5).unwrap(), TEXT);
    }
    let allowed = WINDOW_BYTES;
    let window = |format, found| FormatError::Window { format, found, allowed };
    assert_refused(
        unpack(Format::Zstd, &zstd_with_window(26), 5),
        &window(Format::Zstd, 64 << 20),
        "layer's zstd stream has to look back 67108864 bytes (64 MiB), 33554432 bytes (32 MiB) are allowed; hint: pack it again with `zstd --long=25` or less",
    );
    assert_refused(
        unpack(Format::Xz, &xz_with_dictionary(28), 5),
        &window(Format::Xz, 64 << 20),
        "layer's xz stream has to look back 67108864 bytes (64 MiB), 33554432 bytes (32 MiB) are allowed; hint: pack it again with `xz -8` or less",
    );
    // One step more than allowed, the most there is, and a single segment of a whole disk.
    for (packed, found) in [
        (&b"\x28\xb5\x2f\xfd\0\x79"[..], 36 << 20),
        (b"\x28\xb5\x2f\xfd\0\xff", 15 << 38),
        (b"\x28\xb5\x2f\xfd\xa0\x01\0\0\x02", (32 << 20) + 1),
    ] {
        let error = unpack(Format::Zstd, packed, 5).unwrap_err().into_inner().unwrap();
        assert_eq!(*error.downcast::<FormatError>().unwrap(), window(Format::Zstd, found));
    }
    for (size, found) in [(27, 48 << 20), (39, 3 << 30)] {
        let error = unpack(Format::Xz, &xz_with_dictionary(size), 5).unwrap_err();
        let error = error.into_inner().unwrap();
        assert_eq!(*error.downcast::<FormatError>().unwrap(), window(Format::Xz, found));
    }
}

#[test]
fn a_stream_that_wants_a_dictionary_is_refused() {
    let error = unpack(Format::Zstd, b"\x28\xb5\x2f\xfd\x01\x58\x07\x01\0\0", 5).unwrap_err();
    assert!(error.to_string().contains('7'), "{error}");
}
