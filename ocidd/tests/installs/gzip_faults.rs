//! Gzip streams that are broken (RFC 1952). Broken as they were pushed, the image is to blame and the message says so; broken on the way, the
//! digest is told, whatever the decoder made of it.

use oci::{digest::Digest, size::Bytes};

use crate::{
    fake::Fake,
    images::{Layer, MIB, gzip, image},
    run::{BOTH, Wanted, assert_failed, install_from},
    target::{DISK, Left, Target},
};

/// Where a stream breaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Breaks {
    /// Before anything came out.
    First,
    Midway,
    /// After the last byte of the image.
    Last,
}

struct Row {
    rule: &'static str,
    /// Spoils a stream of one member.
    spoil: fn(&mut Vec<u8>),
    breaks: Breaks,
    says: &'static str,
}

fn row(rule: &'static str, spoil: fn(&mut Vec<u8>), breaks: Breaks, says: &'static str) -> Row {
    Row { rule, spoil, breaks, says }
}

fn cut(stream: &mut Vec<u8>, bytes: usize) {
    stream.truncate(stream.len() - bytes);
}

/// Changes a byte, counted from the end.
fn change(stream: &mut [u8], from_end: usize) {
    *stream.iter_mut().nth_back(from_end).unwrap() ^= 0x40;
}

fn rows() -> Vec<Row> {
    use Breaks::{First, Last, Midway};
    vec![
        row("another method than deflate", |stream| stream[2] = 7, First, "invalid gzip header"),
        row("cut off in the header", |stream| stream.truncate(5), First, "unexpected end of file"),
        row(
            "cut off after the header",
            |stream| stream.truncate(10),
            First,
            "incomplete deflate stream",
        ),
        row(
            "cut off midway",
            |stream| stream.truncate(stream.len() / 2),
            Midway,
            "incomplete deflate stream",
        ),
        row("no CRC and length", |stream| cut(stream, 8), Last, "unexpected end of file"),
        row("cut off in the CRC", |stream| cut(stream, 6), Last, "unexpected end of file"),
        row("cut off in the length", |stream| cut(stream, 1), Last, "unexpected end of file"),
        row("a wrong CRC", |stream| change(stream, 7), Last, "corrupt gzip stream"),
        row("a wrong length", |stream| change(stream, 0), Last, "corrupt gzip stream"),
        row("followed by a word", |stream| stream.extend(b"hello"), Last, "unexpected end of file"),
        row("followed by a zero", |stream| stream.push(0), Last, "unexpected end of file"),
        row(
            "followed by a block of zeroes",
            |stream| stream.extend([0; 512]),
            Last,
            "invalid gzip header",
        ),
        row(
            "followed by the header of another member",
            |stream| stream.extend(&gzip(b"more")[..10]),
            Last,
            "incomplete deflate stream",
        ),
        row(
            "followed by half a header",
            |stream| stream.extend(&gzip(b"more")[..4]),
            Last,
            "unexpected end of file",
        ),
    ]
}

/// Backoff every row with an image that never leaves what is held back, and with one that does.
fn assert_rows(
    digest_of: fn(good: &[u8], broken: &[u8]) -> Digest,
    says: fn(&Row, u64) -> Vec<String>,
) {
    for size in [MIB, 4 * MIB + 13] {
        let image = image(size);
        let good = gzip(&image);
        for row in rows() {
            let mut compressed = good.clone();
            (row.spoil)(&mut compressed);
            let layer = Layer { digest: digest_of(&good, &compressed), compressed };
            let left = if size > MIB && row.breaks != Breaks::First {
                Left::Cleared
            } else {
                Left::Untouched
            };
            let says = says(&row, size as u64);
            let says: Vec<&str> = says.iter().map(String::as_str).collect();
            for by in BOTH {
                let target = Target::new(DISK);
                let rule = format!("{}, {size} bytes, by {by:?}", row.rule);
                let mut fake = Fake::with(&layer);
                // Not as gzip: of that the last bytes would be taken for the image's size.
                fake.set_layers(&["application/octet-stream"]);
                let (outcome, _) = install_from(fake, *by, &target);
                let wanted = Wanted { code: 6, says: &says, left };
                assert_failed(&rule, outcome, wanted, ("", &layer), (&target, &image));
            }
        }
    }
}

#[test]
fn a_stream_that_was_pushed_broken_is_the_images_fault() {
    assert_rows(
        |_, broken| Digest::of(broken),
        |row, size| {
            let at = match row.breaks {
                Breaks::First => format!("after {} of", Bytes(0)),
                Breaks::Midway => "after ".to_owned(),
                Breaks::Last => format!("after {} of", Bytes(size)),
            };
            vec![
                format!("layer has the expected digest, but its gzip stream is corrupt {at}"),
                format!("of disk image: {}", row.says),
                "\nhint: compress and push the image again".to_owned(),
            ]
        },
    );
}

#[test]
fn a_stream_that_was_broken_on_the_way_is_told_by_its_digest() {
    assert_rows(
        |good, _| Digest::of(good),
        |_, _| vec!["layer has digest sha256:".to_owned(), ", expected LAYER".to_owned()],
    );
}

#[test]
fn a_layer_without_a_single_byte_of_image_is_refused() {
    for (rule, compressed, says) in [
        ("gzip of nothing", gzip(b""), "layer contains no disk image: its content is empty"),
        ("twice", gzip(b"").repeat(2), "layer contains no disk image: its content is empty"),
        ("not even gzip", Vec::new(), "layer contains no disk image: its content is empty"),
    ] {
        let layer = Layer::new(compressed);
        for by in BOTH {
            let target = Target::new(DISK);
            let (outcome, _) = install_from(Fake::with(&layer), *by, &target);
            let wanted = Wanted { code: 6, says: &[says], left: Left::Untouched };
            assert_failed(rule, outcome, wanted, ("", &layer), (&target, b""));
        }
    }
}
