//! Rules for every format, with streams of several encoders, read in pieces of every size.

mod good;
mod limits;
mod samples;
mod truncated;

use std::io::Read;

use samples::Torn;

use super::*;

pub(super) fn with_hint(error: &FormatError) -> String {
    format!("{error}\nhint: {}", error.hint())
}

/// Decompresses all of it, in pieces of `piece` bytes.
fn unpack(format: Format, packed: &[u8], piece: usize) -> io::Result<Vec<u8>> {
    let mut image = Vec::new();
    Decoder::new(format, Torn::new(packed, piece)).read_to_end(&mut image)?;
    Ok(image)
}

#[test]
fn rejects_a_media_type_of_another_format() {
    let other = "application/octet-stream";
    for format in Format::ALL {
        for silent in [None, Some(other), Some("application/vnd.oci.image.layer.v1.tar")] {
            assert_eq!(check(silent, format), Ok(()), "{silent:?}");
        }
        for named in Format::ALL.into_iter().filter(|named| *named != Format::Raw) {
            let announced = format!("application/Octet-Stream+{named} ; x=y");
            let wanted = FormatError::NotAnnounced { announced: announced.clone(), found: format };
            let outcome = check(Some(&announced), format);
            assert_eq!(outcome, if named == format { Ok(()) } else { Err(wanted) });
        }
    }
    for (found, says) in [
        (
            Format::Zstd,
            "layer has the media type 'application/octet-stream+gzip', but its format is zstd\nhint: push it again as 'application/octet-stream+zstd'",
        ),
        (Format::Raw, "but its format is raw\nhint: push it again as 'application/octet-stream'"),
    ] {
        let error = with_hint(&check(Some("application/octet-stream+gzip"), found).unwrap_err());
        assert!(error.ends_with(says), "{error}");
    }
}

#[test]
fn size_hint_is_a_lower_bound() {
    let image = samples::image(300_000);
    for (format, packed, hint) in [
        (Format::Gzip, samples::gzip(&image), Some(300_000)),
        (Format::Gzip, [samples::gzip(&image), samples::gzip(&[0; 77])].concat(), Some(77)),
        (Format::Gzip, b"\x1f\x8b".to_vec(), None),
        (Format::Zstd, samples::zstd_sized(&image), Some(300_000)),
        (Format::Zstd, [samples::SKIPPED, &samples::zstd_sized(&image)].concat(), Some(300_000)),
        (Format::Zstd, samples::zstd(&image), None),
        (Format::Xz, samples::xz(&image), None),
        (Format::Raw, image.clone(), None),
    ] {
        let head = &packed[..packed.len().min(FIRST_BYTES)];
        assert_eq!(size_hint(format, head, &packed), hint, "{format}");
    }
}
