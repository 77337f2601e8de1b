//! Corrupt and truncated streams.

use std::io::ErrorKind;

use super::{samples::*, *};

const SECOND: &[u8] = b"and another one";

/// Two streams one behind the other, and how long the first is.
fn twice(format: Format) -> (Vec<u8>, usize) {
    let (first, second) = match format {
        Format::Gzip => (GNU_GZIP, gzip(SECOND)),
        Format::Zstd => (TOOL_ZSTD, zstd(SECOND)),
        _ => (TOOL_XZ, xz(SECOND)),
    };
    ([first, &second].concat(), first.len())
}

const PACKED: [Format; 3] = [Format::Gzip, Format::Zstd, Format::Xz];

#[test]
fn a_truncated_stream_is_never_a_success() {
    for format in PACKED {
        let (packed, first) = twice(format);
        for cut in 1..packed.len() {
            for piece in [1, usize::MAX] {
                let outcome = unpack(format, &packed[..cut], piece);
                // A stream that ends where another one could follow is whole; only size and digest tell that one is missing.
                match outcome {
                    Ok(image) if cut == first => assert_eq!(image, TEXT),
                    Ok(_) => panic!("{format} cut at {cut} of {} is a success", packed.len()),
                    Err(error) => assert_ne!(cut, first, "{format}: {error}"),
                }
            }
        }
    }
}

#[test]
fn a_long_truncated_stream_is_never_a_success() {
    let image = image(3_000_000);
    let skipped = [SKIPPED, &zstd(&image)].concat();
    for (format, packed) in [
        (Format::Gzip, gzip(&image)),
        (Format::Zstd, zstd(&image)),
        (Format::Zstd, zstd_with(&image, |_| Ok(()))),
        (Format::Zstd, skipped),
        (Format::Xz, xz(&image)),
        (Format::Xz, xz_with(&image, |options| options.set_block_size(None))),
    ] {
        // The last bytes one by one, the others at steps that meet no pattern.
        let end = packed.len() - 64;
        for cut in (14..end).step_by(end / 61).chain(end..packed.len()) {
            let outcome = unpack(format, &packed[..cut], 8192);
            assert!(outcome.is_err(), "{format} cut at {cut} of {} is a success", packed.len());
        }
    }
}

#[test]
fn trailing_garbage_is_an_error_in_every_format() {
    for format in PACKED {
        let (packed, _) = twice(format);
        let half = &packed[..9];
        for garbage in [&b"\0"[..], b"\0\0\0", b"x", b"hello", half, &[0xff; 512], &[0; 510]] {
            for piece in [1, usize::MAX] {
                let outcome = unpack(format, &[&packed, garbage].concat(), piece);
                assert!(outcome.is_err(), "{format} with {garbage:x?} behind it is a success");
            }
        }
    }
}

#[test]
fn a_changed_byte_never_gives_another_image() {
    let image = image(20_000);
    let sha256 = lzma_rust2::CheckType::Sha256;
    for (format, packed, whole) in [
        (Format::Gzip, GNU_GZIP.to_vec(), TEXT),
        (Format::Zstd, TOOL_ZSTD.to_vec(), TEXT),
        (Format::Xz, TOOL_XZ.to_vec(), TEXT),
        (Format::Gzip, gzip(&image), &image),
        (Format::Zstd, zstd(&image), &image),
        (Format::Zstd, zstd_sized(&image), &image),
        (Format::Xz, xz(&image), &image),
        (Format::Xz, xz_with(&image, |options| options.set_check_sum_type(sha256)), &image),
    ] {
        let mut accepted = 0;
        for at in 0..packed.len() {
            for change in [1, 0x80, 0xff] {
                let mut changed = packed.clone();
                changed[at] ^= change;
                if let Ok(found) = unpack(format, &changed, usize::MAX) {
                    assert!(found == whole, "{format}, byte {at} changed by {change:#x}");
                    accepted += 1;
                }
            }
        }
        // The time, the system and the like in a gzip header, and bits that a decoder has no use for.
        assert!(accepted < 40, "{format}: {accepted} changes go unnoticed");
    }
}

#[test]
fn verifies_the_checksums_at_the_end() {
    for (format, from_end, says) in [
        (Format::Gzip, 8, "corrupt gzip stream"),
        (Format::Gzip, 1, "corrupt gzip stream"),
        (Format::Zstd, 4, "a frame's checksum is wrong"),
        (Format::Xz, 24, "block checksum mismatch"),
        (Format::Xz, 19, "index record count"),
        (Format::Xz, 1, "invalid XZ footer magic"),
    ] {
        let mut packed = match format {
            Format::Gzip => GNU_GZIP,
            Format::Zstd => TOOL_ZSTD,
            _ => TOOL_XZ,
        }
        .to_vec();
        let at = packed.len() - from_end;
        packed[at] ^= 0x10;
        let error = unpack(format, &packed, usize::MAX).unwrap_err();
        assert!(error.to_string().contains(says), "{format}: {error}");
    }
    // A frame with a size one too large, and no checksum.
    let sized = [&TOOL_ZSTD[..4], b"\x20\x28", &TOOL_ZSTD[6..TOOL_ZSTD.len() - 4]].concat();
    let error = unpack(Format::Zstd, &sized, usize::MAX).unwrap_err();
    assert_eq!(error.to_string(), "a frame's size is not the one in its header");
}

#[test]
fn returns_errors_of_the_reader_unchanged() {
    let fault = || io::Error::new(ErrorKind::ConnectionReset, "the line is dead");
    let early_end = || io::Error::new(ErrorKind::UnexpectedEof, "the line is dead");
    let image = image(50_000);
    for (format, packed) in [
        (Format::Gzip, gzip(&image)),
        (Format::Zstd, zstd(&image)),
        (Format::Zstd, [SKIPPED, SKIPPED, &zstd(&image)].concat()),
        (Format::Xz, xz(&image)),
        (Format::Raw, image),
    ] {
        for (fault, kind) in [
            (fault as fn() -> _, ErrorKind::ConnectionReset),
            (early_end, ErrorKind::UnexpectedEof),
        ] {
            for cut in (0..=packed.len()).step_by(7).chain([packed.len()]) {
                let mut decoder = Decoder::new(format, Torn::failing(&packed[..cut], fault));
                let error = decoder.read_to_end(&mut Vec::new()).unwrap_err();
                assert_eq!(error.kind(), kind, "{format} at {cut}");
                assert_eq!(error.into_inner().unwrap().to_string(), "the line is dead");
                assert!(decoder.read(&mut [0]).is_err(), "{format} goes on after an error");
            }
        }
    }
}
